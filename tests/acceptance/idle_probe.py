"""Run as the first process of a PID namespace: twenty idle agents, then nothing for a while, then what it cost.

`python idle_probe.py FOLDER AGENTS SECONDS`. Prints one JSON line. The kernel counts every process and thread that is
made in a namespace (`ns_last_pid` is the newest number given out), so nothing can be missed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from acceptance.product import make_product

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: list[int]) -> float:
    """CPU time used so far by these processes."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def holders() -> list[int]:
    """Process ids of the holders."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            if folder.name.isdigit() and b"holder" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def main(folder: Path, agents: int, seconds: float) -> None:
    product = make_product(folder)
    beads = [product.start(f"write file-{number}.txt x") for number in range(agents)]
    for bead in beads:
        product.wait(bead, "bead.proved")
    daemon, held = product.daemon_pid(), holders()
    threading.Event().wait(3)  # what the last commands left to do
    forks, used = int(LAST_PID.read_text()), (cpu_seconds([daemon]), cpu_seconds(held))
    threading.Event().wait(seconds)
    made = int(LAST_PID.read_text()) - forks
    spent = (cpu_seconds([daemon]) - used[0], cpu_seconds(held) - used[1])
    labels = {agent["label"] for agent in product.json("agents")["agents"]}
    product.at("down")
    print(
        json.dumps(
            {
                "agents": len(held),
                "labels": sorted(labels),
                "seconds": seconds,
                "processes_made": made,
                "daemon_cpu_seconds": round(spent[0], 3),
                "holders_cpu_seconds": round(spent[1], 3),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
