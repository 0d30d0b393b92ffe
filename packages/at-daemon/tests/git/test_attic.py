"""What is removed can be had back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BEAD, BRANCH, Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


async def test_everything_comes_back(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    agent.commit("ignore", **{".gitignore": "*.log\n"})
    lost = agent.commit("reset away", **{"lost.txt": "lost"})
    agent.git("reset", "-q", "--hard", "HEAD~1")
    for text in ("older", "newer"):
        agent.write("a.txt", f"stash {text}\n")
        agent.git("stash", "-q")
    stashes = agent.git("stash", "list", "--format=%H").split("\n")
    agent.git("checkout", "-q", "-b", "elsewhere")
    elsewhere = agent.commit("elsewhere", **{"e.txt": "e"})
    agent.git("tag", "-a", "mark", "-m", "mark")
    agent.git("checkout", "-q", BRANCH)
    agent.write("a.txt", "staged\n")
    agent.git("add", "a.txt")
    agent.write("a.txt", "modified\n")
    agent.write("new\nfile", "untracked\n")
    agent.write("noise.log", "ignored\n")
    (agent.top / "gone.txt").unlink()
    head, status = agent.sha(), agent.git("status", "--porcelain").replace("MM", " M")

    entry = await git.keep(rig.top, agent.top, BEAD, "removed by the person")
    assert (entry.ref, entry.bead_id, entry.reason) == (
        f"refs/at/attic/{BEAD}/1",
        BEAD,
        "removed by the person",
    )
    assert entry.ignored == ("noise.log",) and entry.parents[0] == head
    assert await git.keep(rig.top, agent.top, BEAD, "again") == entry
    await git.remove_folder(agent.top, agent.top.parent)
    rig.git("reflog", "expire", "--expire=now", "--all")
    rig.git("gc", "-q", "--prune=now")
    for sha in (lost, elsewhere, *stashes):
        assert rig.git("merge-base", "--is-ancestor", sha, entry.ref) == ""
    assert "staged" in [rig.tree(parent)["a.txt"] for parent in entry.parents]

    back = Repo(tmp_path / "back")
    await git.restore(rig.top, entry.ref, back.top)
    assert back.git("symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert (back.sha(), back.git("status", "--porcelain")) == (head, status)
    assert (back.top / "a.txt").read_text() == "modified\n"
    assert back.sha("elsewhere") == elsewhere
    assert back.git("fsck", "--connectivity-only", "--no-dangling") == ""
    with pytest.raises(errors.FolderInTheWay):
        await git.restore(rig.top, entry.ref, back.top)


async def test_a_second_look_is_a_second_entry(rig: Repo, agent: Repo) -> None:
    first = await git.keep(rig.top, agent.top, BEAD, "one")
    agent.write("a.txt", "more")
    second = await git.keep(rig.top, agent.top, BEAD, "two")
    assert [entry.ref for entry in await git.attic_entries(rig.top, BEAD)] == [first.ref, second.ref]
    assert await git.attic_entries(rig.top, "other") == []


async def test_a_repository_inside_is_kept_whole(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    inner = Repo(agent.top / "vendor/lib")
    inner.top.mkdir(parents=True)
    inner.git("init", "-q")
    inner.commit("one", f="x")
    sha = inner.commit("two", f="y")
    inner.write("g", "dirty")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert "vendor/lib" in entry.notes[0]
    inside = next(e for e in await git.attic_entries(rig.top) if "vendor/lib" in e.reason)
    await git.restore(rig.top, inside.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").sha() == sha and (tmp_path / "back/g").read_text() == "dirty"


async def test_work_in_a_submodule_is_kept_in_the_persons_own(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("other").top), "sub")
    base = rig.commit("add")
    await git.prepare(rig.top, folder, BRANCH, base)
    unchanged = await git.keep(rig.top, folder, BEAD, "r")
    assert unchanged.notes == ()
    inner = Repo(folder / "sub")
    sha = inner.commit("inside", **{"a.txt": "inside"})
    inner.write("dirty", "dirty")
    entry = await git.keep(rig.top, folder, BEAD, "r")
    assert len(entry.notes) == 1
    (inside,) = await git.attic_entries(rig.top / "sub")
    assert inside.parents == (sha,) and Repo(rig.top / "sub").tree(inside.sha)["dirty"] == "dirty"


async def test_what_a_rewritten_branch_let_go_comes_back_too(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    base, ref = rig.sha(), f"refs/at/beads/{BEAD}"
    agent.commit("one", **{"a.txt": "one"})
    first = await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    agent.git("commit", "-q", "--amend", "-m", "other")
    await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    (entry,) = await git.attic_entries(rig.top)
    assert (entry.sha, entry.whole) == (first.head, False)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").sha() == first.head


@pytest.mark.parametrize("ref", ["refs/at/attic/none/1", "refs/heads/main", "refs/at/attic/-x/1"])
async def test_no_such_entry(rig: Repo, tmp_path: Path, ref: str) -> None:
    with pytest.raises((errors.RevisionMissing, errors.BadName)):
        await git.restore(rig.top, ref, tmp_path / "back")
    assert not (tmp_path / "back").exists()
