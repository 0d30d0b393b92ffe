"""An operation that an agent left in the middle: what of it is kept, and that the rest is said not to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, Repo

pytestmark = pytest.mark.anyio


async def test_a_file_in_conflict_whose_name_is_ignored_is_kept(
    rig: Repo, folder: Path, tmp_path: Path
) -> None:
    rig.commit("ignore", **{".gitignore": "*.gen\n"})
    rig.write("x.gen", "1\n")
    rig.git("add", "-f", "x.gen")
    rig.git("commit", "-q", "-m", "generated")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("checkout", "-q", "-b", "other")
    agent.commit("other", **{"x.gen": "2\n"})
    agent.git("checkout", "-q", BRANCH)
    agent.git("rm", "-q", "x.gen")
    agent.git("commit", "-q", "-m", "gone")
    agent.git("merge", "-q", "other", ok=False)
    agent.write("x.gen", "by hand\n")
    assert agent.status() == "DU x.gen"
    entry = await git.keep(rig.top, folder, BEAD, "r")
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert (tmp_path / "back/x.gen").read_text() == "by hand\n"
    assert Repo(tmp_path / "back").status() == "DU x.gen"


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


async def test_the_patches_of_an_am_that_stopped_are_kept(
    rig: Repo, agent: Repo, make_repo: Callable[[str], Repo], tmp_path: Path
) -> None:
    other = make_repo("other")
    other.commit("one", **{"a.txt": "patched\n"})
    other.commit("two", **{"z.txt": "second\n"})
    mails = other.git("format-patch", "--stdout", "HEAD~2").encode()
    agent.commit("mine", **{"a.txt": "mine\n"})
    agent.git("am", "-q", ok=False, stdin=mails)
    patches = {name: (agent.top / ".git/rebase-apply" / name).read_text() for name in ("0001", "0002")}

    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == (
        "a git am was under way: its patches are kept as the files of refs/kept/patches, where it stood is not",
    )
    assert await git.keep(rig.top, agent.top, BEAD, "r") == entry
    back = Repo(tmp_path / "back")
    assert (await git.restore(rig.top, entry.ref, back.top)).notes == entry.incomplete
    assert {
        name: back.git("show", f"refs/kept/patches:{name}") + "\n" for name in back.tree("refs/kept/patches")
    } == patches
    again = await git.keep(rig.top, back.top, BEAD, "r")
    assert again.refs["refs/kept/patches"] == entry.refs["refs/kept/patches"]


async def test_patches_that_cannot_be_read_are_said_not_to_be_kept(rig: Repo, agent: Repo) -> None:
    agent.write(".git/rebase-apply/applying", "")
    (agent.top / ".git/rebase-apply/0001").symlink_to("/etc/passwd")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == ("a git am was under way: neither its patches are kept nor where it stood",)


@pytest.mark.parametrize("command", ["cherry-pick", "revert"])
async def test_a_row_that_stopped_between_two_commits_is_told_and_what_is_to_come_is_kept(
    rig: Repo, agent: Repo, command: str
) -> None:
    agent.git("config", "core.logAllRefUpdates", "false")
    agent.git("checkout", "-q", "--detach")
    row = [agent.commit(name, **{"a.txt": f"{name}\n"}) for name in ("one", "two", "three")]
    agent.git("checkout", "-q", BRANCH)
    agent.git("update-ref", "-d", "ORIG_HEAD")
    agent.commit("mine", **{"a.txt": "mine\n"})
    agent.git(command, *row, ok=False)
    agent.write("a.txt", "resolved\n")
    agent.git("add", "a.txt")
    agent.git("commit", "-q", "-m", "done")
    assert (agent.top / ".git/sequencer/todo").exists() and agent.status() == ""
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == (f"a {command} was under way: its commits are kept, where it stood is not",)
    assert row[2] in entry.parents


async def test_a_bisect_is_told(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    for name in ("one", "two", "three", "four"):
        agent.commit(name, **{"a.txt": f"{name}\n"})
    agent.git("bisect", "start", "HEAD", "HEAD~4")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == (
        "a bisect was under way: what was found good and bad is kept, where it stood is not",
    )
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    asked = ("for-each-ref", "refs/bisect/")
    assert Repo(tmp_path / "back").git(*asked) == agent.git(*asked) != ""


async def test_what_was_fetched_and_not_named_is_kept(
    rig: Repo, agent: Repo, make_repo: Callable[[str], Repo]
) -> None:
    other = make_repo("other")
    names = [f"b{number}" for number in range(60)]
    for name in names:
        other.git("branch", name)
    fetched = other.commit("nowhere else", **{"u.txt": "u"})
    other.git("branch", "zz")
    agent.git("fetch", "-q", str(other.top), *names, "zz")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert fetched in entry.parents and fetched in entry.refs.values()
