"""What a repository is, and the refusals, each with its own type and the command that mends it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon.git import errors, inspect
from at_daemon.git.inspect import git_version
from at_daemon.git.settings import Identity
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


async def test_facts_of_a_plain_repository(rig: Repo) -> None:
    facts = await inspect(rig.top / "d")
    assert (facts.top, facts.git_dir, facts.common_dir) == (rig.top, rig.top / ".git", rig.top / ".git")
    assert (facts.branch, facts.default_target, facts.head) == ("main", "main", rig.sha())
    assert facts.identity == Identity("Ada", "ada@example.org")
    assert not (
        facts.bare or facts.has_submodules or facts.uses_lfs or facts.shallow or facts.linked_worktree
    )
    assert facts.operation is None


@pytest.mark.parametrize(
    "name", ["with space", "ünï-日本", "new\nline", "-dash", "a:colon", 'quo"te', "tab\there"]
)
async def test_odd_paths_work(make_repo: Callable[[str], Repo], name: str) -> None:
    repo = make_repo(name)
    assert (await inspect(repo.top)).top == repo.top


async def test_no_repository(home: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "deeper"):
        with pytest.raises(errors.NotARepository) as refused:
            await inspect(path)
        assert refused.value.hint == "git init"


async def test_no_commits(home: Path, tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.git("init", "-q")
    with pytest.raises(errors.NoCommits) as refused:
        await inspect(tmp_path)
    facts = await inspect(tmp_path, allow_unborn=True)
    assert (facts.head, facts.branch) == (None, "main")
    repo.git(*refused.value.hint.removeprefix("git ").replace('"', "").split(" "))
    assert (await inspect(tmp_path)).head == repo.sha()


async def test_bare(rig: Repo, tmp_path: Path) -> None:
    rig.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    with pytest.raises(errors.BareRepository):
        await inspect(tmp_path / "bare.git")


async def test_inside_the_git_folder(rig: Repo) -> None:
    with pytest.raises(errors.NotARepository):
        await inspect(rig.top / ".git")


async def test_another_users_repository(rig: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(rig.top, 12345, 12345)
    if os.stat(rig.top).st_uid != 12345:
        pytest.skip("needs the right to give a folder away")
    with pytest.raises(errors.DubiousOwnership) as refused:
        await inspect(rig.top)
    rig.git(*refused.value.hint.removeprefix("git ").split(" "))
    assert (await inspect(rig.top)).top == rig.top


async def test_detached_head(rig: Repo) -> None:
    rig.git("checkout", "-q", "--detach")
    facts = await inspect(rig.top)
    assert (facts.branch, facts.default_target) == (None, "main")


async def test_the_remotes_default_is_the_target_of_a_detached_head(rig: Repo) -> None:
    rig.git("branch", "develop")
    rig.git("checkout", "-q", "--detach")
    rig.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop")
    assert (await inspect(rig.top)).default_target == "develop"


async def test_linked_worktree(rig: Repo, tmp_path: Path) -> None:
    rig.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    facts = await inspect(tmp_path / "linked")
    assert facts.linked_worktree and facts.common_dir == rig.top / ".git"
    assert facts.branch == "other"


async def test_shallow(rig: Repo, tmp_path: Path) -> None:
    rig.commit("second", **{"a.txt": "x"})
    rig.git("clone", "-q", "--depth=1", f"file://{rig.top}", str(tmp_path / "shallow"))
    assert (await inspect(tmp_path / "shallow")).shallow


@pytest.mark.parametrize("where", [".gitattributes", "d/.gitattributes"])
async def test_lfs_and_submodules(rig: Repo, make_repo: Callable[[str], Repo], where: str) -> None:
    other = make_repo("other")
    rig.git("submodule", "--quiet", "add", str(other.top), "sub")
    rig.commit("both", **{where: "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    facts = await inspect(rig.top)
    assert facts.uses_lfs and facts.has_submodules


async def test_an_operation_in_progress(rig: Repo) -> None:
    rig.git("checkout", "-q", "-b", "side")
    rig.commit("theirs", **{"a.txt": "theirs"})
    rig.git("checkout", "-q", "main")
    rig.commit("ours", **{"a.txt": "ours"})
    rig.git("merge", "side", ok=False)
    assert (await inspect(rig.top)).operation == "merge"


async def test_no_identity(rig: Repo, home: Path) -> None:
    (home / ".gitconfig").write_text("")
    assert (await inspect(rig.top)).identity is None


async def test_no_git(rig: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.GitMissing):
        await inspect(rig.top)


@pytest.mark.parametrize(
    ("said", "numbers"),
    [("git version 2.50.1 (Apple Git-155)", (2, 50, 1)), ("git version 2.38.GIT", (2, 38, 0))],
)
async def test_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, numbers: tuple[int, ...]
) -> None:
    _fake_git(tmp_path, monkeypatch, said)
    assert (await git_version())[1] == numbers


async def test_an_old_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_git(tmp_path, monkeypatch, "git version 2.34.1")
    with pytest.raises(errors.GitTooOld, match=r"2\.34\.1 is too old, 2\.38 is needed"):
        await git_version()


def _fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    script = folder / "git"
    script.write_text(f"#!/bin/sh\necho '{said}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
