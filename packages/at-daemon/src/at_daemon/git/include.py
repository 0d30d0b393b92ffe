"""Files that git ignores and a new folder needs all the same: those of the person's checkout that `.worktreeinclude` names.

The file has the syntax of `.gitignore`. What it names is copied if git ignores it, in the checkout and in the new
folder too, so that it comes into no commit, and if the folder has nothing of that name. Where the file system can, a copy shares its blocks with the original.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.child import Ran
from at_daemon.git.names import is_inside
from at_daemon.git.places import Place, locate
from at_daemon.git.run import LONG, Git

FILE = ".worktreeinclude"
MOST_NAMED = 3
"""Files that could not be copied and are named."""
_NO_ANSWER = 128
_FICLONE = 0x40049409  # ioctl_ficlone(2)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


async def carry_included(place: Place, folder: Path) -> tuple[str, ...]:
    """Copy them from the checkout into `folder`, which nobody else writes yet. Gives sentences about what was done."""
    if not (place.top / FILE).is_file():
        return ()
    named = await _named(place)
    paths = await _ignored(place.git.having(work_tree=place.top, cwd=place.top), named)
    there = place.git.having(work_tree=folder, cwd=folder, index=folder / ".git/index")
    linked = [path for path in paths if _is_behind_link(folder, path)]
    reachable = [path for path in paths if path not in set(linked) and not os.path.lexists(folder / path)]
    safe = await _ignored(there, reachable)
    bare = [(path, "a link of its base is in the way") for path in linked]
    bare += [(path, "its base does not ignore it") for path in reachable if path not in set(safe)]
    copied, missed = await to_thread.run_sync(_copy_all, place.top, folder, safe)
    missed = [*bare, *missed]
    notes = [f"{FILE}: {copied} ignored {'file' if copied == 1 else 'files'} copied"] if copied else []
    notes += [f"{FILE}: {path!r} was not copied: {why}" for path, why in missed[:MOST_NAMED]]
    if len(missed) > MOST_NAMED:
        notes.append(f"{FILE}: {len(missed) - MOST_NAMED} more were not copied")
    return tuple(notes)


async def _named(place: Place) -> list[str]:
    """Untracked paths of the checkout that its `.worktreeinclude` names."""
    git = place.git.having(work_tree=place.top, cwd=place.top)
    listing = ("ls-files", "-z", "--others", "--ignored", f"--exclude-from={place.top / FILE}")
    paths = (os.fsdecode(path) for path in (await git.run(*listing, limit=LONG)).stdout.split(b"\0") if path)
    return [path for path in paths if is_inside(path) and not path.endswith("/")]


async def _ignored(git: Git, paths: list[str]) -> list[str]:
    """Those of the paths that git ignores there."""
    if not paths:
        return []
    found = await _check(git, paths)
    if found.returncode != _NO_ANSWER:
        return [os.fsdecode(path) for path in found.stdout.split(b"\0") if path]
    # One is in a submodule, or behind a link, and git says nothing of the others.
    return [path for path in paths if (await _check(git, [path])).returncode == 0]


async def _check(git: Git, paths: list[str]) -> Ran:
    feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    asked = ("check-ignore", "-z", "--stdin")
    # Exit code 1: it ignores none of them.
    return await git.run(*asked, stdin=feed, accept=(0, 1, _NO_ANSWER), limit=LONG)


def _is_behind_link(folder: Path, path: str) -> bool:
    """Whether a part of the path above its name is a link in the folder, beyond which git answers nothing."""
    return any((folder / parent).is_symlink() for parent in Path(path).parents)


def _copy_all(top: Path, folder: Path, paths: list[str]) -> tuple[int, list[tuple[str, str]]]:
    copied = 0
    missed: list[tuple[str, str]] = []
    for path in paths:
        try:
            copied += _copy(top, folder, path)
        except OSError as error:
            missed.append((path, error.strerror or str(error)))
    return copied, missed


def _copy(top: Path, folder: Path, path: str) -> bool:
    """Whether it was copied; not where the folder has something of that name. Raises `OSError`."""
    *parents, name = path.split("/")
    with nofollow.opened(top, tuple(parents)) as there:
        status = os.stat(name, dir_fd=there, follow_symlinks=False)
        with nofollow.opened(folder, tuple(parents), make=True) as here, suppress(FileExistsError):
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(name, dir_fd=there), name, dir_fd=here)
            else:
                _copy_file(there, here, name)
            return True
    return False


def _copy_file(there: int, here: int, name: str) -> None:
    with os.fdopen(os.open(name, _READ, dir_fd=there), "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        mode = stat.S_IMODE(status.st_mode)
        with os.fdopen(os.open(name, _NEW, mode, dir_fd=here), "wb") as target:
            copy_content(source, target)
            os.fchmod(target.fileno(), mode)
            os.utime(target.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_content(source: BinaryIO, target: BinaryIO) -> None:
    """Fill an empty file with what is in another, by shared blocks where the file system can."""
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:  # another file system, or one that cannot
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()


async def ignored_in(rig: Path, folder: Path, paths: list[str]) -> list[str]:
    """Those of the paths that git ignores in a folder of this repository, as folders, which need not be there yet."""
    git = locate(rig).git.having(work_tree=folder, cwd=folder, index=folder / ".git/index")
    found = await _ignored(git, [f"{path}/" for path in paths])
    return [path for path in paths if f"{path}/" in found]
