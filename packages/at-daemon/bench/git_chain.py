"""The git work of a whole bead against the same git commands by hand, on a small repository.

    python packages/at-daemon/bench/git_chain.py [runs]

Prints the best and the median of both, in milliseconds, and their ratio. By hand: clone --shared, checkout -b, (the
agent's commit, in both,) add and commit of leftovers, fetch, merge-tree, commit-tree, merge --ff-only.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from at_daemon import git

BRANCH = "at/0123abcd-work"


def run(top: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=top, check=True, capture_output=True)
    return done.stdout.decode().strip()


def make_rig(top: Path) -> None:
    top.mkdir()
    run(top, "init", "-q", "-b", "main")
    for number in range(50):
        file = top / f"src/{number % 5}/{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n" * 100)
    run(top, "add", "-A")
    run(top, "commit", "-q", "-m", "first")


def agent_works(folder: Path) -> None:
    (folder / "src/0/0.txt").write_text("work\n")
    run(folder, "commit", "-q", "-a", "-m", "work")
    (folder / "left.txt").write_text("over\n")


def by_hand(rig: Path, folder: Path) -> float:
    folder.parent.mkdir()
    started = time.perf_counter()
    run(rig, "clone", "-q", "--shared", ".", str(folder))
    run(folder, "checkout", "-q", "-b", BRANCH)
    paused = time.perf_counter()
    agent_works(folder)
    resumed = time.perf_counter()
    run(folder, "add", "-A")
    run(folder, "commit", "-q", "-m", "leftovers")
    run(rig, "fetch", "-q", str(folder), f"{BRANCH}:{BRANCH}")
    head = run(rig, "rev-parse", BRANCH)
    tree = run(rig, "merge-tree", "--write-tree", "main", head)
    merge = run(rig, "commit-tree", tree, "-p", "main", "-p", head, "-m", "merge")
    run(rig, "merge", "-q", "--ff-only", merge)
    return time.perf_counter() - started - (resumed - paused)


async def by_us(rig: Path, folder: Path) -> float:
    started = time.perf_counter()
    prepared = await git.prepare(rig, folder, BRANCH, "main")
    paused = time.perf_counter()
    agent_works(folder)
    resumed = time.perf_counter()
    collected = await git.collect(rig, folder, BRANCH, "refs/at/beads/x", prepared.base_sha, "leftovers")
    forecast = await git.try_merge(rig, collected.head, "main")
    merge = await git.make_merge(rig, collected.head, forecast.target_sha, forecast.tree, "merge")
    landed = await git.land(rig, merge, "main", forecast.target_sha)
    assert isinstance(landed, git.Landed)
    return time.perf_counter() - started - (resumed - paused)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ["HOME"] = name
        (root / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n")
        make_rig(root / "start")
        took: dict[str, list[float]] = {"by hand": [], "by us": []}

        def fresh() -> None:
            for folder in ("rig", "state"):
                shutil.rmtree(root / folder, ignore_errors=True)
            shutil.copytree(root / "start", root / "rig")
            run(root / "rig", "status")

        async def all_of_ours() -> None:
            # One loop for all runs, as in the daemon.
            for _ in range(runs):
                fresh()
                took["by hand"].append(by_hand(root / "rig", root / "state/one") * 1000)
                fresh()
                took["by us"].append(await by_us(root / "rig", root / "state/one") * 1000)

        anyio.run(all_of_ours)
    for name, figure in (("median", statistics.median), ("best", min)):
        ours, hand = figure(took["by us"]), figure(took["by hand"])
        line = {"name": f"git chain, prepare to land, {name}", "value": round(ours, 1), "unit": "ms"}
        line |= {"yardstick": round(hand, 1), "yardstick_name": "git by hand", "ratio": round(ours / hand, 2)}
        print(json.dumps(line | {"limit": None}))


if __name__ == "__main__":
    main()
