"""Memory of the daemon for each structured agent that it follows, and of what runs beside it. JSON lines.

    python bench/daemon_memory.py [CLI …]

The daemon's private memory with one idle agent, then with as many more as are asked for, each of which did one turn
and had its work proved; the figure is the slope. Holders, and the bridge of OpenCode, are processes of their own and
are reported apart. The CLIs themselves are not ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from played.memory import parent_of, private_megabytes
from played.place import place, sealed_commands
from played.turn import prompt_of

from at_cli.prove.scene import Scene
from at_cli.prove.site import Site

MORE = {"codex": 10, "demo": 50, "opencode": 2}
"""How many agents are added to the first one; of the CLIs that are measured when none is named."""
OTHERWISE = 10
DAEMON_LIMIT_MB = 1.0


def add(site: Site, cli: str, name: str) -> int:
    """One more agent, idle after a turn; the process id of its CLI, or of the bridge to it."""
    scene = Scene(site, name, cli=cli)
    bead = scene.run(f"write {name}.txt written" if cli == "demo" else prompt_of(scene), land=False)
    document = scene.settled(bead)
    if not document["proved"]:
        raise RuntimeError(f"{cli}: {document['reasons']}")
    return int(scene.process(bead)["pid"])


def line(name: str, megabytes: float, against: str, limit: float | None = None) -> None:
    """One figure."""
    figure = {"name": name, "value": round(megabytes, 3), "unit": "MB", "yardstick": against}
    print(json.dumps(figure | {"limit": limit, "limit_of": "value"}), flush=True)


def measure(site: Site, cli: str, more: int) -> None:
    """The lines of one CLI."""
    daemon = int(site.daemon.call("health")["pid"])
    pids = [add(site, cli, "first")]
    one = private_megabytes(daemon)
    pids += [add(site, cli, f"more-{number}") for number in range(more)]
    many = private_megabytes(daemon)
    told = f"{one:.1f} with 1, {many:.1f} with {more + 1}"
    line(f"{cli}: daemon, per agent", (many - one) / more, told, DAEMON_LIMIT_MB)

    def middle(read: Callable[[int], int] = lambda pid: pid) -> float:
        return median(private_megabytes(read(pid)) for pid in pids)

    line(f"{cli}: holder, private", middle(parent_of), f"median of {more + 1}")
    if cli == "opencode":
        line("opencode: bridge, private", middle(), f"median of {more + 1}")


def main(clis: Sequence[str]) -> None:
    """Measure and print."""
    commands = sealed_commands()
    for cli in clis:
        more = MORE.get(cli, OTHERWISE)
        with place(commands, "codex" if cli == "demo" else cli, max_agents=more + 1, keep_free_mb=0) as site:
            measure(site, cli, more)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(MORE))
