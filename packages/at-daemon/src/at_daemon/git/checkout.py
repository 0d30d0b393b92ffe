"""Taking the person's working tree from one commit to another: never over a change of theirs, repairable if cut off.

All git work here goes through a copy of their index (`Git.index`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git.errors import GitFailed
from at_daemon.git.run import LONG, Git

_ABSENT = "000000"
_LINK = "120000"
_GITLINK = "160000"
_REFUSALS = ("not uptodate", "would be overwritten", "would lose untracked", "resolve your current index")


class Blocked(Exception):
    """Changes of the person are in the way. Internal: `land` turns it into a value."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


@dataclass(frozen=True)
class PathChange:
    """How one path differs between two commits; an absent side has mode 000000."""

    path: str
    old: tuple[str, str]
    new: tuple[str, str]


async def changes_between(git: Git, old: str, new: str) -> list[PathChange]:
    """All paths that differ."""
    listed = (
        await git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new)
    ).stdout
    fields = os.fsdecode(listed).split("\0")
    changes: list[PathChange] = []
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old_sha, new_sha, _ = head.removeprefix(":").split(" ")
        changes.append(PathChange(path, (old_mode, old_sha), (new_mode, new_sha)))
    return changes


def obstacles(top: Path, changes: Iterable[PathChange]) -> tuple[str, ...]:
    """Untracked files, ignored ones too, that the changes would overwrite. Git itself spares no ignored file."""
    listed = list(changes)
    leaving = {change.path for change in listed if change.new[0] == _ABSENT}
    found: dict[str, None] = {}
    for change in listed:
        if change.old[0] != _ABSENT or change.new[0] in (_ABSENT, _GITLINK):
            continue
        for path in _in_place_of(top, change.path, leaving):
            found[path] = None
    return tuple(found)


def _in_place_of(top: Path, path: str, leaving: set[str]) -> list[str]:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        mode = _mode(top / parent)
        if mode is None:
            return []
        if not stat.S_ISDIR(mode):
            return [] if parent in leaving else [parent]
    mode = _mode(top / path)
    if mode is None:
        return []
    if not stat.S_ISDIR(mode):
        return [path]
    inside = [
        os.path.relpath(os.path.join(where, name), top)
        for where, folders, files in os.walk(top / path)
        for name in [*files, *(folder for folder in folders if os.path.islink(os.path.join(where, folder)))]
    ]
    return [file for file in inside if file not in leaving]


def _mode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


async def renew(git: Git, old: str, new: str, changes: list[PathChange]) -> None:
    """Take index and files from `old` to `new`. Raises `Blocked` before anything is written."""
    arguments = ("read-tree", "-m", "-u", old, new)
    try:
        await git.run(*arguments, limit=LONG)
        return
    except GitFailed as error:
        if not any(text in error.stderr for text in _REFUSALS):
            raise
    # A file that was only touched looks changed until the index is refreshed.
    await git.run("update-index", "-q", "--refresh", accept=(0, 1), limit=LONG)
    try:
        await git.run(*arguments, limit=LONG)
    except GitFailed as error:
        if not any(text in error.stderr for text in _REFUSALS):
            raise
        raise Blocked(await _in_the_way(git, old, changes) or (error.message,)) from None


async def _in_the_way(git: Git, old: str, changes: list[PathChange]) -> tuple[str, ...]:
    """Which of the paths to be changed differ, staged or not, from the old commit."""
    unstaged = (await git.run("diff-files", "-z", "--name-only", limit=LONG)).stdout
    staged = (
        await git.run("diff-index", "--cached", "-z", "--name-only", "--no-renames", old, limit=LONG)
    ).stdout
    dirty = {os.fsdecode(path) for path in (unstaged + staged).split(b"\0") if path}
    return tuple(sorted(path for path in dirty if any(_touches(path, change.path) for change in changes)))


def _touches(a: str, b: str) -> bool:
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")


async def settle(git: Git, top: Path, old: str, new: str, to: str) -> None:
    """Bring a working tree that a killed `renew(old, new)` left half-way to `to`, which is one of both.

    A path that has the content of either commit, is missing, or holds the torn beginning of the new content, is the
    killed process's doing. Anything else the person changed since, and it is left as it is.
    """
    changes = await changes_between(git, old, new)
    links = {change.path for change in changes if _LINK in (change.old[0], change.new[0])}
    like_new = await _like(git, [(change.path, change.new) for change in changes])
    like_old = await _like(git, [(change.path, change.old) for change in changes])
    at_target, elsewhere = (like_new, like_old) if to == new else (like_old, like_new)
    ours: list[PathChange] = []
    for change in changes:
        if change.path in at_target or await to_thread.run_sync(_behind_a_link, top, change.path, links):
            continue
        if change.path in elsewhere or await _torn(git, top, new, change):
            ours.append(change)
    targets = {change.path: change.new if to == new else change.old for change in changes}
    await _set_entries(git, targets.items())
    leaving = [change.path for change in ours if targets[change.path][0] == _ABSENT]
    coming = [change.path for change in ours if targets[change.path][0] not in (_ABSENT, _GITLINK)]
    await to_thread.run_sync(_remove_files, top, leaving)
    coming = await to_thread.run_sync(_with_room, top, coming)
    feed = os.fsencode("".join(f"{path}\0" for path in coming))
    await git.run("checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=feed, limit=LONG)
    await git.run("update-index", "-q", "--refresh", accept=(0, 1), limit=LONG)


def _behind_a_link(top: Path, path: str, links: set[str]) -> bool:
    """Whether a parent folder is a link that neither commit has: then the path is the person's doing."""
    parts = path.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    return any(parent not in links and (top / parent).is_symlink() for parent in parents)


def _with_room(top: Path, paths: list[str]) -> list[str]:
    """Paths that can be written without `checkout-index -f` clearing a folder, or a file for a folder, away."""
    free = []
    for path in paths:
        parts = path.split("/")
        modes = [_mode(top / "/".join(parts[:depth])) for depth in range(1, len(parts))]
        mode = _mode(top / path)
        if all(m is None or stat.S_ISDIR(m) for m in modes) and (mode is None or not stat.S_ISDIR(mode)):
            free.append(path)
    return free


def _remove_files(top: Path, paths: Iterable[str]) -> None:
    """Remove files, and folders that are empty then, as git does."""
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            (top / path).unlink()
        with suppress(OSError):
            parent = os.path.dirname(path)
            while parent:
                (top / parent).rmdir()
                parent = os.path.dirname(parent)


async def _set_entries(git: Git, entries: Iterable[tuple[str, tuple[str, str]]]) -> None:
    lines = []
    for path, (mode, sha) in entries:
        lines.append(f"0 {'0' * len(sha)}\t{path}\0" if mode == _ABSENT else f"{mode} {sha} 0\t{path}\0")
    # Removals first: a file may take the place of a folder.
    lines.sort(key=lambda line: not line.startswith("0 "))
    await git.run("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)), limit=LONG)


async def _like(git: Git, entries: list[tuple[str, tuple[str, str]]]) -> set[str]:
    """Paths whose file on disk is what the entries say (filters considered); an absent one is like an absent file."""
    await _set_entries(git, entries)
    await git.run("update-index", "-q", "--refresh", accept=(0, 1), limit=LONG)
    listed = (await git.run("diff-files", "-z", "--name-only", limit=LONG)).stdout
    differing = {os.fsdecode(path) for path in listed.split(b"\0") if path}
    assert git.work_tree is not None
    like: set[str] = set()
    for path, (mode, _) in entries:
        found = await to_thread.run_sync(_mode, git.work_tree / path)
        # A folder in its place is no file either; whether it can be cleared is seen later.
        gone = found is None or stat.S_ISDIR(found)
        if (mode == _ABSENT and gone) or (mode != _ABSENT and not gone and path not in differing):
            like.add(path)
    return like


async def _torn(git: Git, top: Path, new: str, change: PathChange) -> bool:
    """Whether the file is missing, or a beginning of its new content; such a beginning is removed."""
    path = top / change.path
    mode = await to_thread.run_sync(_mode, path)
    if mode is None:
        return True
    if change.new[0] == _ABSENT or not stat.S_ISREG(mode):
        return False
    whole = (await git.run("cat-file", "--filters", f"{new}:{change.path}", limit=LONG)).stdout
    part = await to_thread.run_sync(path.read_bytes)
    if not whole.startswith(part):
        return False
    await to_thread.run_sync(path.unlink)
    return True
