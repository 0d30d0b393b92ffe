"""The tree of an agent's working folder, whatever state it was left in, with nothing of its configuration used.

GIT_DIR is the person's repository, the working tree the agent's folder, the index a copy outside of it. The clone's
own index serves only as a cache of file stats: its entries are replaced by those of a commit before it is used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import BadObjects, GitFailed
from at_daemon.git.names import is_inside
from at_daemon.git.run import LONG, Git

_PATTERNS = ".git/info/sparse-checkout"
_TRACKED = b"H "
_COULD_NOT_OPEN = b"could not open directory '"
CHANGED = (b"C", b"?")
"""Tags of `listed` for files that are changed or missing, and for those that are not tracked."""
CLOSED = b"!"
"""Tag of `listed` for folders that could not be looked into."""


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
    seeded: bool = True
    """Whether the clone's index was of use."""


async def take_snapshot(
    git: Git, folder: Path, commit: str | None, *, sparse: bool = False, clone: Path | None = None
) -> Snapshot:
    """Write the tree of `folder` (changed, deleted and new files that are not ignored, and staged ones that are).

    `git` has `work_tree` set to the folder and `index` to a path that does not exist yet, outside of the folder. Without a
    commit all files are taken. Files that its sparse set leaves out are no deletions; `sparse` says that it had such a
    set where the folder cannot; `clone`: the folder that has its `.git`, if that is another one. Raises `BadObjects` if the commit cannot be read.
    """
    clone = clone or folder
    staged = await _seed_index(git, clone, commit)
    if not staged.seeded and commit and (sparse or nofollow.read(clone, _PATTERNS, 1) is not None):
        await _leave_out_what_is_missing(git)
    found = await _look_at_what_is_there(git, folder) if staged.seeded else await listed(git)
    changed = [path for tag, path in found if tag in CHANGED]
    taken = await take_in(git, folder, [*changed, *staged.added])
    closed = [path for tag, path in found if tag == CLOSED]
    unreadable = tuple(dict.fromkeys([*taken.unreadable, *closed]))
    return Snapshot(taken.tree, staged.seed, staged.unmerged, taken.nested, unreadable)


@dataclass(frozen=True)
class Taken:
    """What came of paths of a folder: `tree` is None if none of them could be used; the others as in `Snapshot`."""

    tree: str | None
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]


async def take_in(git: Git, folder: Path, paths: Iterable[str]) -> Taken:
    """Put these paths into the index as the folder has them, missing ones too, and write its tree."""
    sorted_out = await to_thread.run_sync(_sort_out, folder, list(dict.fromkeys(paths)))
    tree = None
    if sorted_out.usable:
        feed = b"".join(os.fsencode(path) + b"\0" for path in sorted_out.usable)
        await git.run(
            "update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=feed, limit=LONG
        )
        tree = await git.text("write-tree", limit=LONG)
    return Taken(tree, sorted_out.nested, sorted_out.unreadable)


async def _seed_index(git: Git, folder: Path, commit: str | None) -> _Staged:
    assert git.index is not None
    if commit is None:
        await git.run("read-tree", "--empty")
        return _Staged(None, (), (), seeded=False)
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
    return _Staged(seed, (), (), seeded=False)


async def _look_at_what_is_there(git: Git, folder: Path) -> list[tuple[bytes, str]]:
    """What is `listed`, with those that the index says are not checked out, or not to be looked at."""
    tagged = await listed(git, "--cached")
    unseen = [path for tag, path in tagged if tag.islower()]
    left_out = [path for tag, path in tagged if tag in b"Ss"]
    there = await to_thread.run_sync(lambda: [path for path in left_out if os.path.lexists(folder / path)])
    await _mark(git, "--no-assume-unchanged", unseen)
    await _mark(git, "--no-skip-worktree", there)
    return await listed(git) if unseen or there else tagged


async def listed(git: Git, *more: str) -> list[tuple[bytes, str]]:
    """Changed and new files, by the tags of `ls-files -v`: in lower case for what is not to be looked at. Files that are
    tracked and nothing else are left out. Folders that cannot be looked into have a tag of ours, and the name that git
    gives them in its message: without control characters, cut off where it is too long."""
    asked = ("ls-files", "-z", "-v", "-m", "-o", "--exclude-standard", *more)
    ran = await git.run(*asked, limit=LONG)
    found = [
        (entry[:1], os.fsdecode(entry[2:]))
        for entry in ran.stdout.split(b"\0")
        if entry and not entry.startswith(_TRACKED)
    ]
    return [*found, *((CLOSED, os.fsdecode(name)) for name in _closed(ran.stderr))]


def _closed(said: bytes) -> Iterator[bytes]:
    """The folders that git only warns of; what is gone meanwhile is none."""
    for warning in said.split(_COULD_NOT_OPEN)[1:]:
        name, _, why = warning.partition(b"': ")
        if not why.startswith(os.fsencode(os.strerror(errno.ENOENT))):
            yield name.removesuffix(b"/")


async def _leave_out_what_is_missing(git: Git) -> None:
    listed = (await git.run("ls-files", "-z", "--deleted", limit=LONG)).stdout
    await _mark(git, "--skip-worktree", [os.fsdecode(path) for path in listed.split(b"\0") if path])


async def _mark(git: Git, option: str, paths: list[str]) -> None:
    if paths:
        feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        await git.run("update-index", "-z", option, "--stdin", stdin=feed, limit=LONG)


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
    """Which paths git can take: files, links, missing ones; no nested repository, device, nor what cannot be read."""
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
        except PermissionError:
            unreadable.append(plain)
            continue
        if stat.S_ISDIR(mode) and not nofollow.may_read(full):
            unreadable.append(plain)
        elif stat.S_ISDIR(mode):
            (nested if os.path.lexists(full / ".git") or path != plain else usable).append(plain)
        elif stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and nofollow.may_read(full)):
            usable.append(path)
        else:
            unreadable.append(plain)
    return _SortedOut(tuple(usable), tuple(nested), tuple(unreadable))
