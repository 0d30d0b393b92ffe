"""The cache of what set-ups made: whole or not there, bounded, and without an inode that two folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from at_core.repo_settings import FolderCache, Worktree
from at_daemon.folder_cache import NotKept, keep, key_of, use

KEY, OTHER, THIRD = "a" * 32, "b" * 32, "c" * 32
MB = 1 << 20


@pytest.fixture(name="root")
def made_root(tmp_path: Path) -> Path:
    """An empty cache."""
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def folder(tmp_path: Path, name: str, size: int = 4) -> Path:
    """A folder that was set up: a file, a program, a link, and an empty folder."""
    top = tmp_path / name
    (top / "web/deps/empty").mkdir(parents=True)
    (top / "web/deps/file").write_bytes(b"x" * size)
    (top / "web/deps/program").write_text("#!/bin/sh\n")
    (top / "web/deps/program").chmod(0o755)
    os.link(top / "web/deps/file", top / "web/deps/twin")
    (top / "web/deps/link").symlink_to("file")
    return top


def shape(top: Path) -> dict[str, tuple[int, bytes]]:
    """Paths below a folder with mode and content."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode,
            os.fsencode(os.readlink(path))
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b"",
        )
        for path in sorted(top.rglob("*"))
    }


def test_a_copy_is_like_the_original_and_shares_no_inode(tmp_path: Path, root: Path) -> None:
    first = folder(tmp_path, "first")
    assert keep(root, KEY, first, ["web/deps"], MB) > 0
    second = tmp_path / "second"
    second.mkdir()
    assert use(root, KEY, second) == ("web/deps",)
    assert shape(second) == shape(first)
    inodes = [path.lstat().st_ino for top in (first, second, root) for path in top.rglob("*")]
    assert len(inodes) - len(set(inodes)) == 1, "only the twins of the first folder are one file"
    (second / "web/deps/file").write_text("changed")
    assert use(root, KEY, second) == ("web/deps",)
    assert (second / "web/deps/file").read_text() == "changed", "what is there stays"
    assert use(root, OTHER, second) == ()


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("file", True),
        ("../../packages/one", True),
        ("/usr/lib", True),
        ("absent", True),
        ("{folder}/packages/one", False),
        ("{real}/packages/one", False),
        ("../../../first/packages/one", False),
        ("../../../second/packages/one", False),
        ("{real}/../second", False),
        ("../../out/one", False),
        ("../../../../..", False),
    ],
)
def test_a_link_means_in_another_folder_what_it_means_here(
    tmp_path: Path, root: Path, target: str, kept: bool
) -> None:
    (tmp_path / "real/worktrees").mkdir(parents=True)
    (tmp_path / "spelled").symlink_to("real")
    top = folder(tmp_path / "spelled/worktrees", "first")
    (top / "packages").mkdir()
    (top / "packages/one").write_text("one\n")
    (top / "out").symlink_to(top.parent)
    real = top.resolve()
    (top / "web/deps/made").symlink_to(target.format(folder=top, real=real))
    if kept:
        assert keep(root, KEY, top, ["web/deps"], MB) > 0
        return
    with pytest.raises(NotKept, match="'web/deps/made' is a link"):
        keep(root, KEY, top, ["web/deps"], MB)


@pytest.mark.parametrize("kind", ["link", "fifo", "nothing", "too large"])
def test_what_would_be_wrong_elsewhere_is_not_kept(tmp_path: Path, root: Path, kind: str) -> None:
    top = folder(tmp_path, "first")
    match kind:
        case "link":
            (top / "web/deps/absolute").symlink_to(top / "web")
        case "fifo":
            os.mkfifo(top / "web/deps/fifo")
        case "too large":
            (top / "web/deps/file").write_bytes(b"x" * (MB + 1))
    paths = ["none"] if kind == "nothing" else ["web/deps"]
    with pytest.raises(
        NotKept, match={"nothing": "made no folder", "too large": "may take 1 MB"}.get(kind, kind)
    ):
        keep(root, KEY, top, paths, MB)
    assert list(root.iterdir()) == []


def test_the_ones_used_least_recently_go(tmp_path: Path, root: Path) -> None:
    top = folder(tmp_path, "first", 400_000)
    for second, key in enumerate((KEY, OTHER)):
        keep(root, key, top, ["web/deps"], 2 * MB)
        os.utime(root / key / "made.json", (second, second))
    new = tmp_path / "new"
    new.mkdir()
    use(root, KEY, new)
    keep(root, THIRD, top, ["web/deps"], 2 * MB)
    assert {path.name for path in root.iterdir()} == {KEY, THIRD}


def test_what_a_killed_process_left_is_swept_and_never_used(tmp_path: Path, root: Path) -> None:
    (root / f".{KEY}.new-abcdefgh/0").mkdir(parents=True)
    (root / OTHER).mkdir()
    assert use(root, OTHER, tmp_path) == ()
    keep(root, KEY, folder(tmp_path, "first"), ["web/deps"], MB)
    assert {path.name for path in root.iterdir()} == {KEY, OTHER}


def test_a_link_of_the_base_is_not_followed(tmp_path: Path, root: Path) -> None:
    keep(root, KEY, folder(tmp_path, "first"), ["web/deps"], MB)
    second, outside = tmp_path / "second", tmp_path / "outside"
    second.mkdir()
    outside.mkdir()
    (second / "web").symlink_to(outside)
    assert use(root, KEY, second) == () and list(outside.iterdir()) == []
    with pytest.raises(NotKept):
        keep(root, OTHER, second, ["web/deps"], MB)


def test_the_key_is_made_of_every_input(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1")
    (tmp_path / "second").write_text("1")
    cache = FolderCache(("deps",), ("lock", "second"))
    plain = Worktree(setup=("make",), cache=cache)
    keys = [
        key_of("one", plain, tmp_path),
        key_of("two", plain, tmp_path),
        key_of("one", Worktree(setup=("make", "more"), cache=cache), tmp_path),
        key_of("one", Worktree(setup=("make",), cache=FolderCache(("other",), ("lock",))), tmp_path),
    ]
    assert keys[0] == key_of("one", Worktree(setup=("make",), run=("up",), cache=cache), tmp_path)
    (tmp_path / "lock").write_text("2")
    keys.append(key_of("one", plain, tmp_path))
    (tmp_path / "second").write_text("")
    keys.append(key_of("one", plain, tmp_path))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_key_that_is_no_file_makes_none(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "lock").mkdir()
    with pytest.raises(NotKept, match="key 'lock' is no file"):
        key_of("one", Worktree(cache=FolderCache(("deps",), ("lock",))), tmp_path)
