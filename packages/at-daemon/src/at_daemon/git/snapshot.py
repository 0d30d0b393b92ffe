"""The tree of an agent's working folder, whatever state it was left in, with nothing of its configuration used.

GIT_DIR is the person's repository, the working tree the agent's folder, the index a copy outside of it. The clone's
own index serves only as a cache of file stats: its entries are replaced by those of a commit before it is used, but for
files that are left out by a sparse set, and so lie nowhere else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.clone_index import copy_index
from at_daemon.git.errors import BadObjects, GitFailed
from at_daemon.git.names import is_inside
from at_daemon.git.run import LONG, Git

_PATTERNS = ".git/info/sparse-checkout"
_GITLINK = "160000"
_LARGEST = 1 << 31
_TRACKED = b"H "
_COULD_NOT_OPEN = b"could not open directory '"
CHANGED = (b"C", b"?")
"""Tags of `listed` for files that are changed or missing, and for those that are not tracked."""
CLOSED = b"!"
"""Tag of `listed` for folders that could not be looked into."""


@dataclass(frozen=True)
class Snapshot:
    """`tree` is None if nothing differs from the commit. `nested` are repositories inside the folder, left out; `seed` is the clone's
    own index as it was found. `unencoded` are files that git cannot convert as their attributes say: taken as they lie."""

    tree: str | None
    seed: bytes | None
    unmerged: tuple[str, ...]
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]
    unencoded: tuple[str, ...]


@dataclass(frozen=True)
class _Staged:
    """How the clone's index (`seed`) differs from a commit."""

    seed: bytes | None
    added: tuple[str, ...]
    unmerged: tuple[str, ...]
    seeded: bool = True
    """Whether the clone's index was of use."""
    unseen: bool = False
    """Whether it has changes that no file tells of."""


async def take_snapshot(
    git: Git,
    folder: Path,
    commit: str | None,
    *,
    sparse: bool = False,
    merging: Sequence[str] = (),
    clone: Path | None = None,
) -> Snapshot:
    """Write the tree of `folder` (changed, deleted and new files that are not ignored, and staged ones that are).

    `git` has `work_tree` set to the folder and `index` to a path that does not exist yet, outside of the folder. Without a
    commit all files are taken. Files that its sparse set leaves out are no deletions; `sparse` says that it had such a
    set where the folder cannot. `merging` are the commits of a merge under way; `clone`: the folder that has its `.git`,
    if that is another one. Raises `BadObjects` if the commit cannot be read.
    """
    clone = clone or folder
    staged = await _seed_index(git, folder, clone, commit, merging)
    if not staged.seeded and commit and (sparse or has_sparse_set(clone)):
        await _leave_out_what_is_missing(git)
    found = await _look_at_what_is_there(git, folder) if staged.seeded else await listed(git)
    changed = [path for tag, path in found if tag in CHANGED]
    taken = await take_in(git, folder, [*changed, *staged.added, *staged.unmerged])
    closed = [path for tag, path in found if tag == CLOSED]
    unreadable = tuple(dict.fromkeys([*taken.unreadable, *closed]))
    tree = taken.tree
    if tree is None and staged.unseen:
        tree = await git.text("write-tree", limit=LONG)
    return Snapshot(tree, staged.seed, staged.unmerged, taken.nested, unreadable, taken.unencoded)


@dataclass(frozen=True)
class Taken:
    """What came of paths of a folder: `tree` is None if none of them could be used; the others as in `Snapshot`."""

    tree: str | None
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]
    unencoded: tuple[str, ...]


async def take_in(git: Git, folder: Path, paths: Iterable[str]) -> Taken:
    """Put these paths into the index as the folder has them, missing ones too, and write its tree."""
    sorted_out = await to_thread.run_sync(_sort_out, folder, list(dict.fromkeys(paths)))
    # First what is gone: git takes no file below another, and looks at nothing below a link.
    await _update(git, ("--force-remove",), sorted_out.gone)
    unencoded = await _add(git, folder, sorted_out.usable)
    changed = sorted_out.gone or sorted_out.usable
    tree = await git.text("write-tree", limit=LONG) if changed else None
    return Taken(tree, sorted_out.nested, sorted_out.unreadable, unencoded)


async def _add(git: Git, folder: Path, paths: Sequence[str]) -> tuple[str, ...]:
    """Put these files into the index; those that were taken as they lie."""
    adding = ("--add", "--remove", "--replace")
    try:
        await _update(git, adding, paths)
        return ()
    except GitFailed:
        encoded = await _with_encoding(git, paths)
        if not encoded:
            raise
    await _update(git, adding, [path for path in paths if path not in encoded])
    unencoded: list[str] = []
    for path in sorted(encoded):
        try:
            await _update(git, adding, [path])
        except GitFailed:
            await _add_as_it_lies(git, folder, path)
            unencoded.append(path)
    return tuple(unencoded)


async def _with_encoding(git: Git, paths: Sequence[str]) -> set[str]:
    """Those that git converts to UTF-8: it takes none of them if one is not encoded so."""
    feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    asked = await git.run("check-attr", "-z", "--stdin", "working-tree-encoding", stdin=feed, limit=LONG)
    fields = os.fsdecode(asked.stdout).split("\0")
    rows = zip(fields[::3], fields[2::3], strict=False)
    return {path for path, value in rows if value not in ("unspecified", "unset", "set")}


async def _add_as_it_lies(git: Git, folder: Path, path: str) -> None:
    content = nofollow.read(folder, path, _LARGEST)
    if content is None:
        return
    made = await git.run("hash-object", "-w", "--stdin", stdin=content, limit=LONG)
    mode = b"100755" if os.access(folder / path, os.X_OK, follow_symlinks=False) else b"100644"
    entry = b"%s %s 0\t%s\0" % (mode, made.stdout.strip(), os.fsencode(path))
    await git.run("update-index", "-z", "--index-info", stdin=entry, limit=LONG)


async def _seed_index(
    git: Git, folder: Path, clone: Path, commit: str | None, merging: Sequence[str]
) -> _Staged:
    assert git.index is not None
    if commit is None:
        await git.run("read-tree", "--empty")
        return _Staged(None, (), (), seeded=False)
    seed = await copy_index(git, clone, git.index)
    if seed is not None:
        try:
            changes = await _compare(git, commit)
            unseen = await _left_out(git, folder, changes, merging)
            if changes:
                await git.run("read-tree", "--reset", commit, limit=LONG)
            await _put_unseen(git, unseen)
            return _Staged(
                seed=seed,
                added=tuple(each.path for each in changes if each.letter == "A" and each not in unseen),
                unmerged=tuple(dict.fromkeys(each.path for each in changes if each.letter == "U")),
                unseen=bool(unseen),
            )
        except GitFailed:
            # Damaged or forged: without it every file is read once more, and the result is the same.
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
    await _update(git, ("--no-assume-unchanged",), unseen)
    await _update(git, ("--no-skip-worktree",), there)
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
    await _update(git, ("--skip-worktree",), [os.fsdecode(path) for path in listed.split(b"\0") if path])


async def _update(git: Git, options: tuple[str, ...], paths: Sequence[str]) -> None:
    if paths:
        feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        await git.run("update-index", "-z", *options, "--stdin", stdin=feed, limit=LONG)


def has_sparse_set(folder: Path) -> bool:
    """Whether the clone has patterns of files to leave out, used or not."""
    return nofollow.read(folder, _PATTERNS, 1) is not None


@dataclass(frozen=True)
class _Change:
    """An entry of the index that differs from a commit: git's letter for how, and what the index has."""

    letter: str
    mode: str
    sha: str
    path: str


async def _compare(git: Git, commit: str) -> list[_Change]:
    listed = (
        await git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", commit, limit=LONG)
    ).stdout
    fields = os.fsdecode(listed).split("\0")
    heads = (head.split(" ") for head in fields[::2])
    return [_Change(head[4], head[1], head[3], path) for head, path in zip(heads, fields[1::2], strict=False)]


async def _left_out(git: Git, folder: Path, changes: list[_Change], merging: Sequence[str]) -> list[_Change]:
    """The changes that only the index tells of, as the sparse set leaves their files out: a merge makes such. What they
    name has to be there, or to be that of a commit that is merged: a partial clone may lack it."""
    missing = await to_thread.run_sync(
        lambda: [each for each in changes if each.letter in "AMT" and not os.path.lexists(folder / each.path)]
    )
    if not missing:
        return []
    tagged = (await git.run("ls-files", "-z", "-t", "--cached", limit=LONG)).stdout.split(b"\0")
    unseen = {os.fsdecode(row[2:]) for row in tagged if row.startswith(b"S ")}
    candidates = [each for each in missing if each.path in unseen and is_inside(each.path)]
    asked = "".join(f"{each.sha}\n" for each in candidates).encode()
    kinds = (await git.run("cat-file", "--batch-check=%(objecttype)", stdin=asked, limit=LONG)).stdout
    rows = list(zip(candidates, kinds.split(b"\n"), strict=False))
    lacking = {each.path for each, kind in rows if kind != b"blob" and each.mode != _GITLINK}
    for other in merging if lacking else ():
        lacking &= {each.path for each in await _compare(git, other)}
    return [each for each in candidates if each.path not in lacking]


async def _put_unseen(git: Git, unseen: list[_Change]) -> None:
    if unseen:
        feed = "".join(f"{each.mode} {each.sha} 0\t{each.path}\0" for each in unseen)
        await git.run("update-index", "-z", "--index-info", stdin=os.fsencode(feed), limit=LONG)
        await _update(git, ("--skip-worktree",), [each.path for each in unseen])


@dataclass(frozen=True)
class _SortedOut:
    gone: tuple[str, ...]
    usable: tuple[str, ...]
    nested: tuple[str, ...]
    unreadable: tuple[str, ...]


def _sort_out(folder: Path, paths: list[str]) -> _SortedOut:
    """Which paths are gone (a folder is there now, or a link on the way), and which of the others git can take: files and
    links; no nested repository, device, nor what cannot be read."""
    gone: list[str] = []
    usable: list[str] = []
    nested: list[str] = []
    unreadable: list[str] = []
    links: dict[str, bool] = {}
    for path in paths:
        plain = path.rstrip("/")
        if not is_inside(plain):
            continue
        full = folder / plain
        if _below_link(folder, plain, links):
            gone.append(plain)
            continue
        try:
            mode = os.lstat(full).st_mode
        except (FileNotFoundError, NotADirectoryError):
            gone.append(plain)
            continue
        except PermissionError:
            unreadable.append(plain)
            continue
        if stat.S_ISDIR(mode) and not nofollow.may_read(full):
            unreadable.append(plain)
        elif stat.S_ISDIR(mode):
            (nested if os.path.lexists(full / ".git") or path != plain else gone).append(plain)
        elif stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and nofollow.may_read(full)):
            usable.append(path)
        else:
            unreadable.append(plain)
    return _SortedOut(tuple(gone), tuple(usable), tuple(nested), tuple(unreadable))


def _below_link(folder: Path, path: str, links: dict[str, bool]) -> bool:
    """Whether a folder on the way is a link; `links` remembers which are."""
    for above in accumulate(path.split("/")[:-1], "{}/{}".format):
        if above not in links:
            links[above] = os.path.islink(folder / above)
        if links[above]:
            return True
    return False
