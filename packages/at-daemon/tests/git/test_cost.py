"""How many git processes each step of a bead's way starts: a ratchet, since each costs about two milliseconds."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest

from at_daemon import git
from at_daemon.git.testing import BRANCH, REF, Repo, log_starts

_T = TypeVar("_T")

pytestmark = pytest.mark.anyio


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for each git process started."""
    return log_starts(tmp_path, monkeypatch.setenv)


async def test_processes_per_step(rig: Repo, folder: Path, starts: Path) -> None:
    counts: dict[str, int] = {}

    async def step(name: str, work: Awaitable[_T]) -> _T:
        starts.write_text("")
        result = await work
        counts[name] = len(starts.read_text().split())
        return result

    base = rig.sha()
    await step("prepare", git.prepare(rig.top, folder, BRANCH, "main"))
    await step("prepare again", git.prepare(rig.top, folder, BRANCH, "main"))
    agent = Repo(folder)
    agent.commit("work", **{"a.txt": "work\n"})
    await step("collect", git.collect(rig.top, folder, BRANCH, REF, base, "m"))
    agent.write("left.txt", "over\n")
    collected = await step("collect leftovers", git.collect(rig.top, folder, BRANCH, REF, base, "m"))
    forecast = await step("try_merge", git.try_merge(rig.top, collected.head, "main"))
    merge = await step("make_merge", git.make_merge(rig.top, collected.head, base, forecast.tree, "m"))
    await step("land", git.land(rig.top, merge, "main", base))
    await step("land again", git.land(rig.top, merge, "main", base))
    await step("read_file_at", git.read_file_at(rig.top, "main", "a.txt"))
    assert counts == {
        "prepare": 5,
        "prepare again": 1,
        "collect": 10,
        "collect leftovers": 10,
        "try_merge": 2,
        "make_merge": 2,
        "land": 4,
        "land again": 1,
        "read_file_at": 1,
    }
