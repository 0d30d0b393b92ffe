"""Repositories inside an agent's folder: all that is theirs is kept, nowhere but where it may be, and comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, Repo

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


async def _keep_and_remove(rig: Repo, agent: Repo) -> git.AtticEntry:
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert await git.keep(rig.top, agent.top, BEAD, "r") == entry
    await git.set_aside_folder(agent.top, agent.top.parent)
    await git.remove_set_aside(agent.top.parent)
    return entry


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
    entry = await _keep_and_remove(rig, agent)
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
    entry = await _keep_and_remove(rig, agent)
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
    entry = await _keep_and_remove(rig, agent)
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


@pytest.mark.parametrize("home", ["../../elsewhere/.git", "modules/../../../elsewhere", "objects", "modules"])
async def test_a_home_that_is_no_submodules_is_not_looked_into(
    rig: Repo, agent: Repo, make_repo: Callable[[str], Repo], tmp_path: Path, home: str
) -> None:
    make_repo("elsewhere")
    inner = _inside(agent, "lib")
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    body = {
        "nested": dict(entry.nested),
        "nested_shas": dict(entry.nested_shas),
        "nested_homes": {"lib": home},
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
