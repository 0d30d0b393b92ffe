"""What it takes to look whether a new commit of one work conflicts with those of all others, and that the target moved.

    python packages/at-daemon/bench/foresight.py [works] [commits]

All works are changes of the same two files, so that every second pair conflicts.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import anyio

from at_core.paths import Home
from at_core.store import Store
from at_core.types import Bead, BeadStatus, Rig
from at_core.vocabulary import BeadFact
from at_daemon.foresight import Foresight
from at_daemon.git.clone import prepare
from at_daemon.git.testing import Repo
from at_daemon.ledger import Change, Ledger
from at_daemon.testing import Desk, FakeClock
from at_daemon.world import Worlds

LIMIT_MS = 50
"""Of the best, for git's own part of it is what a busy machine makes longer."""
FILES = ("one.txt", "two.txt")


def make_rig(desk: Desk, top: Path) -> Rig:
    top.mkdir()
    repo = Repo(top)
    repo.git("init", "-q", "-b", "main")
    repo.commit("Begin", **dict.fromkeys(FILES, "begin\n"))
    rig = Rig(id=uuid4(), name="rig", path=str(top), target="main", created_at=desk.clock.now())
    desk.do(lambda change: change.tx.add_rig(rig))
    return rig


def begin(desk: Desk, rig: Rig, folder: Path, number: int) -> Repo:
    """A work that has changed a file."""
    agent = desk.agent(f"agent-{number}")
    bead = dataclasses.replace(
        Bead.new(f"work {number}"), rig=str(rig.id), agent_id=agent.id, status=BeadStatus.SLUNG
    )
    anyio.run(prepare, Path(rig.path), folder, f"at/{number}", "main")
    clone = Repo(folder)
    value = {"path": str(folder), "branch": f"at/{number}", "target": "main", "base_sha": clone.sha()}

    def add(change: Change) -> None:
        change.tx.add_bead(bead)
        change.put(bead.id, BeadFact.FOLDER, value)

    desk.do(add)
    clone.commit("Work", **{FILES[number % 2]: f"{number}\n"})
    return clone


async def measure(
    foresight: Foresight, rig: Repo, clones: list[Repo], commits: int
) -> tuple[list[float], float]:
    """Milliseconds of each new commit, and of a target that moved."""
    await foresight.look()
    took: list[float] = []
    for number in range(commits):
        clones[number % len(clones)].commit("More", **{FILES[0]: f"more {number}\n"})
        started = time.perf_counter()
        await foresight.look()
        took.append((time.perf_counter() - started) * 1000)
    rig.commit("Landed", **{"three.txt": "landed\n"})
    started = time.perf_counter()
    await foresight.look(again=True)
    return took, (time.perf_counter() - started) * 1000


def main() -> None:
    works = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    commits = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HOME"] = name
        (folder / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n")
        clock = FakeClock()
        with Store.open(folder / "store.db") as store:
            desk = Desk(Ledger(store, Worlds(clock)), clock)
            rig = make_rig(desk, folder / "rig")
            clones = [begin(desk, rig, folder / f"work-{number}", number) for number in range(works)]
            foresight = Foresight(desk.parts(Home(folder)))
            took, moved = anyio.run(measure, foresight, Repo(Path(rig.path)), clones, commits)
    for what, value, limit in (
        ("a new commit, median", statistics.median(took), None),
        ("a new commit, best", min(took), LIMIT_MS),
        ("a target that moved", moved, None),
    ):
        line = {"name": f"conflicts of {works} works: {what}", "value": round(value, 1), "unit": "ms"}
        print(json.dumps(line | {"yardstick": None, "limit": limit, "limit_of": "value"}))


if __name__ == "__main__":
    main()
