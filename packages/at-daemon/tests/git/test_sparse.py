"""A folder has the sparse set of the person's checkout, and work in it is taken over whole: nothing left out is deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio
CONE = ("sparse-checkout", "set", "d")
BOTH = ("--skip-worktree", "--assume-unchanged")
PATTERNS = ("sparse-checkout", "set", "--no-cone", "/d/*", "/a.txt")


@pytest.fixture(name="sparse", params=[CONE, PATTERNS], ids=["cone", "patterns"])
def made_sparse(rig: Repo, request: pytest.FixtureRequest) -> Repo:
    """The person's repository, of which only a part is checked out."""
    rig.commit("more", **{"out/far.txt": "far\n", "d/more.txt": "more\n"})
    rig.git(*request.param)
    assert not (rig.top / "out").exists()
    return rig


async def work_in(rig: Repo, folder: Path) -> Repo:
    """The bead's folder."""
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    assert prepared.notes == ("it has the sparse set of your own checkout; gates run in a full one",)
    return Repo(folder)


async def collected(rig: Repo, agent: Repo) -> git.Collected:
    """Its work, taken over."""
    return await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha("main"), "work")


async def test_the_folder_has_the_persons_set_and_nothing_is_changed(sparse: Repo, folder: Path) -> None:
    agent = await work_in(sparse, folder)
    there = {path.name for path in folder.iterdir()} - {".git"}
    assert there == {path.name for path in sparse.top.iterdir()} - {".git"}
    assert agent.status() == "" and not (folder / "out").exists()
    assert (await collected(sparse, agent)).changed_paths == ()
    cone = agent.git("config", "core.sparseCheckoutCone") == "true"
    agent.git("sparse-checkout", "add", "out" if cone else "/out/*")
    assert (folder / "out/far.txt").read_text() == "far\n" and agent.status() == ""


async def test_work_inside_and_outside_of_the_set_is_taken_over(sparse: Repo, folder: Path) -> None:
    agent = await work_in(sparse, folder)
    agent.write("d/inner.txt", "changed\n")
    (folder / "d/more.txt").unlink()
    agent.write("out/far.txt", "changed too\n")
    agent.write("out/new.txt", "new\n")
    found = await collected(sparse, agent)
    assert set(found.changed_paths) == {"d/inner.txt", "d/more.txt", "out/far.txt", "out/new.txt"}
    assert sparse.git("show", f"{found.head}:out/far.txt") == "changed too"


@pytest.mark.parametrize("lost", [".git/index", ".git"])
async def test_without_its_index_what_is_missing_is_not_deleted(
    sparse: Repo, folder: Path, lost: str
) -> None:
    agent = await work_in(sparse, folder)
    agent.write("d/inner.txt", "changed\n")
    (folder / lost).rename(folder.with_name("lost"))
    assert (await collected(sparse, agent)).changed_paths == ("d/inner.txt",)


async def test_it_is_kept_whole_and_gates_see_everything(sparse: Repo, folder: Path, tmp_path: Path) -> None:
    agent = await work_in(sparse, folder)
    agent.write("d/new.txt", "new\n")
    entry = await git.keep(sparse.top, folder, REF.rpartition("/")[2], "removed")
    assert set(sparse.tree(entry.ref)) >= {"out/far.txt", "d/new.txt", "gone.txt"}
    await git.checkout_tree(sparse.top, tmp_path / "gate", sparse.sha("main"))
    assert (tmp_path / "gate/out/far.txt").exists()


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("option", [("--skip-worktree",), ("--assume-unchanged",), BOTH])
async def test_what_an_agent_hides_from_its_own_git_is_taken_over_all_the_same(
    rig: Repo, folder: Path, option: tuple[str, ...], version: str
) -> None:
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("update-index", "--index-version", version)
    for each in option:
        agent.git("update-index", each, "a.txt", "gone.txt")
    agent.write("a.txt", "hidden\n")
    if "--skip-worktree" not in option:
        (folder / "gone.txt").unlink()
    changed = {"a.txt"} if "--skip-worktree" in option else {"a.txt", "gone.txt"}
    entry = await git.keep(rig.top, folder, BEAD, "removed")
    assert rig.git("diff", "--name-only", "main", entry.ref).split() == sorted(changed)
    assert set((await collected(rig, agent)).changed_paths) == changed


async def test_submodules_outside_of_the_set_are_left_out(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    inner = make_repo("inner")
    for path in ("d/sub", "out/sub"):
        rig.git("submodule", "--quiet", "add", str(inner.top), path)
    rig.commit("submodules")
    rig.git(*CONE)
    await git.prepare(rig.top, folder, BRANCH, "main")
    assert (folder / "d/sub/a.txt").exists() and not (folder / "out").exists()
    assert (await collected(rig, Repo(folder))).changed_paths == ()


@pytest.fixture
async def merging(rig: Repo, folder: Path) -> Repo:
    """Others changed, added and removed files outside of the set, and both sides the same file inside of it."""
    before = {"out/removed.txt": "bye", "out/both.txt": "1\n2\n3\n4\n5\n", "out/far.txt": "far\n"}
    rig.commit("before", **before)
    rig.git("branch", "start")
    rig.git("rm", "-q", "out/removed.txt")
    theirs = {"out/far.txt": "further\n", "out/added.txt": "added\n", "out/both.txt": "one\n2\n3\n4\n5\n"}
    rig.commit("theirs", **theirs, **{"d/inner.txt": "theirs\n"})
    rig.git(*PATTERNS)
    await git.prepare(rig.top, folder, BRANCH, "start")
    agent = Repo(folder)
    agent.write("out/both.txt", "1\n2\n3\n4\nfive\n")
    agent.git("add", "--sparse", "out/both.txt")
    agent.git("commit", "-q", "-m", "both")
    agent.git("sparse-checkout", "reapply")
    assert not (folder / "out").exists()
    return agent


@pytest.mark.parametrize("conflicting", [False, True], ids=["clean", "resolved"])
@pytest.mark.parametrize("collected_before", [False, True], ids=["at once", "again"])
@pytest.mark.parametrize("index", ["full", "sparse"])
async def test_a_merge_left_uncommitted_takes_nothing_back_outside_of_the_set(
    rig: Repo, merging: Repo, tmp_path: Path, conflicting: bool, collected_before: bool, index: str
) -> None:
    agent, base, target = merging, rig.sha("start"), rig.sha("main")
    if index == "sparse":
        agent.git("sparse-checkout", "set", "--cone", "--sparse-index", "d")
    if conflicting:
        agent.write("d/inner.txt", "mine\n")
        agent.git("commit", "-q", "-a", "-m", "mine")
    if collected_before:
        await git.collect(rig.top, agent.top, BRANCH, REF, base, "before")
    agent.git("merge", "--no-commit", target, ok=not conflicting)
    if conflicting:
        agent.write("d/inner.txt", "resolved\n")
        agent.git("add", "d/inner.txt")
    assert not (agent.top / "out").exists()
    expected = rig.tree(target) | {"out/both.txt": "one\n2\n3\n4\nfive"}
    expected |= {"d/inner.txt": "resolved"} if conflicting else {}

    entry = await git.keep(rig.top, agent.top, BEAD, "removed")
    assert (rig.tree(entry.tree), entry.incomplete) == (expected, ())
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back")
    assert back.sha("MERGE_HEAD") == target and back.git("diff") == ""
    assert back.git("write-tree") == entry.tree

    found = await git.collect(rig.top, agent.top, BRANCH, REF, base, "merge", targets=[target])
    assert rig.git("log", "-1", "--format=%P", found.head).split()[1] == target
    assert rig.tree(found.head) == expected
    assert set(found.changed_paths) == {"out/both.txt"} | ({"d/inner.txt"} if conflicting else set())
    assert agent.status() == "" and not (agent.top / "out").exists()


async def test_a_merge_of_nothing_but_what_lies_outside_of_the_set_is_no_merge_of_nothing(
    rig: Repo, folder: Path
) -> None:
    rig.commit("before", **{"out/far.txt": "far\n"})
    base = rig.sha()
    target = rig.commit("theirs", **{"out/far.txt": "further\n", "out/added.txt": "added\n"})
    rig.git(*PATTERNS)
    await git.prepare(rig.top, folder, BRANCH, base)
    agent = Repo(folder)
    agent.commit("mine", **{"d/inner.txt": "mine\n"})
    agent.git("merge", "--no-commit", target)
    expected = rig.tree(target) | {"d/inner.txt": "mine"}
    assert rig.tree((await git.keep(rig.top, folder, BEAD, "removed")).tree) == expected
    found = await git.collect(rig.top, folder, BRANCH, REF, base, "merge", targets=[target])
    assert (rig.tree(found.head), found.changed_paths) == (expected, ("d/inner.txt",))


async def test_a_partial_clone_takes_nothing_back_either(rig: Repo, folder: Path) -> None:
    rig.commit("before", **{"out/far.txt": "far\n"})
    base = rig.sha()
    target = rig.commit("theirs", **{"out/far.txt": "further\n", "d/inner.txt": "theirs\n"})
    rig.git(*PATTERNS)
    rig.git("config", "core.repositoryFormatVersion", "1")
    rig.git("config", "extensions.partialClone", "origin")
    rig.git("config", "remote.origin.promisor", "true")
    blob = rig.sha(f"{target}:out/far.txt")
    (rig.top / ".git/objects" / blob[:2] / blob[2:]).unlink()
    await git.prepare(rig.top, folder, BRANCH, base)
    agent = Repo(folder)
    agent.write("d/inner.txt", "mine\n")
    agent.git("commit", "-q", "-a", "-m", "mine")
    agent.git("merge", target, ok=False)
    agent.write("d/inner.txt", "resolved\n")
    agent.git("add", "d/inner.txt")
    found = await git.collect(rig.top, folder, BRANCH, REF, base, "merge", targets=[target])
    assert rig.sha(f"{found.head}:out/far.txt") == blob
    assert found.changed_paths == ("d/inner.txt",)


async def test_what_the_index_claims_outside_of_the_set_has_to_be_there(sparse: Repo, folder: Path) -> None:
    agent = await work_in(sparse, folder)
    agent.git("update-index", "--cacheinfo", f"100644,{'1' * 40},out/far.txt")
    agent.git("update-index", "--skip-worktree", "out/far.txt")
    agent.write("d/inner.txt", "changed\n")
    assert (await collected(sparse, agent)).changed_paths == ("d/inner.txt",)
