"""What a set-up made, kept for folders that are to be set up from the same: `[worktree] cache` of a repository's file.

One folder an entry, named by everything that it depends on. It is made beside its place and renamed into it, so that
one that is there is whole; one that is in use may be removed, and its use then comes to nothing. A copy shares blocks
where the file system can and never an inode: nothing that is done in a folder reaches an entry or another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from at_core.repo_settings import Worktree
from at_daemon.git import nofollow
from at_daemon.git.include import copy_content

_MADE = "made.json"
_VERSION = 2
_SCRATCH = (".new-", ".old-")


class NotKept(Exception):
    """Why something is not kept, or not used. Internal: it becomes a sentence."""


def key_of(repository: str, worktree: Worktree, folder: Path) -> str:
    """The name of what the set-up of this folder makes: by repository, command lines, key files and platform.

    Raises `NotKept` for a key that is no file: nothing would tell then when an entry is out of date.
    """
    assert worktree.cache is not None
    parts: list[object] = [
        *(_VERSION, repository, list(worktree.setup), list(worktree.cache.paths)),
        *(sys.platform, platform.machine(), platform.libc_ver(), _system()),
    ]
    for path in worktree.cache.key:
        content = nofollow.read(folder, path)
        if content is None:
            raise NotKept(f"its key {path!r} is no file in the folder")
        parts.append([path, hashlib.sha256(content).hexdigest()])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def use(root: Path, key: str, folder: Path) -> tuple[str, ...]:
    """Copy an entry into the folder; which paths, none where there is no such entry. Done again it changes nothing.

    What the folder has already stays as it is.
    """
    entry = root / key
    try:
        made = json.loads((entry / _MADE).read_text())
        for number, path in enumerate(made["paths"]):
            _put(entry / str(number), folder, path)
        os.utime(entry / _MADE)  # used last
    except (OSError, ValueError):
        return ()
    return tuple(made["paths"])


def keep(root: Path, key: str, folder: Path, paths: Sequence[str], most: int) -> int:
    """Make an entry of what the folder has at these paths; its bytes. Entries used least recently go, so that all
    together hold `most` bytes at most. Raises `NotKept`."""
    _sweep(root)
    if (root / key).exists():
        return 0
    there = [path for path in paths if nofollow.is_directory(folder, path)]
    if not there:
        raise NotKept(f"the set-up made no folder {', '.join(map(repr, paths))}")
    size = sum(_checked(folder / path, folder) for path in there)
    if size > most:
        raise NotKept(f"it takes {size >> 20:,} MB, and all of them together may take {most >> 20:,} MB")
    scratch = Path(tempfile.mkdtemp(prefix=f".{key}.new-", dir=root))
    try:
        for number, path in enumerate(there):
            _copy(folder / path, scratch / str(number))
        (scratch / _MADE).write_text(json.dumps({"paths": there, "bytes": size}))
        _make_room(root, most - size)
        with suppress(OSError):  # another bead was faster
            scratch.rename(root / key)
    except OSError as error:
        raise NotKept(error.strerror or str(error)) from None
    finally:
        nofollow.remove_tree(scratch)
    return size


def _put(source: Path, folder: Path, path: str) -> None:
    *parents, name = path.split("/")
    if os.path.lexists(folder / path):
        return
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.at-", dir=folder.parent))
    try:
        _copy(source, scratch / name)
        with nofollow.opened(folder, tuple(parents), make=True) as directory:
            os.rename(scratch / name, name, dst_dir_fd=directory)
    finally:
        nofollow.remove_tree(scratch)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
    except shutil.Error as error:
        raise OSError(str(error.args[0][0][2])) from None


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as there, open(target, "xb") as here:
        status = os.fstat(there.fileno())
        copy_content(there, here)
        os.fchmod(here.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(here.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _checked(top: Path, folder: Path) -> int:
    """The bytes of a folder. Raises `NotKept` for what means something else in another folder, or is no plain file."""
    size = 0
    for where, names, files in os.walk(top):
        for name in [*names, *files]:
            path = os.path.join(where, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if not _means_the_same_elsewhere(path, folder):
                    raise NotKept(
                        f"{os.path.relpath(path, folder)!r} is a link to the very folder, or out of it"
                    )
            elif stat.S_ISREG(status.st_mode):
                size += status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                raise NotKept(f"{os.path.relpath(path, folder)!r} is no plain file")
    return size


def _means_the_same_elsewhere(link: str, folder: Path) -> bool:
    """Whether a link may stand in another work folder: a relative one that stays in its own, or a full path to
    something that is in no work folder, however either is spelled."""
    target, others = os.readlink(link), folder.parent
    real = Path(os.path.realpath(link))
    among_others = real.is_relative_to(os.path.realpath(others))
    if os.path.isabs(target):
        return not among_others and not Path(os.path.normpath(target)).is_relative_to(others)
    depth = len(Path(link).relative_to(folder).parts) - 1
    for part in target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False  # should it come back, it names this folder
    return not among_others or real.is_relative_to(os.path.realpath(folder))


def _make_room(root: Path, most: int) -> None:
    """Remove those that were used least recently, until the others hold so many bytes at most."""
    entries = []
    for entry in root.iterdir():
        if entry.name.startswith("."):
            continue
        with suppress(OSError, ValueError):
            made = entry / _MADE
            entries.append((made.stat().st_mtime_ns, int(json.loads(made.read_text())["bytes"]), entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= most:
            return
        gone = Path(tempfile.mkdtemp(prefix=f".{entry.name}.old-", dir=root))
        entry.rename(gone)
        nofollow.remove_tree(gone)
        total -= size


def _sweep(root: Path) -> None:
    """Remove what a killed process left half made or half removed."""
    for left in root.iterdir():
        if left.name.startswith(".") and any(part in left.name for part in _SCRATCH):
            nofollow.remove_tree(left)


def _system() -> str:
    try:
        named = platform.freedesktop_os_release()
    except OSError:
        return platform.release()
    return f"{named.get('ID')} {named.get('VERSION_ID')}"
