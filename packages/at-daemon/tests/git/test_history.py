"""What a removal keeps of a history that is not as usual: unborn, damaged, fetched in part, or refused by git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BEAD, BRANCH, Repo, keep_and_remove

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


@pytest.fixture
def working(agent: Repo) -> Repo:
    """A commit on its branch, two on `side`, a stash."""
    agent.commit("work", **{"work.txt": "work"})
    agent.git("checkout", "-q", "-b", "side", "main")
    agent.commit("side", **{"s.txt": "side"})
    agent.commit("side again", **{"t.txt": "again"})
    agent.git("checkout", "-q", BRANCH)
    agent.write("a.txt", "stashed")
    agent.git("stash", "-q")
    return agent


def _file_of(repo: Repo, expression: str) -> Path:
    sha = repo.sha(expression)
    path = repo.top / ".git/objects" / sha[:2] / sha[2:]
    path.chmod(0o644)
    return path


async def test_an_unborn_branch_is_one_again_and_the_others_are_kept(
    rig: Repo, working: Repo, tmp_path: Path
) -> None:
    tips = {name: working.sha(name) for name in (BRANCH, "side", "stash")}
    working.write(".gitignore", "*.log\n")
    working.git("switch", "-q", "--orphan", "pages")
    working.write("page.txt", "staged")
    working.write("forced.log", "forced")
    working.git("add", "-f", "page.txt", "forced.log")
    for path in ("page.txt", "new.txt", "forced.log"):
        working.write(path, "later")
    status = working.status()
    entry = await keep_and_remove(rig, working)
    assert entry.incomplete == () and entry.unborn
    back = Repo(tmp_path / "back")
    assert (await git.restore(rig.top, entry.ref, back.top)).notes == ()
    assert back.git("symbolic-ref", "HEAD") == "refs/heads/pages"
    assert back.git("for-each-ref", "refs/heads/pages") == ""
    assert back.status() == status and back.git("show", ":page.txt") == "staged"
    assert (back.top / "forced.log").read_text() == "later"
    assert (back.sha(BRANCH), back.sha("side")) == (tips[BRANCH], tips["side"])
    assert rig.git("merge-base", "--is-ancestor", tips["stash"], entry.sha) == ""
    await git.restore_branch(rig.top, entry.ref, "mine")
    assert rig.git("rev-list", "--count", "mine") == "1" and rig.tree("mine")["new.txt"] == "later"


async def test_a_head_that_is_a_link_names_a_branch(rig: Repo, working: Repo, tmp_path: Path) -> None:
    working.git("-c", "core.preferSymlinkRefs=true", "checkout", "-q", "side")
    assert (working.top / ".git/HEAD").is_symlink()
    side = working.sha()
    entry = await keep_and_remove(rig, working)
    assert (entry.head, entry.head_ref, entry.notes) == (side, "refs/heads/side", ())


async def test_a_head_that_cannot_be_read_is_named(rig: Repo, working: Repo) -> None:
    tip = working.sha()
    (working.top / f".git/refs/heads/{BRANCH}").write_bytes(b"")
    entry = await keep_and_remove(rig, working)
    (note,) = entry.incomplete
    assert f"refs/heads/{BRANCH} could not be read" in note
    assert rig.git("merge-base", "--is-ancestor", tip, entry.sha) == ""
    assert rig.tree(entry.tree)["work.txt"] == "work"


@pytest.mark.parametrize("content", [b"", b"garbage", None])
@pytest.mark.parametrize("what", ["", "^{tree}", ":t.txt"])
async def test_a_damaged_commit_takes_nothing_else_with_it(
    rig: Repo, working: Repo, tmp_path: Path, what: str, content: bytes | None
) -> None:
    tips = {name: working.sha(name) for name in (BRANCH, "side~1", "stash", "side")}
    damaged = _file_of(working, f"side{what}")
    damaged.unlink() if content is None else damaged.write_bytes(content)
    entry = await keep_and_remove(rig, working)
    (note,) = entry.incomplete
    assert "refs/heads/side" in note and tips["side"][:12] in note
    for name in (BRANCH, "side~1", "stash"):
        assert rig.git("merge-base", "--is-ancestor", tips[name], entry.sha) == ""
    assert "refs/heads/side" not in entry.refs
    restored = await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert restored.notes == (note,) and Repo(tmp_path / "back").sha() == tips[BRANCH]


@pytest.mark.parametrize("what", ["^{tree}", ":work.txt"])
async def test_what_the_files_have_too_is_not_lost(rig: Repo, working: Repo, what: str) -> None:
    tip = working.sha()
    _file_of(working, f"HEAD{what}").write_bytes(b"")
    entry = await keep_and_remove(rig, working)
    assert (entry.incomplete, entry.head) == ((), tip)


@pytest.mark.parametrize("what", ["", "^{tree}", ":work.txt"])
async def test_where_head_is_damaged_the_files_and_the_rest_are_kept(
    rig: Repo, working: Repo, tmp_path: Path, what: str
) -> None:
    side = working.sha("side")
    working.write("staged.txt", "staged")
    working.git("add", "staged.txt")
    working.write("staged.txt", "later")
    _file_of(working, f"HEAD{what}").write_bytes(b"")
    working.write("work.txt", "changed")
    entry = await keep_and_remove(rig, working)
    assert any(f"refs/heads/{BRANCH}" in note for note in entry.incomplete) and entry.unborn
    assert entry.refs["refs/heads/side"] == side
    files = {"work.txt": "changed", "a.txt": "a\nb\nc", "staged.txt": "later"}
    assert files.items() <= rig.tree(entry.tree).items()
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back")
    assert (back.top / "staged.txt").read_text() == "later" and back.sha("side") == side
    assert back.git("for-each-ref", f"refs/heads/{BRANCH}") == ""


@pytest.mark.parametrize("content", [b"", None])
async def test_a_damaged_staged_file_is_named(rig: Repo, working: Repo, content: bytes | None) -> None:
    working.write("staged.txt", "staged")
    working.git("add", "staged.txt")
    damaged = _file_of(working, ":staged.txt")
    damaged.unlink() if content is None else damaged.write_bytes(content)
    working.write("staged.txt", "later")
    side, tip = working.sha("side"), working.sha()
    entry = await keep_and_remove(rig, working)
    (note,) = entry.incomplete
    assert "what was staged" in note and rig.tree(entry.tree)["staged.txt"] == "later"
    assert (entry.head, entry.refs["refs/heads/side"]) == (tip, side)


async def test_what_git_refuses_holds_up_the_removal(rig: Repo, working: Repo) -> None:
    made = working.git("cat-file", "commit", "side").replace("author Ada <", "author Ada<", 1)
    sha = working.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=made.encode())
    working.git("update-ref", "refs/heads/odd", sha)
    with pytest.raises(errors.HistoryUnkept, match="refs/heads/odd .* is not removed; mv ") as raised:
        await git.keep(rig.top, working.top, BEAD, "r")
    assert "\n" not in str(raised.value) and await git.attic_entries(rig.top) == []
    (working.top / ".git").rename(working.top.parent / "history")
    assert rig.tree((await git.keep(rig.top, working.top, BEAD, "r")).tree)["work.txt"] == "work"


@pytest.fixture
def fetched(working: Repo, make_repo: Callable[[str], Repo]) -> Repo:
    """Its clone has a remote's newest commit, without its history; that remote."""
    other = make_repo("other")
    other.commit("one", **{"o.txt": "before"})
    other.commit("two", **{"o.txt": "theirs"})
    working.git("remote", "add", "other", f"file://{other.top}")
    working.git("fetch", "-q", "--depth=1", "other")
    return other


async def test_what_was_fetched_without_its_history_is_kept_as_far_as_it_is_there(
    rig: Repo, working: Repo, fetched: Repo, tmp_path: Path
) -> None:
    tips = {name: working.sha(name) for name in (BRANCH, "side", "stash")}
    entry = await keep_and_remove(rig, working)
    (note,) = entry.incomplete
    assert "refs/remotes/other/main" in note and fetched.sha()[:12] in note
    for sha in tips.values():
        assert rig.git("merge-base", "--is-ancestor", sha, entry.sha) == ""
    kept = entry.refs["refs/remotes/other/main"]
    assert rig.tree(kept)["o.txt"] == "theirs" and fetched.sha("HEAD~1") in rig.git(
        "log", "-1", "--format=%B", kept
    )
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").sha("side") == tips["side"]


async def test_work_on_what_was_fetched_without_its_history_holds_up_the_removal(
    rig: Repo, working: Repo, fetched: Repo
) -> None:
    working.git("checkout", "-q", "-b", "mine", "other/main")
    mine = working.commit("mine", **{"m.txt": "mine"})
    with pytest.raises(errors.HistoryUnkept, match="fetch --unshallow"):
        await git.keep(rig.top, working.top, BEAD, "r")
    working.git("fetch", "-q", "--unshallow", "other")
    entry = await keep_and_remove(rig, working)
    assert entry.incomplete == () and entry.refs["refs/heads/mine"] == mine


async def test_tags_come_back_as_they_were(rig: Repo, working: Repo, tmp_path: Path) -> None:
    rig.git("tag", "-a", "theirs", "-m", "theirs")
    blob = working.git("hash-object", "-w", "--stdin", stdin=b"content of a tag")
    working.git("tag", "-a", "v1", "-m", "long notes \xff\n\nof a release", "side")
    working.git("tag", "-a", "twice", "-m", "of a tag", "v1")
    working.git("tag", "-a", "file", "-m", "of a file", blob)
    working.git("tag", "plain", blob)
    working.git("tag", "folder", "side^{tree}")
    working.git("tag", "light", "side")
    working.git("branch", "-q", "-D", "side")
    asked = ("for-each-ref", "--format=%(refname) %(objectname) %(*objectname) %(objecttype)", "refs/tags")
    seen = working.git(*asked)
    entry = await keep_and_remove(rig, working)
    rig.git("reflog", "expire", "--expire=now", "--all")
    rig.git("gc", "-q", "--prune=now")
    assert entry.incomplete == ()
    rig.git("tag", "-d", "theirs")
    back = Repo(tmp_path / "back")
    assert (await git.restore(rig.top, entry.ref, back.top)).notes == ()
    assert back.git(*asked) == seen and back.git("fsck", "--no-dangling") == ""
    assert back.git("show", "plain") == "content of a tag"
    assert back.git("describe", "v1^{commit}") in ("v1", "twice")
    again = await git.keep(rig.top, back.top, BEAD, "again")
    assert (again.parents[:1], dict(again.refs)) == (entry.parents[:1], dict(entry.refs))


async def test_a_tag_of_what_is_damaged_is_named(rig: Repo, working: Repo) -> None:
    for name in ("one", "two"):
        blob = working.git("hash-object", "-w", "--stdin", stdin=name.encode())
        working.git("tag", "-a", name, "-m", name, blob)
    _file_of(working, "one^{}").write_bytes(b"")
    working.git("tag", "-a", "gone", "-m", "gone", "side")
    _file_of(working, "side").unlink()
    entry = await keep_and_remove(rig, working)
    assert {"refs/tags/one", "refs/tags/gone", "refs/heads/side"} == {
        note.split(" ")[0] for note in entry.incomplete
    }
    assert "refs/tags/two" in entry.refs and not {"refs/tags/one", "refs/tags/gone"} & entry.refs.keys()


@pytest.mark.parametrize("how", ["logged", "packed", "without a log"])
async def test_stashes_are_stashes_again(rig: Repo, working: Repo, tmp_path: Path, how: str) -> None:
    working.write("a.txt", "second")
    working.write("new.txt", "untracked")
    working.git("stash", "push", "-q", "-u", "-m", "the second: \u2028 <b>\tone")
    if how == "packed":
        working.git("pack-refs", "--all")
    if how == "without a log":
        (working.top / ".git/logs/refs/stash").unlink()
    asked = ("stash", "list", "--format=%H %gs")
    seen, newest = working.git(*asked), working.sha("refs/stash")
    entry = await keep_and_remove(rig, working)
    assert not [name for name, sha in entry.refs.items() if sha in seen]
    back = Repo(tmp_path / "back")
    assert (await git.restore(rig.top, entry.ref, back.top)).notes == ()
    if how == "without a log":
        assert back.git("stash", "list", "--format=%H").split("\n") == [newest]
    else:
        assert back.git(*asked) == seen and len(seen.split("\n")) == 2
    back.git("stash", "pop", "-q")
    assert (back.top / "new.txt").read_text() == "untracked"
    assert (await git.restore_branch(rig.top, entry.ref, "mine")).notes[-1].count("stash") == 1
