"""The tree of an agent's working folder, whatever state it was left in, with nothing of its configuration used.

GIT_DIR is the person's repository, the working tree the agent's folder, the index a copy outside of it. The clone's
own index serves only as a cache of file stats: its entries are replaced by those of a commit before it is used.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import BadObjects, GitFailed
from at_daemon.git.names import is_inside
from at_daemon.git.run import LONG, Git


@dataclass(frozen=True)
class Snapshot:
    """`tree` is None if nothing differs from the commit. `nested` are repositories inside the folder, left out; `seed` is the clone's
    own index as it was found."""

    tree: str | None
    seed: bytes | None
    unmerged: tuple[str, ...]
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class _Staged:
    """How the clone's index (`seed`) differs from a commit."""

    seed: bytes | None
    added: tuple[str, ...]
    unmerged: tuple[str, ...]


async def take_snapshot(git: Git, folder: Path, commit: str | None) -> Snapshot:
    """Write the tree of `folder` (changed, deleted and new files that are not ignored, and staged ones that are).

    `git` has `work_tree` set to the folder and `index` to a path that does not exist yet, outside of the folder. Without a
    commit all files are taken. Raises `BadObjects` if the commit cannot be read.
    """
    staged = await _seed_index(git, folder, commit)
    listed = (await git.run("ls-files", "-z", "-t", "-m", "-o", "--exclude-standard", limit=LONG)).stdout
    tagged = [(entry[:1], os.fsdecode(entry[2:])) for entry in listed.split(b"\0") if entry]
    paths = dict.fromkeys([path for _, path in tagged] + list(staged.added))
    sorted_out = await to_thread.run_sync(_sort_out, folder, list(paths))
    tree = None
    if sorted_out.usable:
        feed = b"".join(os.fsencode(path) + b"\0" for path in sorted_out.usable)
        await git.run(
            "update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=feed, limit=LONG
        )
        tree = await git.text("write-tree", limit=LONG)
    return Snapshot(tree, staged.seed, staged.unmerged, sorted_out.nested, sorted_out.unreadable)


async def _seed_index(git: Git, folder: Path, commit: str | None) -> _Staged:
    assert git.index is not None
    if commit is None:
        await git.run("read-tree", "--empty")
        return _Staged(None, (), ())
    seed = await to_thread.run_sync(copy_index, folder, git.index)
    if seed is not None:
        try:
            changes = await _compare(git, commit)
            if changes:
                await git.run("read-tree", "--reset", commit, limit=LONG)
            return _Staged(
                seed=seed,
                added=tuple(path for letter, path in changes if letter == "A"),
                unmerged=tuple(dict.fromkeys(path for letter, path in changes if letter == "U")),
            )
        except GitFailed:
            # Split, damaged or forged: without it every file is read once more, and the result is the same.
            git.index.unlink(missing_ok=True)
    try:
        await git.run("read-tree", commit, limit=LONG)
    except GitFailed as error:
        raise BadObjects(error.message) from None
    return _Staged(seed, (), ())


def copy_index(folder: Path, target: Path) -> bytes | None:
    """Copy the clone's index (given back; None if there is none) with its times: git tells a file changed within the same tick by them."""
    content = nofollow.read(folder, ".git/index", 1 << 31)
    if content is None:
        return None
    status = os.stat(folder / ".git/index", follow_symlinks=False)
    target.write_bytes(content)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content


async def _compare(git: Git, commit: str) -> list[tuple[str, str]]:
    """Letter and path of each entry of the index that differs from the commit."""
    listed = (
        await git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", commit, limit=LONG)
    ).stdout
    fields = os.fsdecode(listed).split("\0")
    return [(head[-1], path) for head, path in zip(fields[::2], fields[1::2], strict=False)]


@dataclass(frozen=True)
class _SortedOut:
    usable: tuple[str, ...]
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]


def _sort_out(folder: Path, paths: list[str]) -> _SortedOut:
    """Which paths git can take: files, links, missing ones; no nested repository, device, or unreadable file."""
    usable: list[str] = []
    nested: list[str] = []
    unreadable: list[str] = []
    for path in paths:
        plain = path.rstrip("/")
        if not is_inside(plain):
            continue
        full = folder / plain
        try:
            mode = os.lstat(full).st_mode
        except (FileNotFoundError, NotADirectoryError):
            usable.append(path)
            continue
        if stat.S_ISDIR(mode):
            (nested if os.path.lexists(full / ".git") or path != plain else usable).append(plain)
        elif stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and os.access(full, os.R_OK, follow_symlinks=False)):
            usable.append(path)
        else:
            unreadable.append(plain)
    return _SortedOut(tuple(usable), tuple(nested), tuple(unreadable))
