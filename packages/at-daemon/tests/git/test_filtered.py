"""What a removal keeps where a clone was made with `--filter`: the person's own, a submodule's, one inside the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def upstream(make_repo: Callable[[str], Repo]) -> Repo:
    """A remote that gives filtered clones; `feature` changed one file thrice."""
    repo = make_repo("upstream")
    for name in ("allowFilter", "allowAnySHA1InWant"):
        repo.git("config", f"uploadpack.{name}", "true")
    repo.git("checkout", "-q", "-b", "feature")
    for number in range(3):
        repo.commit(f"feature {number}", **{"f.txt": f"version {number}"})
    repo.git("checkout", "-q", "main")
    return repo


def _squashed(upstream: Repo) -> None:
    upstream.git("merge", "-q", "--squash", "feature")
    upstream.git("commit", "-q", "-m", "squashed")
    upstream.git("tag", "old", "feature")
    upstream.git("branch", "-q", "-D", "feature")


def _cut_off(repo: Repo) -> None:
    repo.git("remote", "set-url", "origin", "https://127.0.0.1:9/x")


@pytest.fixture
def filtered(upstream: Repo, tmp_path: Path) -> Repo:
    """The person's repository, cloned with a filter, on `feature`."""
    upstream.git("clone", "-q", "--no-tags", "--filter=blob:none", f"file://{upstream.top}", "../filtered")
    repo = Repo(tmp_path / "filtered")
    repo.git("checkout", "-q", "feature")
    return repo


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


async def _merge_and_delete(upstream: Repo, filtered: Repo) -> None:
    _squashed(upstream)
    filtered.git("checkout", "-q", "main")
    filtered.git("pull", "-q", "--prune", "--no-tags")
    filtered.git("branch", "-q", "-D", "feature")
    _cut_off(filtered)


@pytest.mark.parametrize("collected", [False, True])
async def test_a_base_that_is_on_no_branch_of_the_person_any_more_holds_nothing_up(
    upstream: Repo, filtered: Repo, folder: Path, tmp_path: Path, collected: bool
) -> None:
    prepared = await git.prepare(filtered.top, folder, BRANCH, "feature")
    agent = Repo(folder)
    agent.git("checkout", "-q", "-b", "side")
    side = agent.commit("side", **{"side.txt": "side"})
    agent.git("checkout", "-q", BRANCH)
    agent.write("f.txt", "stashed")
    agent.git("stash", "-q")
    stash, work = agent.sha("stash"), agent.commit("work", **{"work.txt": "work"})
    agent.write("new.txt", "new")
    if collected:
        await git.collect(filtered.top, folder, BRANCH, REF, prepared.base_sha, "message")
    await _merge_and_delete(upstream, filtered)
    entry = await git.keep(filtered.top, folder, BEAD, "r")
    assert await git.keep(filtered.top, folder, BEAD, "r") == entry
    assert entry.incomplete == () and entry.head in (work, agent.sha())
    # What tidying takes away is no more than a second name for it.
    for line in filtered.git("for-each-ref", "--format=%(refname)", "refs/at", "refs/heads/at").split("\n"):
        if not line.startswith("refs/at/attic/"):
            filtered.git("update-ref", "-d", line)
    for sha in (side, stash, work, prepared.base_sha):
        assert filtered.git("merge-base", "--is-ancestor", sha, entry.sha) == ""
    filtered.git("reflog", "expire", "--expire=now", "--all")
    filtered.git("prune", "--expire=now")
    assert (await git.restore(filtered.top, entry.ref, tmp_path / "back")).notes == ()
    back = Repo(tmp_path / "back")
    assert (back.top / "new.txt").read_text() == "new" and back.sha("side") == side
    assert back.git("show", "stash:f.txt") == "stashed"


@pytest.mark.parametrize("moved_on", [False, True])
async def test_a_filtered_submodule_in_which_nothing_was_done_holds_nothing_up(
    upstream: Repo, make_repo: Callable[[str], Repo], tmp_path: Path, folder: Path, moved_on: bool
) -> None:
    outer = make_repo("outer")
    outer.git("config", "uploadpack.allowFilter", "true")
    outer.git("submodule", "--quiet", "add", "-b", "feature", f"file://{upstream.top}", "mod")
    outer.commit("with a submodule")
    _squashed(upstream)
    outer.git("clone", "-q", "--filter=blob:none", f"file://{outer.top}", "../top")
    top = Repo(tmp_path / "top")
    top.git("submodule", "--quiet", "update", "--init", "--filter=blob:none")
    module = Repo(top.top / "mod")
    module.git("tag", "-d", "old")
    if moved_on:
        module.git("checkout", "-q", "main")
    for repo in (top, module):
        _cut_off(repo)
    prepared = await git.prepare(top.top, folder, BRANCH, "main")
    assert prepared.notes == ()
    Repo(folder).commit("work", **{"work.txt": "work"})
    entry = await git.keep(top.top, folder, BEAD, "r")
    assert entry.incomplete == ()
    mine = Repo(folder / "mod").commit("mine", **{"m.txt": "mine"})
    entry = await git.keep(top.top, folder, BEAD, "r")
    assert entry.incomplete == ()
    assert module.git("merge-base", "--is-ancestor", mine, entry.nested["mod"]) == ""


async def test_a_commit_that_is_recorded_and_only_half_there_is_brought_whole(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("source").top), "lib")
    rig.commit("lib")
    await git.prepare(rig.top, folder, BRANCH, "main")
    inner = Repo(folder / "lib")
    inner.commit("mine", **{"m.txt": "mine"})
    Repo(folder).commit("work")
    content = inner.git("cat-file", "commit", "HEAD").encode() + b"\n"
    half = Repo(rig.top / "lib").git(
        "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=content
    )
    assert half == inner.sha()
    inner.write("m.txt", "later")
    entry = await git.keep(rig.top, folder, BEAD, "r")
    assert entry.incomplete == ()
    kept = Repo(rig.top / "lib").tree(f"{entry.nested['lib']}^1")
    assert kept["m.txt"] == "mine"


async def test_what_the_person_has_to_fetch_first_is_said(
    upstream: Repo, filtered: Repo, folder: Path
) -> None:
    await git.prepare(filtered.top, folder, BRANCH, "feature")
    agent = Repo(folder)
    first = filtered.git("rev-parse", "feature~2:f.txt")
    tree = f"100644 blob {first}\tolder.txt\n".encode()
    made = agent.git("mktree", "--missing", stdin=tree)
    agent.git("update-ref", "refs/heads/older", agent.git("commit-tree", made, "-m", "older"))
    filtered.git("remote", "set-url", "origin", "file:///nowhere")
    with pytest.raises(
        errors.HistoryUnkept, match=r"refs/heads/older .* fetch --refetch --no-filter"
    ) as raised:
        await git.keep(filtered.top, folder, BEAD, "r")
    assert f"--git-dir={filtered.top / '.git'} fetch" in str(raised.value)
    filtered.git("remote", "set-url", "origin", f"file://{upstream.top}")
    filtered.git("fetch", "-q", "--refetch", "--no-filter", "origin")
    assert (await git.keep(filtered.top, folder, BEAD, "r")).incomplete == ()


@pytest.fixture
def inside(agent: Repo, upstream: Repo) -> Repo:
    """A filtered clone inside the folder."""
    agent.git("clone", "-q", "--filter=blob:none", f"file://{upstream.top}", "inside")
    return Repo(agent.top / "inside")


async def test_work_in_a_filtered_clone_inside_holds_up_the_removal(
    rig: Repo, agent: Repo, inside: Repo, tmp_path: Path
) -> None:
    inside.git("checkout", "-q", "-b", "mine", "origin/feature")
    mine = inside.commit("mine", **{"m.txt": "mine"})
    inside.git("checkout", "-q", "main")
    with pytest.raises(errors.HistoryUnkept, match=r"refs/heads/mine .* fetch --refetch --no-filter"):
        await git.keep(rig.top, agent.top, BEAD, "r")
    inside.git("fetch", "-q", "--refetch", "--no-filter", "origin")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.incomplete == ()
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back/inside").sha("mine") == mine


async def test_a_filtered_clone_inside_without_work_is_kept_as_far_as_it_is_there(
    rig: Repo, agent: Repo, inside: Repo
) -> None:
    # Of these the clone was never given the older content.
    inside.git("checkout", "-q", "feature")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert any("origin/feature" in note and "fetched with a filter" in note for note in entry.incomplete)
    assert not any("damaged" in note for note in entry.incomplete)
    assert rig.tree(entry.nested["inside"])["f.txt"] == "version 2"


async def test_a_repository_inside_of_another_object_format_holds_up_the_removal(
    rig: Repo, agent: Repo
) -> None:
    agent.git("init", "-q", "--object-format=sha256", "inside")
    Repo(agent.top / "inside").commit("mine", **{"m.txt": "mine"})
    with pytest.raises(errors.HistoryUnkept, match="another object format .* mv "):
        await git.keep(rig.top, agent.top, BEAD, "r")
    (agent.top / "inside/.git").rename(agent.top.parent / "aside")
    assert rig.tree((await git.keep(rig.top, agent.top, BEAD, "r")).tree)["inside/m.txt"] == "mine"


@pytest.mark.parametrize("moved", [False, True])
async def test_a_branch_that_the_person_let_go_of_is_not_reported(
    rig: Repo, folder: Path, moved: bool
) -> None:
    rig.git("checkout", "-q", "-b", "theirs")
    theirs = rig.commit("theirs", **{"t.txt": "theirs"})
    rig.git("checkout", "-q", "main")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    if moved:
        agent.git("branch", "copy", "theirs")
    rig.git("branch", "-q", "-D", "theirs")
    rig.git("reflog", "expire", "--expire=now", "--all")
    rig.git("gc", "-q", "--prune=now")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    said = f"refs/heads/copy ({theirs[:12]}) is missing or damaged in the clone and not kept"
    assert entry.incomplete == ((said,) if moved else ())


async def test_a_ref_of_the_person_that_names_nothing_costs_no_work(rig: Repo, agent: Repo) -> None:
    mine = agent.commit("mine", **{"m.txt": "mine"})
    (rig.top / ".git/refs/heads/broken").write_text(f"{'1' * 40}\n")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (entry.head, entry.incomplete) == (mine, ())
