"""Repositories inside an agent's folder: where they lie, and their `.git` where that is a file.

Git itself tells of those in folders that are not tracked. It passes over filled submodules, and over tracked folders that
were made repositories: their own commits and stashes are in none of its lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.names import is_inside
from at_daemon.git.private import alternates_line
from at_daemon.git.run import LONG, Git

_WITH_GIT_DIRS = ("modules", "worktrees")
_IN_BARE = ("objects", "refs")
_LARGEST_INDEX = 1 << 31
_PARTS = ("refs", "logs", "info", "rebase-merge", "rebase-apply", "sequencer")
"""Folders of a `.git` that say something about its state."""


@dataclass(frozen=True)
class Inside:
    """A repository at `path` inside a folder; `recorded` is the commit that the folder's index has for a submodule."""

    path: str
    recorded: str | None = None


@dataclass(frozen=True)
class AllInside:
    """`nested` are repositories with a `.git`; `bare` those that are files like others, but for folders that may be empty."""

    nested: tuple[Inside, ...]
    bare: tuple[str, ...]


async def repositories_inside(git: Git, folder: Path, known: Iterable[str]) -> AllInside:
    """Those that are `known`, and those at and around what the index of `git` has."""
    listed = (await git.run("ls-files", "-z", "--stage", limit=LONG)).stdout
    return await to_thread.run_sync(_found, listed, folder, tuple(known))


def _found(listed: bytes, folder: Path, known: tuple[str, ...]) -> AllInside:
    links: dict[str, str] = {}
    directories: set[bytes] = set()
    heads: list[str] = []
    for entry in listed.split(b"\0"):
        head, _, path = entry.partition(b"\t")
        if path.endswith(b"/HEAD"):
            heads.append(os.fsdecode(path.removesuffix(b"/HEAD")))
        if head.startswith(b"160000 "):
            links[os.fsdecode(path)] = head.split(b" ")[1].decode()
        above = path.rpartition(b"/")[0]
        while above and above not in directories:
            directories.add(above)
            above = above.rpartition(b"/")[0]
    top = os.fsencode(folder)
    own = [os.fsdecode(path) for path in directories if os.path.lexists(b"%s/%s/.git" % (top, path))]
    filled = [path for path in links if _is_filled(folder, path)]
    paths = [path for path in dict.fromkeys([*known, *filled, *sorted(own)]) if is_inside(path)]
    nested = (Inside(path, links.get(path)) for path in paths if nofollow.is_directory(folder, path))
    bare = (
        path for path in heads if all(nofollow.is_directory(folder, f"{path}/{each}") for each in _IN_BARE)
    )
    return AllInside(tuple(nested), tuple(bare))


def made_bare(folder: Path, path: str) -> None:
    """Give a bare repository the folders without which it is none. Where a link lies on the way nothing is done."""
    for each in _IN_BARE:
        with suppress(OSError), nofollow.opened(folder, (*path.split("/"), each), make=True):
            pass


def _is_filled(folder: Path, path: str) -> bool:
    try:
        with nofollow.opened(folder, tuple(path.split("/"))) as directory:
            return bool(os.listdir(directory))
    except OSError:
        return False


def git_dir_of(folder: Path, around: Iterable[Path]) -> tuple[Path, str] | None:
    """Where the `.git` file of the folder leads, if that is a place that git gives a submodule or a linked worktree
    of one of the folders `around`: that folder, and the path in it. No link is followed."""
    content = nofollow.read(folder, ".git", 4096) or b""
    if not content.startswith(b"gitdir: "):
        return None
    said = os.fsdecode(content.removeprefix(b"gitdir: ").rstrip(b"\n"))
    for owner in around:
        for top, base in ((owner, folder), (owner.resolve(), folder.resolve())):
            found = os.path.relpath(os.path.normpath(base / said), top)
            parts = found.split("/")
            fits = len(parts) > 2 and parts[0] == ".git" and parts[1] in _WITH_GIT_DIRS
            if fits and nofollow.is_directory(owner, found):
                return owner, found
    return None


def laid_out_as_clone(owner: Path, git_dir: str, folder: Path) -> None:
    """Make `folder/.git` say what the git folder `git_dir` of `owner` does, with the objects of that one."""
    is_worktree = git_dir.split("/")[1] == "worktrees"
    common = ".git" if is_worktree else git_dir
    target = folder / ".git"
    for name in ("objects/info", "refs"):
        (target / name).mkdir(parents=True)
    alternates = os.fsencode(alternates_line(owner / common / "objects"))
    (target / "objects/info/alternates").write_bytes(alternates)
    if is_worktree:
        for name in ("packed-refs", "shallow", *_below(owner, common, ("refs",))):
            _copy(owner, f"{common}/{name}", target / name)
    for name in (*_files(owner, git_dir), *_below(owner, git_dir, _PARTS)):
        _copy(owner, f"{git_dir}/{name}", target / name)
    if named := nofollow.link(owner, f"{git_dir}/HEAD"):
        (target / "HEAD").write_bytes(os.fsencode(f"ref: {named}\n"))


def _files(owner: Path, git_dir: str) -> list[str]:
    with nofollow.opened(owner, tuple(git_dir.split("/"))) as directory:
        return os.listdir(directory)


def _below(owner: Path, git_dir: str, parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        for name in nofollow.names_below(owner, f"{git_dir}/{part}"):
            yield f"{part}/{name}"


def _copy(owner: Path, path: str, target: Path) -> None:
    """Copy a regular file with its times: git tells by that of an index whether a file was changed after it."""
    content = nofollow.read(owner, path, _LARGEST_INDEX)
    if content is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        status = os.stat(owner / path, follow_symlinks=False)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
