"""A clone that begins as a person's checkout is: as their own `git add --all` would read that, and nothing they hid from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_core.errors import Refused
from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio
FIRST = git.ForBead(BEAD, BRANCH, "main")


def seen(checkout: Repo) -> tuple[object, ...]:
    """All that could be changed of a checkout: what git says of it, its index, and what is in its git folder."""
    index = Path(checkout.git("rev-parse", "--git-path", "index"))
    names = sorted(path.name for path in (checkout.top / index).parent.iterdir())
    digest = hashlib.sha256((checkout.top / index).read_bytes()).hexdigest()
    return (
        checkout.git("--no-optional-locks", "status", "--porcelain"),
        checkout.git("diff", "--cached"),
        digest,
        names,
    )


async def adopted(rig: Repo, checkout: Repo, folder: Path) -> tuple[Repo, git.Carried]:
    """The bead's folder, made as the checkout is, which is only read."""
    before = seen(checkout)
    carried = await git.carry(checkout.top, FIRST, folder, dict(os.environ))
    ref = await git.hold(rig.top, FIRST, carried)
    assert seen(checkout) == before
    await git.restore(rig.top, ref, folder, checkout=checkout.top)
    return Repo(folder), carried


async def brought(rig: Repo, agent: Repo, carried: git.Carried) -> set[str]:
    """Paths that the bead changes when its agent does nothing."""
    found = await git.collect(rig.top, agent.top, BRANCH, REF, carried.base, "work")
    return set(found.changed_paths)


@pytest.fixture(name="checkout", params=["main", "linked"])
def made_checkout(rig: Repo, tmp_path: Path, request: pytest.FixtureRequest) -> Repo:
    """The person's repository itself, or a linked worktree of it."""
    if request.param == "main":
        return rig
    rig.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    return Repo(tmp_path / "linked")


async def test_it_is_as_it_was_staged_changed_and_new(rig: Repo, checkout: Repo, folder: Path) -> None:
    checkout.write(".gitignore", "*.log\n")
    checkout.write("forced.log", "forced\n")
    checkout.git("add", "-f", "forced.log")
    checkout.write("noise.log", "noise\n")
    checkout.write("a.txt", "staged\n")
    checkout.git("add", "a.txt")
    checkout.write("a.txt", "changed\n")
    checkout.git("rm", "-q", "gone.txt")
    checkout.write("new.txt", "new\n")
    agent, carried = await adopted(rig, checkout, folder)
    assert agent.status() == checkout.status() and agent.git("show", ":a.txt") == "staged"
    assert (folder / "a.txt").read_text() == "changed\n" and not (folder / "noise.log").exists()
    assert await brought(rig, agent, carried) == {".gitignore", "a.txt", "forced.log", "gone.txt", "new.txt"}


async def test_what_was_taken_out_of_git_does_not_come_back(rig: Repo, checkout: Repo, folder: Path) -> None:
    checkout.git("rm", "-q", "--cached", "a.txt")
    checkout.write(".gitignore", "a.txt\n")
    checkout.write("a.txt", "a secret\n")
    agent, carried = await adopted(rig, checkout, folder)
    assert not (folder / "a.txt").exists()
    assert await brought(rig, agent, carried) == {".gitignore", "a.txt"}


@pytest.mark.parametrize("option", ["--skip-worktree", "--assume-unchanged"])
@pytest.mark.parametrize("split", [False, True], ids=["", "split index"])
async def test_what_the_person_hid_from_git_stays_hidden(
    rig: Repo, checkout: Repo, folder: Path, option: str, split: bool
) -> None:
    if split:
        checkout.git("update-index", "--split-index")
    checkout.git("update-index", option, "a.txt")
    checkout.write("a.txt", "a password\n")
    agent, carried = await adopted(rig, checkout, folder)
    assert (folder / "a.txt").read_text() == "a\nb\nc\n"
    assert await brought(rig, agent, carried) == set()
    assert carried.notes == ("hidden from git in your checkout, and here as in your index: 'a.txt'",)


@pytest.fixture(name="encrypted")
def made_encrypted(rig: Repo, tmp_path: Path, request: pytest.FixtureRequest) -> Repo:
    """A checkout of files that git has encrypted: rot13 is good enough for a test."""
    for key in ("clean", "smudge"):
        rig.git("config", f"filter.enc.{key}", "tr a-zA-Z n-za-mN-ZA-M")
    rig.commit("secret", **{".gitattributes": "*.sec filter=enc\n", "k.sec": "topsecret\n"})
    assert rig.git("show", "HEAD:k.sec") == "gbcfrperg"
    rig.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    return rig if request.param == "main" else Repo(tmp_path / "linked")


@pytest.mark.parametrize("encrypted", ["main", "linked"], indirect=True)
@pytest.mark.parametrize("content", ["topsecret\n", "another secret\n"], ids=["touched", "changed"])
async def test_what_a_filter_hides_is_never_stored_plain(
    rig: Repo, encrypted: Repo, folder: Path, content: str
) -> None:
    encrypted.write("k.sec", content)
    os.utime(encrypted.top / "k.sec", (1, 1))
    agent, carried = await adopted(rig, encrypted, folder)
    assert "secret" not in (folder / "k.sec").read_text()
    assert await brought(rig, agent, carried) == ({"k.sec"} if content.startswith("another") else set())


@pytest.mark.parametrize("encrypted", ["main", "linked"], indirect=True)
async def test_a_filter_that_fails_has_it_refused(rig: Repo, encrypted: Repo, folder: Path) -> None:
    rig.git("config", "filter.enc.clean", "false")
    encrypted.write("k.sec", "another secret\n")
    with pytest.raises(Refused, match="filter 'false' failed") as refused:
        await git.carry(encrypted.top, FIRST, folder, dict(os.environ))
    assert "add --all --dry-run" in (refused.value.hint or "")
    assert rig.git("for-each-ref", "refs/at") == "" and list(folder.parent.iterdir()) == []


async def test_the_filters_are_those_of_whoever_asks(rig: Repo, folder: Path, tmp_path: Path) -> None:
    rig.commit("attributes", **{".gitattributes": "*.sec filter=enc\n"})
    rig.write("k.sec", "secret\n")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / ".gitconfig").write_text('[filter "enc"]\nclean = false\n')
    with pytest.raises(Refused, match="filter 'false' failed"):
        await git.carry(rig.top, FIRST, folder, {**os.environ, "HOME": str(theirs)})


@pytest.mark.parametrize("patterns", [("d",), ("--no-cone", "/d/*", "/a.txt")], ids=["cone", "patterns"])
async def test_what_a_sparse_set_leaves_out_is_not_deleted(
    rig: Repo, checkout: Repo, folder: Path, patterns: tuple[str, ...]
) -> None:
    rig.commit("more", **{"out/far.txt": "far\n"})
    checkout.git("checkout", "-q", "--detach", "main")
    checkout.git("sparse-checkout", "set", *patterns)
    checkout.write("d/new.txt", "new\n")
    agent, carried = await adopted(rig, checkout, folder)
    assert not (checkout.top / "out").exists() and (folder / "out/far.txt").exists()
    assert await brought(rig, agent, carried) == {"d/new.txt"}
    assert any("sparse" in note for note in carried.notes)


async def test_conflicts_that_nobody_resolved_are_refused(rig: Repo, checkout: Repo, folder: Path) -> None:
    checkout.write("a.txt", "mine\n")
    checkout.git("stash", "-q")
    checkout.commit("theirs", **{"a.txt": "theirs\n"})
    checkout.git("stash", "pop", "-q", ok=False)
    with pytest.raises(Refused, match=r"conflicts that nobody has resolved: 'a\.txt'"):
        await git.carry(checkout.top, FIRST, folder, {})
    assert rig.git("for-each-ref", "refs/at") == ""


async def test_a_checkout_without_an_index_is_refused(checkout: Repo, folder: Path) -> None:
    (checkout.top / checkout.git("rev-parse", "--git-path", "index")).unlink()
    with pytest.raises(Refused, match="no index"):
        await git.carry(checkout.top, FIRST, folder, {})


async def test_commits_before_the_target_are_its_work_and_said(rig: Repo, folder: Path) -> None:
    rig.git("checkout", "-q", "-b", "feature")
    rig.commit("f1", **{"f1.txt": "1\n"})
    rig.commit("f2", **{"f2.txt": "2\n"})
    agent, carried = await adopted(rig, rig, folder)
    assert (carried.base, carried.ahead) == (rig.sha("main"), 2)
    assert carried.notes == ("HEAD was 2 commits ahead of main: they count as its work, and land with it",)
    assert await brought(rig, agent, carried) == {"f1.txt", "f2.txt"}


async def test_ignored_files_are_those_of_the_checkout_itself(
    rig: Repo, checkout: Repo, folder: Path
) -> None:
    checkout.commit("include", **{".gitignore": ".env\n", ".worktreeinclude": ".env\n"})
    checkout.write(".env", "of this checkout\n")
    if checkout != rig:
        rig.git("merge", "-q", "--ff-only", checkout.sha())
        rig.write(".env", "of the other\n")
    agent, _ = await adopted(rig, checkout, folder)
    assert (agent.top / ".env").read_text() == "of this checkout\n"


async def test_a_submodule_at_another_commit_is_said(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("inner").top), "sub")
    rig.commit("submodule")
    Repo(rig.top / "sub").commit("inside", **{"more.txt": "more\n"})
    agent, carried = await adopted(rig, rig, folder)
    assert carried.notes == ("'sub' is a repository of its own and does not come along",)
    assert await brought(rig, agent, carried) == set()
