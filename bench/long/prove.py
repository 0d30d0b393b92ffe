"""How long `at prove` takes for one CLI, all cases. JSON lines for `tools/bench.py`, which runs this when it is named.

python bench/long/prove.py [CLI …]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from clis.install import installed

from at_session.rehearsal.clis import CLIS

LIMIT_SECONDS = 180.0
PATIENCE_SECONDS = 900.0


def prove(cli: str, commands: Path, home: str) -> None:
    """One line: the seconds that it says it took, beside its verdicts and the case that took longest."""
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "at_cli", "prove", "--cli", cli, "--json"],
        env={"PATH": path, "HOME": home, "LANG": "C.UTF-8", "AT_START_SECONDS": "40"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if not ran.stdout:
        raise SystemExit(f"at prove --cli {cli} ended with {ran.returncode}")
    document = json.loads(ran.stdout)
    cells = document["cells"]
    longest = max(cells, key=lambda cell: float(cell["seconds"]))
    verdicts = ", ".join(
        f"{count} {each}" for each, count in Counter(cell["verdict"] for cell in cells).items()
    )
    for cell in cells:
        if cell["verdict"] == "fail":
            print(f"{cli} {cell['case']}: {cell['fact']}")
    figure = {"name": f"at prove --cli {cli}", "value": document["seconds"], "unit": "s"}
    figure |= {"yardstick": f"{verdicts}; longest {longest['case']} {longest['seconds']:.0f}"}
    print(json.dumps(figure | {"limit": LIMIT_SECONDS, "limit_of": "value"}), flush=True)


def main(clis: Sequence[str]) -> None:
    """Measure and print."""
    commands = installed()
    with tempfile.TemporaryDirectory(prefix="at-bench-") as home:
        for cli in clis:
            prove(cli, commands, home)


if __name__ == "__main__":
    main(sys.argv[1:] or CLIS)
