"""A private clone: whole or not there, sharing objects, with nothing of the person's in reach."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BRANCH, Repo

pytestmark = pytest.mark.anyio


async def test_a_clone_stands_alone(rig: Repo, folder: Path) -> None:
    rig.git("tag", "-a", "v1", "-m", "one")
    rig.git("branch", "feature")
    rig.git("branch", "at/ffffffff-other")
    rig.write(".git/info/exclude", "secret.txt\n")
    rig.git("config", "core.hooksPath", "hooks")
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    assert agent.git("for-each-ref", "--format=%(refname)").split("\n") == [
        "refs/heads/at/0123abcd-work",
        "refs/heads/feature",
        "refs/heads/main",
        "refs/tags/v1",
    ]
    assert agent.git("describe") == "v1"
    assert agent.git("fsck", "--strict") == ""
    assert agent.git("config", "--get", "core.hooksPath", ok=False) == ""
    assert list((folder / ".git/objects/pack").iterdir()) == []
    agent.write("secret.txt", "x")
    assert agent.status() == ""
    assert "No configured push destination" in _stderr(agent, "push")
    assert rig.sha(prepared.base_ref) == prepared.base_sha == rig.sha()


def _stderr(repo: Repo, *arguments: str) -> str:
    import subprocess

    return subprocess.run(["git", *arguments], cwd=repo.top, capture_output=True, check=False).stderr.decode()


async def test_a_folder_is_made_once(rig: Repo, folder: Path) -> None:
    first = await git.prepare(rig.top, folder, BRANCH, "main")
    Repo(folder).write("work.txt", "in progress")
    rig.commit("main moved", **{"a.txt": "moved"})
    second = await git.prepare(rig.top, folder, BRANCH, "main")
    assert (second.base_sha, second.reused) == (first.base_sha, True)
    assert (folder / "work.txt").read_text() == "in progress"


async def test_an_empty_folder_is_used_and_leftovers_are_swept(rig: Repo, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder.parent / ".one.at-killed/.git").mkdir(parents=True)
    await git.prepare(rig.top, folder, BRANCH, "main")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


async def test_a_foreign_folder_is_left_alone(rig: Repo, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "precious").write_text("x")
    with pytest.raises(errors.FolderInTheWay):
        await git.prepare(rig.top, folder, BRANCH, "main")
    assert (folder / "precious").read_text() == "x"


@pytest.mark.parametrize("base", ["-x", "--help", "nosuch", "main\n"])
async def test_a_bad_base(rig: Repo, folder: Path, base: str) -> None:
    with pytest.raises((errors.BadName, errors.RevisionMissing)):
        await git.prepare(rig.top, folder, BRANCH, base)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["with space", "ünï-日本", "new\nline", "-dash", "a:colon", 'quo"te\\'])
async def test_odd_paths(make_repo: Callable[[str], Repo], tmp_path: Path, name: str) -> None:
    rig = make_repo(name)
    rig.commit("odd", **{"-x": "1", "sp ace": "2", "new\nline": "3", "日本/ü": "4"})
    folder = tmp_path / "state" / name
    await git.prepare(rig.top, folder, BRANCH, "main")
    assert Repo(folder).status() == ""
    assert Repo(folder).tree("HEAD") == rig.tree("HEAD")
    assert Repo(folder).git("fsck") == ""


async def test_names_that_are_no_utf8(rig: Repo, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    base = rig.commit("latin", **{name: "1"})
    await git.prepare(rig.top, folder, BRANCH, base)
    assert (folder / name).read_text() == "1"


async def test_the_fallback_identity(rig: Repo, folder: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.commit("works without an identity", **{"a.txt": "x"})
    assert agent.git("log", "-1", "--format=%an <%ae>") == "auto-tundra <auto-tundra@localhost>"


async def test_an_agent_does_not_sign(rig: Repo, folder: Path) -> None:
    rig.git("config", "--global", "commit.gpgsign", "true")
    rig.git("config", "user.name", 'Odd "Name" \\ ünï')
    await git.prepare(rig.top, folder, BRANCH, "main")
    Repo(folder).commit("unsigned", **{"a.txt": "x"})
    assert Repo(folder).git("log", "-1", "--format=%an") == 'Odd "Name" \\ ünï'


async def test_a_shallow_rig(rig: Repo, folder: Path, tmp_path: Path) -> None:
    rig.commit("second", **{"a.txt": "x"})
    rig.git("clone", "-q", "--depth=1", f"file://{rig.top}", str(tmp_path / "shallow"))
    await git.prepare(tmp_path / "shallow", folder, BRANCH, "main")
    assert Repo(folder).git("log", "--format=%s") == "second"
    assert Repo(folder).git("fsck") == ""


async def test_a_linked_worktree_and_a_detached_head(rig: Repo, folder: Path, tmp_path: Path) -> None:
    rig.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    prepared = await git.prepare(tmp_path / "linked", folder, BRANCH, "HEAD")
    assert prepared.base_sha == rig.sha()


async def test_submodules_come_from_the_persons_own(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    inner = make_repo("inner")
    other = make_repo("other")
    other.git("submodule", "--quiet", "add", str(inner.top), "deep er")
    other.commit("nest")
    rig.git("submodule", "--quiet", "add", str(other.top), "su b")
    rig.git("submodule", "--quiet", "add", "--name", "unused", str(inner.top), "un")
    rig.commit("add")
    rig.git("submodule", "--quiet", "update", "--init", "--recursive")
    rig.git("submodule", "--quiet", "deinit", "-f", "un")
    inner.top.rename(inner.top.with_name("unreachable"))
    (rig.top / ".git/modules/unused/HEAD").unlink()
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    assert (folder / "su b/deep er/a.txt").read_text() == "a\nb\nc\n"
    assert list((folder / "un").iterdir()) == []
    assert len(prepared.notes) == 1 and "'un'" in prepared.notes[0]
    assert Repo(folder).status() == ""


async def test_lfs_pointers_stay_where_git_lfs_is_missing(
    rig: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    base = rig.commit("lfs", **{".gitattributes": "*.bin filter=lfs -text\n", "x.bin": pointer})
    for key in ("clean", "smudge", "process"):
        rig.git("config", "--global", f"filter.lfs.{key}", f"git-lfs-is-missing {key}")
    rig.git("config", "--global", "filter.lfs.required", "true")
    prepared = await git.prepare(rig.top, folder, BRANCH, base)
    assert (folder / "x.bin").read_text() == pointer
    assert any("git-lfs" in note for note in prepared.notes)
    (folder / "x.bin").write_text(pointer + "\n")
    collected = await git.collect(rig.top, folder, BRANCH, "refs/at/beads/x", base, "m")
    assert collected.changed_paths == ("x.bin",)


async def test_a_branch_called_at_does_not_bar_the_way(rig: Repo, folder: Path) -> None:
    rig.git("branch", "at")
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    Repo(folder).commit("x", **{"a.txt": "x"})
    collected = await git.collect(rig.top, folder, BRANCH, "refs/at/beads/x", prepared.base_sha, "m")
    assert any("'at'" in note for note in collected.notes)
    assert rig.sha("refs/at/beads/x") == collected.head
