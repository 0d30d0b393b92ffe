"""Repositories inside an agent's folder: all that is theirs is kept, nowhere but where it may be, and comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, Repo, keep_and_remove

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


def _inside(agent: Repo, path: str) -> Repo:
    """A repository of its own in the folder: a commit on `trunk`, one on `side`, a stash, a change."""
    inner = Repo(agent.top / path)
    inner.top.mkdir(parents=True, exist_ok=True)
    inner.git("init", "-q", "-b", "trunk")
    inner.commit("one", **{"inner.txt": "inner", ".gitignore": ".env\n"})
    inner.git("checkout", "-q", "-b", "side")
    inner.commit("side", **{"side.txt": "side"})
    inner.git("checkout", "-q", "trunk")
    inner.write("inner.txt", "stashed")
    inner.git("stash", "-q")
    inner.write("inner.txt", "changed")
    return inner


@pytest.fixture
def lib(rig: Repo, make_repo: Callable[[str], Repo]) -> Repo:
    """The person's submodule `lib`, which is on `main` of the rig."""
    rig.git("submodule", "--quiet", "add", str(make_repo("source").top), "lib")
    rig.commit("lib")
    return Repo(rig.top / "lib")


@pytest.mark.parametrize("linked", [True, False])
async def test_no_other_repository_of_the_person_is_written_to(
    rig: Repo, agent: Repo, make_repo: Callable[[str], Repo], tmp_path: Path, linked: bool
) -> None:
    other = make_repo("rig/theirs" if not linked else "theirs")
    if linked:
        (rig.top / "links").symlink_to(tmp_path)
    before = other.git("for-each-ref"), other.git("count-objects")
    path = "links/theirs" if linked else "theirs"
    sha = _inside(agent, path).sha()
    entry = await keep_and_remove(rig, agent)
    assert (other.git("for-each-ref"), other.git("count-objects")) == before
    assert rig.git("merge-base", "--is-ancestor", sha, entry.nested[path]) == ""
    shutil.rmtree(other.top)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back" / path).sha() == sha


async def test_a_repository_inside_comes_back_without_the_branches_of_the_rig(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    rig.git("branch", "theirs")
    rig.write(".worktreeinclude", ".env\n")
    rig.write(".env", "secret")
    inner = _inside(agent, "vendor/lib")
    branches = inner.git("for-each-ref", "refs/heads")
    entry = await keep_and_remove(rig, agent)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back/vendor/lib")
    assert back.git("for-each-ref", "refs/heads", "refs/tags", "refs/remotes") == branches
    assert back.git("symbolic-ref", "--short", "HEAD") == "trunk" and back.status() == " M inner.txt"
    assert not (back.top / ".env").exists()


@pytest.mark.parametrize("gone", [False, True])
async def test_a_submodule_comes_back_though_the_person_has_it_checked_out_no_more(
    rig: Repo, lib: Repo, agent: Repo, tmp_path: Path, gone: bool
) -> None:
    await git.keep(rig.top, agent.top, BEAD, "an entry of the rig's own")
    agent.write("lib/a.txt", "changed")
    entry = await keep_and_remove(rig, agent)
    assert len(await git.attic_entries(lib.top)) == 1
    rig.git("submodule", "--quiet", "deinit", "-f", "lib")
    if gone:
        shutil.rmtree(rig.top / ".git/modules/lib")
    notes = (await git.restore(rig.top, entry.ref, tmp_path / "back")).notes
    back = tmp_path / "back/lib"
    if gone:
        assert any("'lib' did not come back" in note for note in notes) and list(back.iterdir()) == []
    else:
        assert notes == () and (back / "a.txt").read_text() == "changed"


@pytest.mark.parametrize("forged", [{}, {"nested_shas": {"lib": "0" * 40}}])
async def test_another_entry_of_the_same_name_is_not_taken_for_that_of_a_repository_inside(
    rig: Repo, agent: Repo, tmp_path: Path, forged: dict[str, object]
) -> None:
    own = await git.keep(rig.top, agent.top, BEAD, "r")
    body = {"nested": {"lib": own.ref}} | forged
    message = f"Keep the folder of bead {BEAD}\n\n{json.dumps(body)}\n"
    made = agent.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", stdin=message.encode())
    agent.git("push", "-q", str(rig.top), f"{made}:refs/at/attic/{BEAD}/2")
    (note,) = (await git.restore(rig.top, f"refs/at/attic/{BEAD}/2", tmp_path / "back")).notes
    assert "'lib' did not come back" in note and not (tmp_path / "back/lib").exists()


@pytest.mark.parametrize(
    "recorded", ["../../elsewhere/.git", "modules/../../../elsewhere", "objects", "modules"]
)
async def test_a_home_that_is_no_submodules_is_not_looked_into(
    rig: Repo, agent: Repo, make_repo: Callable[[str], Repo], tmp_path: Path, recorded: str
) -> None:
    make_repo("elsewhere")
    inner = _inside(agent, "lib")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    body = {
        "nested": dict(entry.nested),
        "nested_shas": dict(entry.nested_shas),
        "nested_homes": {"lib": recorded},
    }
    message = f"Keep the folder of bead {BEAD}\n\n{json.dumps(body)}\n"
    made = rig.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", stdin=message.encode())
    rig.git("update-ref", f"refs/at/attic/{BEAD}/9", made)
    (note,) = (await git.restore(rig.top, f"refs/at/attic/{BEAD}/9", tmp_path / "back")).notes
    assert "'lib' did not come back" in note and inner.sha() not in note


async def test_an_entry_from_before_its_place_was_recorded_comes_back(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    sha = _inside(agent, "lib").sha()
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    first, _, body = rig.git("log", "-1", "--format=%B", entry.sha).partition("\n\n")
    record = {key: value for key, value in json.loads(body).items() if not key.startswith("nested_")}
    message = f"{first}\n\n{json.dumps(record)}\n"
    made = rig.git("commit-tree", entry.tree, "-p", entry.head, stdin=message.encode())
    rig.git("update-ref", f"refs/at/attic/{BEAD}/9", made)
    await git.restore(rig.top, f"refs/at/attic/{BEAD}/9", tmp_path / "back")
    assert Repo(tmp_path / "back/lib").sha() == sha


@pytest.fixture
async def filled(rig: Repo, make_repo: Callable[[str], Repo], folder: Path, tmp_path: Path) -> Repo:
    """A folder of an agent that filled a submodule itself, which the person has not."""
    make_repo("source")
    seed = Repo(tmp_path / "seed")
    rig.git("clone", "-q", str(rig.top), str(seed.top))
    seed.git("submodule", "--quiet", "add", str(tmp_path / "source"), "lib")
    seed.commit("lib")
    rig.git("pull", "-q", str(seed.top), "main")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("submodule", "--quiet", "update", "--init")
    assert (folder / "lib/.git").is_file()
    return agent


@pytest.mark.parametrize("committed", [False, True])
async def test_work_in_a_submodule_that_the_agent_filled_is_kept(
    rig: Repo, filled: Repo, tmp_path: Path, committed: bool
) -> None:
    inner = Repo(filled.top / "lib")
    inner.write("a.txt", "stashed")
    inner.git("stash", "-q")
    stash = inner.sha("stash")
    if committed:
        inner.git("checkout", "-q", "-b", "own")
        inner.commit("own", **{"own.txt": "own"})
    inner.write("staged.txt", "staged")
    inner.git("add", "-A")
    for name in ("staged.txt", "a.txt", "new.txt"):
        inner.write(name, "later")
    seen = inner.sha(), inner.status(), inner.git("show", ":staged.txt"), filled.status()
    entry = await keep_and_remove(rig, filled)
    assert entry.incomplete == () and rig.git("merge-base", "--is-ancestor", stash, entry.nested["lib"]) == ""
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back/lib")
    assert (
        back.sha(),
        back.status(),
        back.git("show", ":staged.txt"),
        Repo(tmp_path / "back").status(),
    ) == seen
    assert [(back.top / name).read_text() for name in ("a.txt", "new.txt")] == ["later", "later"]


async def test_a_linked_worktree_inside_is_kept(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    agent.git("worktree", "add", "-q", "-b", "beside", "beside")
    linked = Repo(agent.top / "beside")
    sha = linked.commit("beside", **{"b.txt": "b"})
    linked.write("b.txt", "staged")
    linked.git("add", "-A")
    linked.write("b.txt", "later")
    entry = await keep_and_remove(rig, agent)
    assert entry.incomplete == ()
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back/beside")
    assert (back.sha(), back.git("symbolic-ref", "--short", "HEAD"), back.status()) == (
        sha,
        "beside",
        "MM b.txt",
    )


@pytest.mark.parametrize("leads", ["out", "link", "up", "nowhere"])
async def test_a_git_file_that_leads_elsewhere_is_not_followed(
    rig: Repo, filled: Repo, make_repo: Callable[[str], Repo], tmp_path: Path, leads: str
) -> None:
    other = make_repo("other")
    secret = other.commit("secret", **{"secret.txt": "secret"})
    places = {
        "out": f"{other.top}/.git",
        "link": "../.git/modules/odd",
        "up": "../.git/modules/../../../../../other/.git",
    }
    (filled.top / ".git/modules/odd").symlink_to(other.top / ".git")
    filled.write("lib/.git", f"gitdir: {places.get(leads, '../.git/modules/none')}\n")
    filled.write("lib/a.txt", "changed")
    entry = await keep_and_remove(rig, filled)
    assert any("no usable .git" in note and "inside 'lib'" in note for note in entry.incomplete)
    assert rig.tree(entry.nested["lib"])["a.txt"] == "changed"
    assert rig.git("rev-list", "--all", "--objects").find(secret) < 0


@pytest.mark.parametrize("made", ["around", "in place"])
async def test_a_tracked_folder_that_was_made_a_repository_keeps_its_history(
    rig: Repo, agent: Repo, tmp_path: Path, made: str
) -> None:
    agent.commit("vendor", **{"vendor/deep/v.txt": "v", "vendor/ignored.log": "tracked"})
    if made == "in place":
        shutil.rmtree(agent.top / "vendor")
    (agent.top / "vendor").mkdir(exist_ok=True)
    agent.write("vendor/.gitignore", "*.log\n")
    inner = _inside(agent, "vendor")
    if made == "around":
        agent.write("vendor/ignored.log", "changed")
    shas = inner.sha(), inner.sha("side"), inner.sha("stash")
    seen = agent.status(), inner.status()
    entry = await keep_and_remove(rig, agent)
    assert entry.incomplete == ()
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back, inside = Repo(tmp_path / "back"), Repo(tmp_path / "back/vendor")
    assert (inside.sha(), inside.sha("side")) == shas[:2]
    assert rig.git("merge-base", "--is-ancestor", shas[2], entry.nested["vendor"]) == ""
    assert (back.status(), inside.status()) == seen
    assert (inside.top / "inner.txt").read_text() == "changed"


async def test_what_is_lost_inside_is_said_of_the_whole(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    inner = _inside(agent, "vendor")
    sha = inner.sha("side")
    damaged = inner.top / ".git/objects" / sha[:2] / sha[2:]
    damaged.unlink()
    entry = await keep_and_remove(rig, agent)
    (note,) = entry.incomplete
    assert "inside 'vendor': refs/heads/side" in note
    assert (await git.restore(rig.top, entry.ref, tmp_path / "back")).notes == (note,)


async def test_files_in_a_submodule_without_its_git_folder_are_kept(
    rig: Repo, lib: Repo, agent: Repo, tmp_path: Path
) -> None:
    assert lib.sha()
    shutil.rmtree(agent.top / "lib/.git")
    agent.write("lib/new.txt", "new")
    entry = await keep_and_remove(rig, agent)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert (tmp_path / "back/lib/new.txt").read_text() == "new"


async def test_a_submodule_on_another_commit_of_the_persons_comes_back_there(
    rig: Repo, lib: Repo, agent: Repo, tmp_path: Path
) -> None:
    newer = lib.commit("newer", **{"n.txt": "n"})
    Repo(agent.top / "lib").git("checkout", "-q", newer)
    entry = await keep_and_remove(rig, agent)
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert Repo(tmp_path / "back/lib").sha() == newer


async def test_a_bare_repository_inside_is_one_again(rig: Repo, agent: Repo, tmp_path: Path) -> None:
    bare = Repo(agent.top / "remotes/one.git")
    for path in ("remotes/one.git", "remotes/new.git"):
        agent.git("init", "-q", "--bare", path)
    agent.git("push", "-q", str(bare.top), "HEAD:refs/heads/main")
    bare.git("pack-refs", "--all")
    bare.git("gc", "-q")
    entry = await keep_and_remove(rig, agent)
    assert sorted(entry.bare) == ["remotes/new.git", "remotes/one.git"]
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back/remotes/one.git")
    assert back.sha("main") == rig.sha() and back.git("fsck") == ""
    assert Repo(tmp_path / "back/remotes/new.git").git("rev-parse", "--is-bare-repository") == "true"


@pytest.mark.parametrize("gone", ["removed from the tree", "removed by hand"])
async def test_work_comes_back_though_the_persons_checkout_of_the_submodule_is_gone(
    rig: Repo, lib: Repo, folder: Path, tmp_path: Path, gone: str
) -> None:
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    own = Repo(folder / "lib").commit("own", **{"own.txt": "own"})
    agent.write("a.txt", "work of days")
    entry = await keep_and_remove(rig, agent)
    if gone == "removed from the tree":
        rig.git("rm", "-q", "lib")
    else:
        shutil.rmtree(lib.top)
    restored = await git.restore(rig.top, entry.ref, tmp_path / "back")
    back = Repo(tmp_path / "back")
    assert (back.top / "a.txt").read_text() == "work of days"
    assert (Repo(back.top / "lib").sha(), restored.notes) == (own, ())
