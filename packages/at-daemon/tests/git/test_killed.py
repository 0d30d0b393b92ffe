"""Killed with SIGKILL at any line, then executed again: as if it had never been killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

# How many instants are tried for each operation and way to die; more for a long run.
KILLS = int(os.environ.get("AT_KILLS", "2"))
DATE = {"date": 1_700_000_000}


@dataclass(frozen=True)
class World:
    """A person's repository and an agent's folder, put back to the same beginning before each attempt."""

    top: Path
    rig: Repo
    folder: Path
    merge: str
    base: str

    def save(self) -> None:
        shutil.copytree(self.top, self.top.with_name("saved"), symlinks=True)

    def put_back(self) -> None:
        shutil.rmtree(self.top)
        shutil.copytree(self.top.with_name("saved"), self.top, symlinks=True)

    def state(self) -> dict[str, Any]:
        """All that a person or an agent can see, and every file that has no business to be there."""
        agent = Repo(self.folder)
        odd = [
            str(path)
            for pattern in ("**/*.lock", "**/at-landing*", "**/.*.at-*")
            for path in self.top.glob(pattern)
        ]
        return {
            "refs": self.rig.git("for-each-ref"),
            "files": _files(self.rig.top),
            "status": self.rig.status(),
            "fsck": self.rig.git("fsck", "--connectivity-only", "--no-dangling"),
            "agent files": _files(self.folder),
            "agent": (agent.git("status", "--branch", "--porcelain"), agent.sha())
            if self.folder.exists()
            else None,
            "gate": _files(self.folder.with_name("gate")),
            "odd": odd,
        }


def _files(top: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(top)): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(top.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(top).parts
    }


Call = tuple[str, list[str], dict[str, Any]]


def _prepare(world: World) -> Call:
    return "prepare", [str(world.rig.top), str(world.folder.with_name("two")), "at/22222222-two", "main"], {}


def _collect(world: World) -> Call:
    return "collect", [str(world.rig.top), str(world.folder), BRANCH, REF, world.base, "Leftovers"], DATE


def _keep(world: World) -> Call:
    return "keep", [str(world.rig.top), str(world.folder), BEAD, "removed"], DATE


def _checkout(world: World) -> Call:
    return "checkout_tree", [str(world.rig.top), str(world.folder.with_name("gate")), world.merge], {}


def _land(world: World) -> Call:
    return "land", [str(world.rig.top), world.merge, "main", world.base], {"bead_id": BEAD}


def _remove(world: World) -> Call:
    return "set_aside_folder", [str(world.folder), str(world.folder.parent)], {}


@pytest.fixture
def world(rig: Repo, tmp_path: Path) -> World:
    top = tmp_path / "world"
    top.mkdir()
    rig.top.rename(top / "rig")
    rig, folder = Repo(top / "rig"), top / "state/one"
    base = rig.sha()
    for number in range(5):
        rig.write(f"many/{number}", f"{number}\n")
    rig.git("checkout", "-q", "-b", "side")
    (rig.top / "gone.txt").unlink()
    head = rig.commit("side", **{"a.txt": "A\n" * 50, "d/inner.txt": "INNER\n"})
    rig.git("checkout", "-q", "main")
    merge = rig.git("commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", "merge")
    anyio.run(git.prepare, rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.commit("work", **{"a.txt": "work\n"})
    agent.write("left.txt", "over\n")
    made = World(top, rig, folder, merge, base)
    made.save()
    return made


@pytest.fixture(scope="module")
def zygote() -> Iterator[Callable[..., dict[str, Any]]]:
    """Asks one process of ours that forks for each attempt: importing costs more than the attempt."""
    script = Path(__file__).with_name("zygote.py")
    process = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None and process.stdout is not None
    ask, answer = process.stdin, process.stdout

    def run(call: Call, at: int | None = None, children: bool = False) -> dict[str, Any]:
        name, arguments, keywords = call
        request: dict[str, Any] = {
            "call": name,
            "arguments": arguments,
            "keywords": keywords,
            "at": at,
            "children": children,
        }
        request["home"] = os.environ["HOME"]
        ask.write(json.dumps(request) + "\n")
        found: dict[str, Any] = json.loads(answer.readline())
        return found

    yield run
    ask.close()
    answer.close()
    process.wait()


def _again(call: Call) -> None:
    name, arguments, keywords = call
    words = [Path(word) if word.startswith("/") else word for word in arguments]

    async def main() -> None:
        await getattr(git, name)(*words, **keywords)

    anyio.run(main)


@pytest.mark.parametrize("children", [False, True], ids=["alone", "with-its-git"])
@pytest.mark.parametrize("operation", [_prepare, _collect, _keep, _checkout, _land, _remove])
def test_killed_at_any_line(
    world: World,
    zygote: Callable[..., dict[str, Any]],
    operation: Callable[[World], Call],
    children: bool,
) -> None:
    call = operation(world)
    undisturbed = zygote(call)
    assert not undisturbed["killed"], undisturbed
    expected = world.state()
    assert expected["odd"] == []
    lines = int(undisturbed["lines"])
    for at in random.Random(f"{call[0]} {children}").sample(range(1, lines), min(KILLS, lines - 1)):
        world.put_back()
        killed = zygote(call, at, children)
        assert killed["killed"], (at, killed)
        _again(call)
        state = world.state()
        assert {key: state[key] for key in state if state[key] != expected[key]} == {}, (
            f"killed at line {at} of {lines}"
        )
