"""Ignored files that a new folder gets because `.worktreeinclude` names them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BRANCH, Repo

pytestmark = pytest.mark.anyio


async def prepared(rig: Repo, folder: Path) -> list[str]:
    """The notes of a new folder."""
    return list((await git.prepare(rig.top, folder, BRANCH, "main")).notes)


def ignored(rig: Repo) -> None:
    """A repository that ignores some files and has some of them."""
    rig.commit("Ignore", **{".gitignore": ".env*\n/build/\nlink\n*.key\n", "tracked.txt": "t"})
    rig.write(".env", "SECRET=1\n").chmod(0o600)
    rig.write("sub/.env.local", "SECRET=2\n")
    rig.write("build/deep/out.bin", b"\0\xff" * 5000)
    rig.write("other.key", "not named")
    rig.write("plain.txt", "untracked, not ignored")
    os.symlink("../outside", rig.top / "link")


async def test_what_is_named_and_ignored_goes_along_as_it_is(rig: Repo, folder: Path) -> None:
    ignored(rig)
    os.utime(rig.top / ".env", ns=(1, 1_700_000_000_123_456_789))
    rig.write(
        ".worktreeinclude", "# what the program needs\n.env\n*.local\nbuild/\nlink\nplain.txt\ntracked.txt\n"
    )
    assert await prepared(rig, folder) == [".worktreeinclude: 4 ignored files copied"]
    assert (folder / ".env").read_text() == "SECRET=1\n"
    status = (folder / ".env").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o600, 1_700_000_000_123_456_789)
    assert (folder / "sub/.env.local").read_text() == "SECRET=2\n"
    assert (folder / "build/deep/out.bin").read_bytes() == b"\0\xff" * 5000
    assert os.readlink(folder / "link") == "../outside"
    assert not (folder / "other.key").exists() and not (folder / "plain.txt").exists()
    assert Repo(folder).status() == ""


async def test_without_the_file_or_without_a_match_nothing_is_copied_or_said(rig: Repo, folder: Path) -> None:
    ignored(rig)
    assert await prepared(rig, folder) == []
    assert not (folder / ".env").exists()
    rig.write(".worktreeinclude", "nothing-like-it\nplain.txt\n")
    second = folder.with_name("two")
    assert list((await git.prepare(rig.top, second, "at/0123abce-two", "main")).notes) == []
    assert not (second / "plain.txt").exists()


async def test_what_the_base_has_is_not_replaced_and_no_link_is_followed(rig: Repo, folder: Path) -> None:
    rig.commit("A file that is ignored now, and a link", **{"conf/.env": "of the base"})
    os.symlink("/nonexistent", rig.top / "linked")
    rig.git("add", "-A")
    rig.git("commit", "-qm", "Link")
    rig.git("rm", "-q", "--cached", "conf/.env", "linked")
    (rig.top / "linked").unlink()
    rig.write(".gitignore", ".env\nlinked/\n")
    rig.write("conf/.env", "mine")
    rig.write("linked/secret", "mine")
    rig.write(".worktreeinclude", ".env\nlinked/\n")
    rig.write(".git/info/exclude", ".env\nlinked/\n")
    notes = await prepared(rig, folder)
    assert (folder / "conf/.env").read_text() == "of the base"
    assert notes == [
        ".worktreeinclude: 'linked/secret' was not copied: a link of its base is in the way",
    ]
    assert os.readlink(folder / "linked") == "/nonexistent"


async def test_what_the_folder_would_not_ignore_stays_out_of_it(rig: Repo, folder: Path) -> None:
    rig.commit("Begin", **{"a.txt": "a"})
    rig.write(".gitignore", ".env\n")
    rig.write(".env", "SECRET=1")
    rig.write(".worktreeinclude", ".env\n")
    assert await prepared(rig, folder) == [
        ".worktreeinclude: '.env' was not copied: its base does not ignore it"
    ]
    assert not (folder / ".env").exists()


async def test_what_cannot_be_copied_is_counted_and_the_rest_goes_along(rig: Repo, folder: Path) -> None:
    rig.commit("Ignore", **{".gitignore": "*.pipe\n.env\n"})
    for number in range(5):
        os.mkfifo(rig.top / f"{number}.pipe")
    rig.write(".env", "x")
    rig.write(".worktreeinclude", "*.pipe\n.env\n")
    notes = await prepared(rig, folder)
    assert (folder / ".env").read_text() == "x"
    assert [note for note in notes if "copied" in note and "not" not in note] == [
        ".worktreeinclude: 1 ignored file copied"
    ]
    assert not list(folder.glob("*.pipe"))


@pytest.mark.parametrize("pattern", ["deps/", "deps", "/deps/", "deps/*"])
async def test_a_folder_that_is_to_come_is_told_as_ignored(rig: Repo, folder: Path, pattern: str) -> None:
    rig.commit("ignore", **{".gitignore": f"{pattern}\n"})
    await git.prepare(rig.top, folder, BRANCH, "main")
    assert await git.ignored_in(rig.top, folder, ["deps", "other"]) == ["deps"]


async def test_what_is_behind_a_link_or_in_a_submodule_is_not_and_hides_no_other(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path
) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("inner").top), "sub")
    (rig.top / "web").symlink_to("d")
    rig.commit("links", **{".gitignore": "deps/\n"})
    await git.prepare(rig.top, folder, BRANCH, "main")
    asked = ["sub/deps", "web/deps", "d/deps", "web"]
    assert await git.ignored_in(rig.top, folder, asked) == ["d/deps"]


async def test_what_the_base_has_as_a_submodule_is_not_copied_into(
    rig: Repo, make_repo: Callable[[str], Repo], folder: Path, tmp_path: Path
) -> None:
    rig.commit("plain", **{".gitignore": "*.env\n", ".worktreeinclude": "*.env\n", "sub/file": "1\n"})
    for name in ("sub/one.env", "two.env"):
        rig.write(name, "here\n")
    rig.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    other = Repo(tmp_path / "other")
    other.git("rm", "-q", "-r", "sub")
    other.git("submodule", "--quiet", "add", str(make_repo("inner").top), "sub")
    other.commit("submodule")
    prepared = await git.prepare(rig.top, folder, BRANCH, "other")
    assert (folder / "two.env").exists() and not (folder / "sub/one.env").exists()
    assert ".worktreeinclude: 'sub/one.env' was not copied: its base does not ignore it" in prepared.notes
