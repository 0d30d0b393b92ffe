"""Whatever state an agent leaves its clone in, its work is taken over and nothing is lost."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import Collected, errors
from at_daemon.git.testing import BRANCH, REF, Repo

pytestmark = pytest.mark.anyio

DATE = 1_700_000_000


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


async def collect(rig: Repo, agent: Repo, base: str | None = None) -> Collected:
    start = base or rig.sha("refs/at/base/0123abcd-work")
    return await git.collect(rig.top, agent.top, BRANCH, REF, start, "Leftovers", date=DATE)


async def test_nothing_done(rig: Repo, agent: Repo) -> None:
    collected = await collect(rig, agent)
    assert (collected.head, collected.commits, collected.files) == (rig.sha(), (), 0)
    assert not collected.leftovers_committed
    assert collected.tree == rig.sha("HEAD^{tree}")


async def test_commits_only(rig: Repo, agent: Repo) -> None:
    first, second = agent.commit("1", **{"a.txt": "1"}), agent.commit("2", **{"b.bin": "\0\1"})
    collected = await collect(rig, agent)
    assert collected.commits == (first, second)
    assert not collected.leftovers_committed
    assert rig.tree(BRANCH)["a.txt"] == "1"


async def test_many_commits_come_as_a_pack(rig: Repo, agent: Repo) -> None:
    feed = "".join(
        f"commit refs/heads/{BRANCH}\ncommitter A <a@b> {1700000000 + n} +0000\ndata 1\nx"
        + (f"\nfrom {rig.sha()}" if n == 0 else "")
        + f"\nM 644 inline f{n}\ndata 1\n{n % 10}\n"
        for n in range(60)
    )
    agent.git("fast-import", "--quiet", stdin=feed.encode())
    agent.git("reset", "-q", "--hard")
    collected = await collect(rig, agent)
    assert len(collected.commits) == 60
    assert rig.git("fsck", "--connectivity-only") == ""


async def test_every_kind_of_leftover(rig: Repo, agent: Repo) -> None:
    agent.write(".gitignore", "*.log\nforced.out\n")
    agent.write("noise.log", "ignored")
    agent.write("forced.out", "forced")
    agent.git("add", "-f", "forced.out")
    agent.write("a.txt", "changed")
    (agent.top / "gone.txt").unlink()
    agent.write("-x", "dash")
    agent.write("sp ace/new\nline", "odd")
    agent.write("日本", "unicode")
    (agent.top / os.fsdecode(b"caf\xe9")).write_text("latin")
    shutil.rmtree(agent.top / "d")
    agent.write("d", "a file now")
    os.symlink("/etc/passwd", agent.top / "link")
    agent.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    os.mkfifo(agent.top / "pipe")
    collected = await collect(rig, agent)
    expected = {
        ".gitignore",
        "forced.out",
        "a.txt",
        "gone.txt",
        "-x",
        "sp ace/new\nline",
        "日本",
        "d/inner.txt",
        "d",
    }
    assert set(collected.changed_paths) == expected | {os.fsdecode(b"caf\xe9"), "link", "run.sh"}
    assert rig.git("ls-tree", collected.head, "link", "run.sh").split("\n")[0].startswith("120000")
    assert rig.git("ls-tree", collected.head, "run.sh").startswith("100755")
    assert rig.git("show", f"{collected.head}:link") == "/etc/passwd"
    assert agent.status() == ""
    again = await collect(rig, agent)
    assert (again.head, again.leftovers_committed) == (collected.head, False)


async def test_staged_and_staged_over(rig: Repo, agent: Repo) -> None:
    agent.write("a.txt", "staged")
    agent.git("add", "a.txt")
    agent.write("a.txt", "worktree")
    assert (await collect(rig, agent)).leftovers_committed
    assert rig.tree(REF)["a.txt"] == "worktree"


async def test_work_goes_on_after_a_collection(rig: Repo, agent: Repo) -> None:
    agent.write("a.txt", "one")
    first = await collect(rig, agent)
    agent.commit("two", **{"a.txt": "two"})
    second = await collect(rig, agent)
    assert second.commits == (first.head, agent.sha())
    assert rig.git("for-each-ref", "refs/at/attic") == ""


async def test_leftovers_of_a_finished_merge(rig: Repo, agent: Repo) -> None:
    base = rig.sha()
    agent.commit("mine", **{"a.txt": "mine"})
    target = rig.commit("theirs", **{"a.txt": "theirs"})
    assert not (await git.update_branch(rig.top, agent.top, target)).clean
    agent.git("merge", "refs/at/target", ok=False)
    unresolved = await collect(rig, agent, base)
    assert unresolved.unmerged == ("a.txt",)
    assert any("not resolved" in note for note in unresolved.notes)


async def test_a_merge_resolved_and_left_uncommitted(rig: Repo, agent: Repo) -> None:
    base = rig.sha()
    mine = agent.commit("mine", **{"a.txt": "mine"})
    target = rig.commit("theirs", **{"a.txt": "theirs"})
    await git.update_branch(rig.top, agent.top, target)
    agent.git("merge", "refs/at/target", ok=False)
    agent.write("a.txt", "both")
    agent.git("add", "a.txt")
    collected = await git.collect(
        rig.top, agent.top, BRANCH, REF, base, "Merge", targets=(target,), date=DATE
    )
    assert rig.git("log", "-1", "--format=%P", REF).split() == [mine, target]
    assert (collected.base, collected.changed_paths, collected.unmerged) == (target, ("a.txt",), ())
    assert "merging" not in agent.git("status")
    assert (await git.try_merge(rig.top, collected.head, "main")).clean


async def test_rebased_onto_the_target(rig: Repo, agent: Repo) -> None:
    base = rig.sha()
    agent.commit("mine", **{"a.txt": "mine"})
    before = await collect(rig, agent)
    target = rig.commit("theirs", **{"gone.txt": "theirs"})
    await git.update_branch(rig.top, agent.top, target)
    agent.git("rebase", "-q", "refs/at/target")
    after = await git.collect(rig.top, agent.top, BRANCH, REF, base, "m", targets=(target,))
    assert (after.base, after.changed_paths, len(after.commits)) == (target, ("a.txt",), 1)
    assert rig.sha(f"refs/at/attic/{REF.rpartition('/')[2]}/1") == before.head
    assert rig.sha(BRANCH) == after.head


def _switched(agent: Repo) -> str:
    agent.git("checkout", "-q", "-b", "elsewhere")
    return agent.commit("there", **{"new.txt": "work"})


def _detached(agent: Repo) -> str:
    agent.git("checkout", "-q", "--detach")
    return agent.commit("there", **{"new.txt": "work"})


def _packed(agent: Repo) -> str:
    sha = agent.commit("here", **{"new.txt": "work"})
    agent.git("pack-refs", "--all", "--prune")
    agent.git("repack", "-q", "-a", "-d")
    return sha


def _looking_back(agent: Repo) -> str:
    sha = agent.commit("here", **{"new.txt": "work"})
    agent.git("checkout", "-q", "main")
    return sha


def _looking_at_newer(agent: Repo) -> str:
    sha = agent.commit("here", **{"new.txt": "work"})
    agent.git("checkout", "-q", "HEAD~1")
    agent.write("untracked.txt", "also")
    agent.git("checkout", "-q", sha)
    return sha


def _branch_deleted(agent: Repo) -> str:
    agent.git("checkout", "-q", "--detach")
    agent.git("branch", "-D", BRANCH)
    return agent.commit("there", **{"new.txt": "work"})


def _renamed(agent: Repo) -> str:
    agent.git("branch", "-m", "my-name")
    return agent.commit("there", **{"new.txt": "work"})


def _symbolic(agent: Repo) -> str:
    agent.git("symbolic-ref", "refs/heads/alias", f"refs/heads/{BRANCH}")
    agent.git("symbolic-ref", "HEAD", "refs/heads/alias")
    return agent.commit("there", **{"new.txt": "work"})


@pytest.mark.parametrize(
    "leave",
    [_switched, _detached, _packed, _looking_back, _looking_at_newer, _branch_deleted, _renamed, _symbolic],
)
async def test_work_is_found_wherever_head_is(rig: Repo, agent: Repo, leave: Callable[[Repo], str]) -> None:
    sha = leave(agent)
    collected = await collect(rig, agent)
    assert sha in collected.commits
    assert rig.tree(BRANCH)["new.txt"] == "work"


async def test_leftovers_made_while_looking_back_are_put_on_the_branch(rig: Repo, agent: Repo) -> None:
    work = agent.commit("here", **{"new.txt": "work"})
    agent.git("checkout", "-q", "main")
    agent.write("late.txt", "late")
    collected = await collect(rig, agent)
    assert collected.commits[0] == work and collected.leftovers_committed
    assert rig.tree(REF).keys() >= {"new.txt", "late.txt"}
    assert (await collect(rig, agent)).head == collected.head


async def test_leftovers_that_do_not_fit_the_branch_go_to_the_attic(rig: Repo, agent: Repo) -> None:
    work = agent.commit("here", **{"a.txt": "work"})
    agent.git("checkout", "-q", "main")
    agent.write("a.txt", "other")
    collected = await collect(rig, agent)
    (entry,) = await git.attic_entries(rig.top)
    assert collected.head == work and rig.tree(entry.sha)["a.txt"] == "other"
    await collect(rig, agent)
    assert len(await git.attic_entries(rig.top)) == 1


async def test_another_history_sets_the_branch_aside(rig: Repo, agent: Repo) -> None:
    work = agent.commit("here", **{"a.txt": "work"})
    agent.git("checkout", "-q", "--orphan", "fresh")
    other = agent.commit("root", **{"a.txt": "other"})
    collected = await collect(rig, agent)
    (entry,) = await git.attic_entries(rig.top)
    assert (collected.head, entry.sha) == (other, work)
    assert collected.changed_paths == ("a.txt",)


async def test_an_unfinished_rebase_takes_the_branch(rig: Repo, agent: Repo) -> None:
    agent.commit("one", **{"b.txt": "1"})
    work = agent.commit("two", **{"a.txt": "work"})
    target = rig.commit("theirs", **{"a.txt": "theirs"})
    await git.update_branch(rig.top, agent.top, target)
    agent.git("rebase", "refs/at/target", ok=False)
    collected = await collect(rig, agent)
    assert collected.head == work
    assert any("rebase" in note for note in collected.notes)
    (entry,) = await git.attic_entries(rig.top)
    assert "<<<<<<<" in rig.tree(entry.sha)["a.txt"]


def _no_git(agent: Repo) -> None:
    shutil.rmtree(agent.top / ".git")


def _git_is_a_link(agent: Repo) -> None:
    (agent.top / ".git").rename(agent.top.parent / "moved")
    (agent.top / ".git").symlink_to(agent.top.parent / "moved")


def _git_is_a_file(agent: Repo) -> None:
    _no_git(agent)
    agent.write(".git", "gitdir: /nonexistent\n")


def _new_git(agent: Repo) -> None:
    _no_git(agent)
    agent.git("init", "-q")


def _no_objects(agent: Repo) -> None:
    agent.commit("lost", **{"a.txt": "lost"})
    agent.write("a.txt", "a")
    shutil.rmtree(agent.top / ".git/objects")


def _head_is_a_fifo(agent: Repo) -> None:
    (agent.top / ".git/HEAD").unlink()
    os.mkfifo(agent.top / ".git/HEAD")


def _head_leaves_the_folder(agent: Repo) -> None:
    agent.write(".git/HEAD", "ref: ../../../../etc/passwd\n")


def _refs_loop(agent: Repo) -> None:
    agent.write(".git/HEAD", "ref: refs/heads/loop\n")
    agent.write(".git/refs/heads/loop", "ref: refs/heads/loop\n")


def _index_is_garbage(agent: Repo) -> None:
    agent.write(".git/index", b"DIRC" + b"\xff" * 100)


def _index_is_missing(agent: Repo) -> None:
    (agent.top / ".git/index").unlink()


def _index_is_split(agent: Repo) -> None:
    agent.git("update-index", "--split-index")


@pytest.mark.parametrize(
    "destroy",
    [_no_git, _git_is_a_link, _git_is_a_file, _new_git, _no_objects, _head_is_a_fifo, _head_leaves_the_folder]
    + [_refs_loop, _index_is_garbage, _index_is_missing, _index_is_split],
)
async def test_files_survive_a_destroyed_clone(
    rig: Repo, agent: Repo, destroy: Callable[[Repo], None]
) -> None:
    agent.write("kept.txt", "kept")
    destroy(agent)
    collected = await collect(rig, agent)
    assert "kept.txt" in collected.changed_paths
    assert rig.tree(REF)["kept.txt"] == "kept"
    assert rig.git("fsck", "--connectivity-only") == ""


async def test_a_repository_inside_is_left_out_and_said(rig: Repo, agent: Repo) -> None:
    inner = Repo(agent.top / "vendor/lib")
    inner.top.mkdir(parents=True)
    inner.git("init", "-q")
    inner.commit("x", f="x")
    agent.write("b.txt", "b")
    collected = await collect(rig, agent)
    assert collected.changed_paths == ("b.txt",)
    assert any("vendor/lib" in note for note in collected.notes)


async def test_a_sparse_clone_deletes_nothing(rig: Repo, agent: Repo) -> None:
    agent.git("sparse-checkout", "set", "--no-cone", "/a.txt")
    agent.write("a.txt", "changed")
    collected = await collect(rig, agent)
    assert collected.changed_paths == ("a.txt",)


async def test_a_changed_file_of_the_same_size_and_time_is_seen(rig: Repo, agent: Repo) -> None:
    file = agent.write("a.txt", "x\ny\nz\n")
    agent.git("add", "a.txt")
    agent.write("a.txt", "X\nY\nZ\n")
    stamp = os.stat(agent.top / ".git/index").st_mtime_ns
    os.utime(file, ns=(stamp, stamp))
    await collect(rig, agent)
    assert rig.tree(REF)["a.txt"] == "X\nY\nZ"


async def test_the_persons_use_of_the_visible_branch_is_respected(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    agent.commit("one", **{"a.txt": "one"})
    await collect(rig, agent)
    rig.git("worktree", "add", "-q", str(tmp_path / "look"), BRANCH)
    one, two = rig.sha(BRANCH), agent.commit("two", **{"a.txt": "two"})
    collected = await collect(rig, agent)
    assert (rig.sha(BRANCH), rig.sha(REF)) == (one, two)
    assert any("checked out" in note for note in collected.notes)
    person = Repo(tmp_path / "look")
    fix = person.commit("fix", **{"b.txt": "by hand"})
    person.git("checkout", "-q", "--detach")
    agent.commit("three", **{"a.txt": "three"})
    collected = await collect(rig, agent)
    assert rig.sha(BRANCH) == fix
    assert any("not the agent's" in note for note in collected.notes)


async def test_missing_objects_are_a_typed_error(rig: Repo, agent: Repo) -> None:
    agent.commit("one", **{"a.txt": "one"})
    blob = agent.sha("HEAD:a.txt")
    (agent.top / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(errors.BadObjects):
        await collect(rig, agent)
    assert rig.git("for-each-ref", REF) == ""


async def test_an_agent_at_work_keeps_its_index(rig: Repo, agent: Repo) -> None:
    agent.write("a.txt", "x")
    agent.write(".git/index.lock", "")
    head = agent.sha()
    collected = await collect(rig, agent)
    assert collected.leftovers_committed
    assert agent.sha() == head
    (agent.top / ".git/index.lock").unlink()
    assert (await collect(rig, agent)).head == collected.head


async def test_collections_side_by_side(rig: Repo, tmp_path: Path) -> None:
    import anyio

    base = rig.sha()
    done: list[str] = []

    async def one(number: int) -> None:
        folder = tmp_path / "many" / str(number)
        branch = f"at/{number:08x}"
        await git.prepare(rig.top, folder, branch, "main")
        (folder / f"{number}.txt").write_text("x")
        ref = f"refs/at/beads/{number}"
        done.append((await git.collect(rig.top, folder, branch, ref, base, "m")).head)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(one, number)
    assert len(set(done)) == 6
    assert len(rig.git("for-each-ref", "refs/at/beads").split("\n")) == 6


async def test_a_commit_inside_of_a_submodule_is_said_with_the_way_to_have_it(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("other").top), "sub")
    rig.commit("add")
    await git.prepare(rig.top, folder, BRANCH, "main")
    made = Repo(folder / "sub").commit("inside", **{"a.txt": "changed"})
    Repo(folder).commit("outside")
    found = await git.collect(rig.top, folder, BRANCH, REF, rig.sha("main"), "work")
    assert found.changed_paths == ("sub",)
    (note,) = found.notes
    assert note.startswith(f"submodule 'sub' is set to {made[:12]}, which only this folder has")
    program, *words = shlex.split(note.partition("(")[2].removesuffix(")"))
    assert program == "git"
    rig.git(*words)
    again = await git.collect(rig.top, folder, BRANCH, REF, rig.sha("main"), "work")
    assert again.notes == ()
