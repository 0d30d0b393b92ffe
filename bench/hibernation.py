"""How long an agent that holds no process takes to hear a word, beyond its CLI's own start. JSON lines for `tools/bench.py`.

    python bench/hibernation.py [ROUNDS] [CLI …]

Each round has an agent do its work, hibernate, and go on in the same session of its CLI with the next word. Our own part
is what the holder's journal says of it: from the word to the CLI's process, and the times in which the CLI may have
waited for a line of ours, until it accepted the prompt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from played.place import place, sealed_commands
from played.turn import woken

from at_session.rehearsal.clis import CLIS

ROUNDS = 5
LIMIT_MS = 1000.0


def main(rounds: int, clis: Sequence[str]) -> None:
    """Measure and print."""
    commands = sealed_commands()
    for cli in clis:
        with place(commands, cli, hibernate_seconds=1) as site:
            found = [woken(site, f"woken-{number}") for number in range(rounds)]
        figure = {
            "name": f"{cli}: a hibernated agent hears a word, our part, worst of {rounds}",
            "value": round(max(each.own for each in found) * 1000, 1),
            "unit": "ms",
            "yardstick": f"{median(each.whole for each in found) * 1000:.0f} ms with the CLI's own, p50",
        }
        print(json.dumps(figure | {"limit": LIMIT_MS, "limit_of": "value"}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, sys.argv[2:] or CLIS)
