"""What is removed can be had back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from at_core.errors import Duplicate
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
    head, status = agent.sha(), agent.git("status", "--porcelain")

    entry = await git.keep(rig.top, agent.top, BEAD, "removed by the person")
    assert (entry.ref, entry.bead_id, entry.reason) == (
        f"refs/at/attic/{BEAD}/1",
        BEAD,
        "removed by the person",
    )
    assert entry.ignored == ("noise.log",) and entry.parents[0] == head
    assert await git.keep(rig.top, agent.top, BEAD, "again") == entry
    await git.set_aside_folder(agent.top, agent.top.parent)
    await git.remove_set_aside(agent.top.parent)
    rig.git("reflog", "expire", "--expire=now", "--all")
    rig.git("gc", "-q", "--prune=now")
    for sha in (lost, elsewhere, *stashes):
        assert rig.git("merge-base", "--is-ancestor", sha, entry.ref) == ""
    assert "staged" in [rig.tree(parent).get("a.txt") for parent in entry.parents]

    back = Repo(tmp_path / "back")
    await git.restore(rig.top, entry.ref, back.top)
    assert back.git("symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert (back.sha(), back.git("status", "--porcelain")) == (head, status)
    assert (back.top / "a.txt").read_text() == "modified\n"
    assert back.sha("elsewhere") == elsewhere
    assert back.git("stash", "list", "--format=%H").split("\n") == stashes
    assert back.git("tag", "-l", "--format=%(contents:subject)", "mark") == "mark"
    assert back.git("fsck", "--connectivity-only", "--no-dangling") == ""
    with pytest.raises(errors.FolderInTheWay):
        await git.restore(rig.top, entry.ref, back.top)


@pytest.mark.parametrize("later", ["", "later"])
async def test_what_was_staged_is_staged_again(rig: Repo, agent: Repo, tmp_path: Path, later: str) -> None:
    agent.write("h.txt", "staged")
    agent.git("add", "-A")
    agent.write("h.txt", later or "staged")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    back = Repo(tmp_path / "back")
    await git.restore(rig.top, entry.ref, back.top)
    assert back.status() == agent.status() == ("AM h.txt" if later else "A  h.txt")
    assert back.git("show", ":h.txt") == "staged"
    notes = (await git.restore_branch(rig.top, entry.ref, "mine")).notes
    assert ["what was staged" in note for note in notes] == ([True] if later else [])


@pytest.fixture
def conflicting(agent: Repo) -> Repo:
    """`other` changes a.txt as the agent's branch does, and has a file of its own."""
    agent.git("checkout", "-q", "-b", "other")
    agent.commit("other", **{"a.txt": "other\n", "o.txt": "other"})
    agent.git("checkout", "-q", BRANCH)
    agent.commit("mine", **{"a.txt": "mine\n"})
    return agent


@pytest.mark.parametrize("command", ["rebase --merge", "rebase --apply", "merge"])
async def test_what_git_put_aside_for_an_operation_is_kept(
    rig: Repo, conflicting: Repo, tmp_path: Path, command: str
) -> None:
    agent = conflicting
    agent.write("put-aside.txt", "staged and nowhere else\n")
    agent.git("add", "-A")
    agent.git(*command.split(), "--autostash", "other", ok=False)
    assert not (agent.top / "put-aside.txt").exists() and "UU a.txt" in agent.status()

    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    put_aside = [rig.tree(sha) for sha in entry.parents if "put-aside.txt" in rig.tree(sha)]
    assert put_aside and put_aside[0]["put-aside.txt"] == "staged and nowhere else"
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    there = Repo(tmp_path / "back")
    assert "put-aside.txt" in there.git("log", "--all", "-m", "--name-only", "--format=")


@pytest.mark.parametrize("command", ["rebase --merge", "cherry-pick HEAD"])
async def test_where_a_row_of_commits_stood_is_said_not_to_come_back(
    rig: Repo, conflicting: Repo, tmp_path: Path, command: str
) -> None:
    verb, conflicts = command.split()[0], "conflicts were not resolved in 'a.txt'"
    conflicting.git(*command.split(), "other", ok=False)
    assert "UU a.txt" in conflicting.status() or verb == "cherry-pick"
    entry = await git.keep(rig.top, conflicting.top, BEAD, "r")
    (lost,) = entry.incomplete
    assert lost == f"a {verb} was under way: its commits are kept, where it stood is not"
    assert lost in entry.notes and any(conflicts in note for note in entry.notes) == (verb == "rebase")
    assert (await git.restore(rig.top, entry.ref, tmp_path / "back")).notes == (lost,)
    assert lost in (await git.restore_branch(rig.top, entry.ref, "mine")).notes


@pytest.mark.parametrize("command", ["merge --no-ff", "cherry-pick", "revert", "stash pop"])
async def test_conflicts_come_back_as_conflicts(
    rig: Repo, conflicting: Repo, tmp_path: Path, command: str
) -> None:
    agent = conflicting
    (agent.top / "gone.txt").unlink()
    agent.commit("gone")
    if command == "stash pop":
        agent.write("a.txt", "stashed\n")
        agent.git("stash", "-q")
        agent.commit("meanwhile", **{"a.txt": "meanwhile\n"})
    if command == "revert":
        agent.git("merge", "-q", "-s", "ours", "other")
    if command == "merge --no-ff":
        agent.git("checkout", "-q", "other")
        agent.commit("changed and gone", **{"gone.txt": "changed"})
        agent.git("checkout", "-q", BRANCH)
    agent.git(*command.split(), *(() if command == "stash pop" else ("other",)), ok=False)
    agent.write("staged.txt", "staged")
    agent.git("add", "staged.txt")
    agent.write("a.txt", "half done\n")
    asked = (("status", "--porcelain"), ("ls-files", "--stage"), ("status", "--long"))
    seen = [agent.git(*words) for words in asked]
    assert "UU a.txt" in seen[0]

    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == () and any("'a.txt'" in note and "conflicts" in note for note in entry.notes)
    assert await git.keep(rig.top, agent.top, BEAD, "r") == entry
    await git.set_aside_folder(agent.top, agent.top.parent)
    await git.remove_set_aside(agent.top.parent)
    back = Repo(tmp_path / "back")
    assert (await git.restore(rig.top, entry.ref, back.top)).notes == ()
    assert [back.git(*words) for words in asked] == seen
    assert (back.top / "a.txt").read_text() == "half done\n"
    found = await git.collect(rig.top, back.top, BRANCH, f"refs/at/beads/{BEAD}", rig.sha(), "m")
    assert "a.txt" in found.unmerged and not found.leftovers_committed
    (note,) = (await git.restore_branch(rig.top, entry.ref, "mine")).notes[:1]
    assert "markers" in note
    if command == "merge --no-ff":
        back.git("add", "-A")
        back.git("commit", "-q", "--no-edit")
        assert len(back.git("rev-parse", "HEAD^@").split()) == 2
        assert "Merge branch 'other'" in back.git("log", "-1", "--format=%B")


async def test_conflicts_that_cannot_be_read_are_said_not_to_come_back(rig: Repo, agent: Repo) -> None:
    agent.write("a.txt", "<<<<<<<\n")
    versions = "".join(f"100644 {str(stage) * 40} {stage}\ta.txt\n" for stage in (1, 2, 3))
    agent.git("update-index", "--index-info", stdin=f"0 {'0' * 40}\ta.txt\n{versions}".encode())
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.conflicts is None and rig.tree(entry.tree)["a.txt"] == "<<<<<<<"
    assert "kept with their markers" in entry.incomplete[0] and entry.incomplete == entry.notes


@pytest.mark.parametrize("command", ["cherry-pick", "revert"])
async def test_the_commit_of_an_operation_is_kept(rig: Repo, agent: Repo, command: str) -> None:
    agent.git("config", "core.logAllRefUpdates", "false")
    agent.git("checkout", "-q", "--detach")
    agent.commit("before", **{"a.txt": "before\n"})
    picked = agent.commit("picked", **{"a.txt": "picked\n"})
    agent.git("checkout", "-q", BRANCH)
    agent.commit("mine", **{"a.txt": "mine\n"})
    agent.git(command, picked, ok=False)
    assert "UU a.txt" in agent.status()
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert picked in entry.parents


async def test_a_merge_that_changes_no_file_is_kept_and_so_is_that_it_was_given_up(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    rig.git("checkout", "-q", "-b", "side")
    side = rig.commit("side", **{"s.txt": "s"})
    first = await git.keep(rig.top, agent.top, BEAD, "r")
    agent.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", side)
    merging = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (merging.tree, merging.parents) == (first.tree, first.parents)
    await git.restore(rig.top, merging.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").sha("MERGE_HEAD") == side
    agent.git("merge", "--quit")
    assert await git.keep(rig.top, agent.top, BEAD, "r") == first


async def test_the_branch_that_is_checked_out_is_part_of_an_entry(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    agent.commit("one", **{"one.txt": "one"})
    first = await git.keep(rig.top, agent.top, BEAD, "r")
    agent.git("checkout", "-q", "-b", "other")
    second = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (second.tree, second.parents) == (first.tree, first.parents)
    await git.restore(rig.top, second.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").git("symbolic-ref", "--short", "HEAD") == "other"


async def test_what_came_back_is_in_the_next_entry_too(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    lost = agent.commit("reset away", **{"lost.txt": "lost"})
    agent.git("reset", "-q", "--hard", "HEAD~1")
    agent.git("update-ref", "-d", "ORIG_HEAD")
    first = await git.keep(rig.top, agent.top, BEAD, "r")
    await git.restore(rig.top, first.ref, tmp_path / "back")
    back = Repo(tmp_path / "back")
    for number in range(3):
        back.write("work.txt", str(number))
        back.git("add", "-A")
        back.git("commit", "-q", *(["--amend"] if number else []), "-m", "work")
    second = await git.keep(rig.top, back.top, BEAD, "r")
    assert lost in second.parents and lost in second.refs.values()


async def test_what_a_linked_worktree_remembers_is_kept(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    agent.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = Repo(tmp_path / "linked")
    lost = linked.commit("reset away", **{"l.txt": "lost"})
    linked.git("reset", "-q", "--hard", "HEAD~1")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert lost in entry.parents


@pytest.mark.parametrize("pruned", [False, True])
async def test_what_the_person_fetched_is_no_part_of_an_entry(
    rig: Repo, folder: Path, tmp_path: Path, pruned: bool
) -> None:
    theirs = []
    for name in ("one", "two"):
        made = rig.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", name)
        rig.git("update-ref", f"refs/remotes/origin/{name}", made)
        theirs.append(made)
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("branch", "started", "origin/one")
    own = agent.git("commit-tree", "HEAD^{tree}", "-p", "origin/two", "-m", "own")
    agent.git("update-ref", "refs/remotes/origin/own", own)
    agent.commit("work", **{"a.txt": "work"})
    if pruned:
        for name in ("one", "two"):
            rig.git("update-ref", "-d", f"refs/remotes/origin/{name}")
    entry = await git.keep(rig.top, folder, BEAD, "r")
    # A branch of the agent's is its own, and so is what it put on a remote's name.
    assert set(entry.parents) == {agent.sha(), own, *(theirs[:1] if pruned else ())}
    assert dict(entry.refs) == {
        f"refs/heads/{BRANCH}": agent.sha(),
        "refs/heads/started": theirs[0],
        "refs/remotes/origin/own": own,
    }
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back").sha("started") == theirs[0]


async def test_a_branch_whose_commit_the_person_cleared_away_does_not_come_back(
    rig: Repo, folder: Path, tmp_path: Path
) -> None:
    made = rig.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "theirs")
    rig.git("update-ref", "refs/remotes/origin/theirs", made)
    await git.prepare(rig.top, folder, BRANCH, "main")
    Repo(folder).git("branch", "started", "origin/theirs")
    entry = await git.keep(rig.top, folder, BEAD, "r")
    rig.git("update-ref", "-d", "refs/remotes/origin/theirs")
    rig.git("gc", "-q", "--prune=now")
    notes = (await git.restore(rig.top, entry.ref, tmp_path / "back")).notes
    assert "refs/heads/started" in notes[0] and made[:12] in notes[0]
    back = Repo(tmp_path / "back")
    assert back.git("for-each-ref", "refs/heads/started") == ""
    assert back.git("fsck", "--connectivity-only", "--no-dangling") == ""


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
    assert (await git.restore(rig.top, entry.ref, tmp_path / "all")).notes == ()
    nested = Repo(tmp_path / "all/vendor/lib")
    assert (nested.sha(), (nested.top / "g").read_text()) == (sha, "dirty")
    rig.git("update-ref", "-d", inside.ref)
    (note,) = (await git.restore(rig.top, entry.ref, tmp_path / "partly")).notes
    assert "'vendor/lib' did not come back" in note


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
    await git.restore(rig.top, unchanged.ref, folder.with_name("before"))
    assert (folder.with_name("before") / "sub/a.txt").read_text() != "inside"
    await git.restore(rig.top, entry.ref, folder.with_name("after"))
    assert [(folder.with_name("after") / "sub" / name).read_text() for name in ("a.txt", "dirty")] == [
        "inside",
        "dirty",
    ]


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


@pytest.mark.parametrize("date", ["99999999999999", "253402300800"])
async def test_a_date_that_cannot_be_is_none(rig: Repo, agent: Repo, date: str) -> None:
    agent.commit("x", **{"a.txt": "x"})
    lines = agent.git("cat-file", "commit", "HEAD").split("\n")
    dated = [f"committer A <a@example.org> {date} +0000" if x.startswith("committer ") else x for x in lines]
    made = agent.git("hash-object", "-t", "commit", "-w", "--stdin", stdin="\n".join(dated).encode())
    agent.git("push", "-q", str(rig.top), f"{made}:refs/at/attic/{BEAD}/1")
    (entry,) = await git.attic_entries(rig.top)
    assert entry.kept_at == 0
    await git.restore_branch(rig.top, entry.ref, "mine")
    assert rig.sha("mine") == made


@pytest.mark.parametrize("ref", ["refs/at/attic/none/1", "refs/heads/main", "refs/at/attic/-x/1"])
async def test_no_such_entry(rig: Repo, tmp_path: Path, ref: str) -> None:
    with pytest.raises((errors.RevisionMissing, errors.BadName)):
        await git.restore(rig.top, ref, tmp_path / "back")
    assert not (tmp_path / "back").exists()


async def test_a_folder_says_which_entry_it_was_made_from(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert git.restored_from(tmp_path / "back") == entry.ref
    assert git.restored_from(agent.top) is None and git.restored_from(tmp_path / "none") is None


async def test_what_the_checkout_includes_comes_along(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    rig.commit("ignore", **{".gitignore": ".env\n", ".worktreeinclude": ".env\n"})
    rig.write(".env", "TOKEN=1")
    folder = tmp_path / "newer"
    await git.prepare(rig.top, folder, BRANCH, "main")
    (folder / ".env").write_text("changed")
    entry = await git.keep(rig.top, folder, BEAD, "r")
    assert entry.ignored == (".env",)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert (tmp_path / "back/.env").read_text() == "TOKEN=1"


async def test_an_agents_commit_that_looks_like_an_entry_names_nothing(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    body = {"head_ref": "refs/../../x", "refs": {"refs/heads/../../x": "0" * 40, "refs/heads/a": "no"}}
    body |= {"nested": {"../../outside": "refs/at/attic/x/1", ".git": "refs/at/attic/x/1", "in": "HEAD"}}
    message = f"Keep the folder of bead {BEAD}\n\n{json.dumps(body)}\n"
    sha = agent.commit("x", **{"a.txt": "forged"})
    forged = agent.git("commit-tree", f"{sha}^{{tree}}", "-p", sha, stdin=message.encode())
    agent.git("push", "-q", str(rig.top), f"{forged}:refs/at/attic/{BEAD}/1")
    (entry,) = await git.attic_entries(rig.top)
    assert (entry.head_ref, dict(entry.refs), dict(entry.nested)) == (None, {}, {})
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert (tmp_path / "back/a.txt").read_text() == "forged"


async def test_a_commit_that_was_let_go_is_not_believed_to_be_an_entry(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    base, ref, own = rig.sha(), f"refs/at/beads/{BEAD}", f"refs/at/attic/{BEAD}/1"
    body = {"bead_id": BEAD, "reason": "forged", "notes": ["forged"], "nested": {"in": own}}
    agent.commit("one", **{"a.txt": "one"})
    agent.git("commit", "-q", "--amend", "-m", f"Keep the folder of bead {BEAD}\n\n{json.dumps(body)}")
    forged = (await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")).head
    agent.git("commit", "-q", "--amend", "-m", "other")
    await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    (entry,) = await git.attic_entries(rig.top)
    assert (entry.ref, entry.whole, entry.notes, dict(entry.nested)) == (own, False, (), {})
    assert entry.reason == "its history was rewritten"
    agent.commit("two", **{"a.txt": "two"})
    await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    assert await git.attic_entries(rig.top) == [entry]
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back")
    assert back.git("merge-base", "--is-ancestor", forged, "HEAD") == ""
    assert (back.top / "a.txt").read_text() == "one" and back.status() == ""


async def test_an_entry_that_names_itself_is_put_back_once(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    own = f"refs/at/attic/{BEAD}/1"
    message = f"Keep the folder of bead {BEAD}\n\n{json.dumps({'nested': {'in': own}})}\n"
    sha = agent.commit("x", **{"a.txt": "forged"})
    forged = agent.git("commit-tree", f"{sha}^{{tree}}", "-p", sha, stdin=message.encode())
    agent.git("push", "-q", str(rig.top), f"{forged}:{own}")
    (note,) = (await git.restore(rig.top, own, tmp_path / "back")).notes
    assert "'in' did not come back" in note
    assert not (tmp_path / "back/in").exists()


async def test_a_commit_that_was_let_go_does_not_stand_for_the_folder(rig: Repo, agent: Repo) -> None:
    base, ref = rig.sha(), f"refs/at/beads/{BEAD}"
    agent.git("config", "core.logAllRefUpdates", "false")
    agent.commit("one", **{"a.txt": "one"})
    await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    anew = agent.git("commit-tree", f"{base}^{{tree}}", "-p", base, "-m", "anew")
    agent.git("update-ref", "HEAD", anew)
    agent.git("read-tree", anew)
    await git.collect(rig.top, agent.top, BRANCH, ref, base, "m")
    (let_go,) = await git.attic_entries(rig.top)
    agent.git("update-ref", "HEAD", base)
    agent.git("read-tree", base)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (let_go.tree, let_go.parents) == (entry.tree, entry.parents) and entry.whole


async def test_a_record_that_cannot_be_read_is_none(rig: Repo, agent: Repo) -> None:
    message = f"Keep the folder of bead {BEAD}\n\n{'[' * 100_000}\n"
    made = agent.git("commit-tree", "HEAD^{tree}", stdin=message.encode())
    agent.git("push", "-q", str(rig.top), f"{made}:refs/at/attic/{BEAD}/1")
    (entry,) = await git.attic_entries(rig.top)
    assert (entry.sha, entry.whole) == (made, False)


async def test_onto_a_branch_that_is_not_there(rig: Repo, agent: Repo) -> None:
    committed = agent.commit("one", **{"a.txt": "one"})
    first = await git.keep(rig.top, agent.top, BEAD, "r")
    await git.restore_branch(rig.top, first.ref, "mine")
    assert rig.sha("mine") == committed
    agent.write("a.txt", "later")
    second = await git.keep(rig.top, agent.top, BEAD, "r")
    await git.restore_branch(rig.top, second.ref, "yours")
    assert (rig.sha("yours~1"), rig.tree("yours")["a.txt"]) == (committed, "later")
    with pytest.raises(Duplicate):
        await git.restore_branch(rig.top, first.ref, "yours")
    with pytest.raises(errors.BadName):
        await git.restore_branch(rig.top, first.ref, "-x")
    assert rig.tree("yours")["a.txt"] == "later"


async def test_sizes_are_those_of_the_work(rig: Repo, agent: Repo) -> None:
    untouched = await git.keep(rig.top, agent.top, BEAD, "r")
    agent.commit("one", **{"one.txt": "1\n2\n"})
    agent.write("two.txt", "3\n")
    changed = await git.keep(rig.top, agent.top, BEAD, "r")
    sizes = await git.attic_sizes(rig.top, [untouched, changed])
    assert sizes == {untouched.ref: git.AtticSize(0, 0, 0), changed.ref: git.AtticSize(2, 3, 0)}
    assert await git.attic_sizes(rig.top, []) == {}
