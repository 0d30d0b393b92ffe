"""An index in two parts is read whole, none is written, and one that cannot be read is said not to be kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    """Bytes that are staged and nowhere else, a file that is ignored and added all the same, one that is deleted."""
    rig.commit("ignore", **{".gitignore": "*.bin\n"})
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("update-index", "--split-index")
    agent.write("a.txt", "staged\n")
    agent.git("add", "a.txt")
    agent.write("a.txt", "lies there\n")
    agent.write("forced.bin", "forced\n")
    agent.git("add", "-f", "forced.bin")
    agent.git("rm", "-q", "gone.txt")
    assert list((folder / ".git").glob("sharedindex.*"))
    return agent


async def test_what_is_staged_in_a_split_index_comes_back(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    status = agent.status()
    entry = await git.keep(rig.top, agent.top, BEAD, "removed")
    assert (entry.incomplete, entry.notes) == ((), ())
    back = Repo(tmp_path / "back")
    await git.restore(rig.top, entry.ref, back.top)
    assert back.git("show", ":a.txt") == "staged" and back.status() == status
    assert (back.top / "forced.bin").read_text() == "forced\n"
    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert set(found.changed_paths) == {"a.txt", "forced.bin", "gone.txt"}
    assert agent.status() == ""


async def test_a_file_changed_in_the_tick_of_a_split_index_is_seen(rig: Repo, agent: Repo) -> None:
    agent.git("reset", "-q", "--hard")
    index, file = agent.top / ".git/index", agent.top / "a.txt"
    file.write_text("A\nb\nc\n")
    agent.git("add", "a.txt")
    status = file.stat()
    file.write_text("x\nb\nc\n")
    for path in (file, index):
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert rig.tree(found.head)["a.txt"] == "x\nb\nc"


async def test_a_persons_wish_for_split_indexes_makes_none(rig: Repo, folder: Path) -> None:
    rig.git("config", "core.splitIndex", "true")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    assert agent.status() == ""
    agent.write("a.txt", "changed\n")
    assert (await git.collect(rig.top, folder, BRANCH, REF, rig.sha(), "work")).leftovers_committed
    agent.write("a.txt", "again\n")
    await git.restore(rig.top, (await git.keep(rig.top, folder, BEAD, "r")).ref, folder.with_name("two"))
    assert Repo(folder.with_name("two")).status() == agent.status() == " M a.txt"
    places = (rig.top, folder, folder.with_name("two"))
    assert [part for top in places for part in (top / ".git").glob("sharedindex.*")] == []


def damage(top: Path) -> None:
    (top / ".git/index").write_bytes(b"DIRC nonsense")


def lose_a_part(top: Path) -> None:
    for part in (top / ".git").glob("sharedindex.*"):
        part.unlink()


def link_a_part(top: Path) -> None:
    for part in (top / ".git").glob("sharedindex.*"):
        part.rename(top.with_name("elsewhere"))
        part.symlink_to(top.with_name("elsewhere"))


def link_all(top: Path) -> None:
    (top / ".git/index").rename(top.with_name("elsewhere"))
    (top / ".git/index").symlink_to(top.with_name("elsewhere"))


@pytest.mark.parametrize("spoil", [damage, lose_a_part, link_a_part, link_all])
async def test_an_index_that_cannot_be_read_is_said_not_to_be_kept(
    rig: Repo, agent: Repo, spoil: Callable[[Path], None]
) -> None:
    spoil(agent.top)
    entry = await git.keep(rig.top, agent.top, BEAD, "removed")
    (note,) = entry.incomplete
    assert note.startswith("what was staged is not kept, but for what the files have (")
    assert rig.tree(entry.tree)["a.txt"] == "lies there"


async def test_without_an_index_nothing_was_staged(rig: Repo, agent: Repo) -> None:
    (agent.top / ".git/index").unlink()
    assert (await git.keep(rig.top, agent.top, BEAD, "removed")).incomplete == ()
