"""File work inside folders that an agent can write: no symbolic link is followed, nothing but regular files is read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LARGEST = 64 << 20
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of the directory `root/<parts>`, each part opened without following links.

    Raises `OSError` where a part is missing (and `make` is not set), a link or no directory.
    """
    current = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=current)
            below = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def read(root: Path, path: str, most: int = LARGEST) -> bytes | None:
    """The first `most` bytes of the regular file `root/path`; None if it is missing or anything else."""
    descriptor = _file(root, path)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def pieces(root: Path, path: str, size: int) -> Iterator[bytes]:
    """The regular file `root/path`, so many bytes at a time; nothing if it is missing or anything else."""
    descriptor = _file(root, path)
    if descriptor is None:
        return
    with os.fdopen(descriptor, "rb") as file:
        while piece := file.read(size):
            yield piece


def _file(root: Path, path: str) -> int | None:
    *parents, name = path.split("/")
    try:
        with opened(root, tuple(parents)) as directory:
            # O_NONBLOCK: opening a FIFO must not wait for its writer.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=directory)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor


def link(root: Path, path: str) -> str | None:
    """What the link `root/path` says; None if it is missing or anything else."""
    *parents, name = path.split("/")
    try:
        with opened(root, tuple(parents)) as directory:
            return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def replace(
    root: Path, path: str, content: bytes, expected: bytes | None = None, modified_ns: int | None = None
) -> bool:
    """Put `content` at `root/path` by git's own protocol: `<path>.lock` made exclusively, then renamed over it.

    Nothing is done, and False returned, if the lock is held, a part is a link, or the file is not as `expected`
    (None: not looked at). `modified_ns` sets the time of the last change. The lock is a link to a file of ours, so
    that `release`, called before, tells one that a killed call left from one of the agent's.
    """
    *parents, name = path.split("/")
    ours, lock = _own_lock(path), f"{name}.lock"
    try:
        with opened(root, (parents[0],)) as top, opened(root, tuple(parents), make=True) as directory:
            descriptor = os.open(ours, _EXCLUSIVE, 0o644, dir_fd=top)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    if modified_ns is not None:
                        os.utime(descriptor, ns=(modified_ns, modified_ns))
                os.link(ours, lock, src_dir_fd=top, dst_dir_fd=directory, follow_symlinks=False)
                if expected is not None and read(root, path) != expected:
                    os.unlink(lock, dir_fd=directory)
                    return False
                os.rename(lock, name, src_dir_fd=directory, dst_dir_fd=directory)
                return True
            finally:
                os.unlink(ours, dir_fd=top)
    except OSError:
        return False


def release(root: Path, path: str) -> None:
    """Undo what a killed `replace` of this path left: its lock, known by its inode, and its file."""
    *parents, name = path.split("/")
    ours, lock = _own_lock(path), f"{name}.lock"
    with suppress(OSError), opened(root, (parents[0],)) as top:
        mine = os.stat(ours, dir_fd=top, follow_symlinks=False)
        with suppress(OSError), opened(root, tuple(parents)) as directory:
            held = os.stat(lock, dir_fd=directory, follow_symlinks=False)
            if (held.st_dev, held.st_ino) == (mine.st_dev, mine.st_ino):
                os.unlink(lock, dir_fd=directory)
        os.unlink(ours, dir_fd=top)


def _own_lock(path: str) -> str:
    """Our file for a path, in the top folder of it: nothing that git reads there is called so."""
    return "at-lock." + "-".join(path.split("/")[1:])


def unlink(root: Path, path: str) -> None:
    """Remove the file `root/path` if it is there; a link is removed itself."""
    *parents, name = path.split("/")
    with suppress(OSError), opened(root, tuple(parents)) as directory:
        os.unlink(name, dir_fd=directory)


def is_directory(root: Path, path: str) -> bool:
    """Whether `root/path` is a directory and no part of it a link."""
    try:
        with opened(root, tuple(path.split("/"))):
            return True
    except OSError:
        return False


def names_in(root: Path, path: str) -> list[str]:
    """Names of what is in the directory `root/path`; none if it is missing, a link or anything else."""
    try:
        with opened(root, tuple(path.split("/"))) as directory:
            return os.listdir(directory)
    except OSError:
        return []


def names_below(root: Path, path: str, most: int = 100_000) -> Iterator[str]:
    """Paths of the regular files under `root/path`, relative to it, at most `most` of them."""
    try:
        with opened(root, tuple(path.split("/"))) as directory:
            count = 0
            for where, _, files, _ in os.fwalk(".", dir_fd=directory, follow_symlinks=False):
                for name in files:
                    count += 1
                    if count > most:
                        return
                    yield os.path.normpath(os.path.join(where, name))
    except OSError:
        return


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it, however deep; links are removed, not followed; folders made unreadable are
    opened first. What can go goes; raises the first `OSError` of what cannot."""
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            folder.unlink()
            return
        top = _entered(None, str(folder), _OURS)
    except FileNotFoundError:
        return
    troubles = _walked(top, _files_removed, lambda parent, name: os.rmdir(name, dir_fd=parent))
    with _noted(troubles):
        folder.rmdir()
    if troubles:
        raise troubles[0]


def open_up(root: Path, path: str = "") -> list[OSError]:
    """Give us the right to read all in the directory `root/path`, and to enter it; what could not be opened.

    Where a part is missing, a link or no directory there is nothing to open.
    """
    troubles: list[OSError] = []
    current: int | None = None
    try:
        for part in filter(None, (str(root), *path.split("/"))):
            below = _entered(current, part, _READABLE)
            if current is not None:
                os.close(current)
            current = below
    except PermissionError as error:
        troubles.append(error)
    except OSError:
        pass
    else:
        assert current is not None
        return _walked(current, _files_opened, lambda parent, name: None, _READABLE)
    if current is not None:
        os.close(current)
    return troubles


_READABLE, _OURS = 0o500, 0o700
_Visit = Callable[[int, list[OSError]], list[str]]


def _walked(
    current: int, visit: _Visit, leave: Callable[[int, str], None], rights: int = _OURS
) -> list[OSError]:
    """Visit the directory of this descriptor, which gets closed, and all below; what went wrong.

    `visit` gives the names of the folders to go into, each of which is given the `rights` of its owner; `leave` gets
    the one above it and its name. One descriptor at a time, and no path: a tree may be deeper than there are
    descriptors, and than a path is long.
    """
    troubles: list[OSError] = []
    way: list[tuple[str, tuple[int, int]]] = []
    waiting: list[list[str]] = [[]]
    try:
        waiting[0] = visit(current, troubles)
        while way or waiting[-1]:
            if waiting[-1]:
                with _noted(troubles):
                    name = waiting[-1].pop()
                    below = _entered(current, name, rights)
                    way.append((name, _identity(current)))
                    os.close(current)
                    current = below
                    waiting.append([])
                    waiting[-1] = visit(current, troubles)
                continue
            name, above = way.pop()
            waiting.pop()
            parent = os.open("..", _DIRECTORY, dir_fd=current)
            os.close(current)
            current = parent
            if _identity(current) != above:
                raise OSError(errno.ESTALE, "a folder was moved while it was looked through", name)
            with _noted(troubles):
                leave(current, name)
    except OSError as error:
        troubles.append(error)
    finally:
        os.close(current)
    return troubles


def _files_removed(directory: int, troubles: list[OSError]) -> list[str]:
    """The folders in a directory, all else in which is removed."""
    folders: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with _noted(troubles):
                    os.unlink(entry.name, dir_fd=directory)
    return folders


def _files_opened(directory: int, troubles: list[OSError]) -> list[str]:
    """The folders in a directory, all regular files in which can be read then."""
    folders: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False) and not may_read(entry.name, directory):
                with _noted(troubles):
                    _give_rights(directory, entry.name, stat.S_IRUSR, stat.S_ISREG)
    return folders


def may_read(path: str | Path, directory: int | None = None) -> bool:
    """Whether the file (not what a link points to) can be read by us, or the directory looked into."""
    try:
        mode = os.stat(path, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:
        return False
    wanted = os.R_OK | os.X_OK if stat.S_ISDIR(mode) else os.R_OK
    return os.access(path, wanted, dir_fd=directory, follow_symlinks=False)


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, or lies deeper than any path leads."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return not (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def _entered(directory: int | None, name: str, rights: int) -> int:
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & rights != rights:
        _give_rights(directory, name, rights, stat.S_ISDIR)
    return os.open(name, _DIRECTORY, dir_fd=directory)


def _give_rights(directory: int | None, name: str, rights: int, is_kind: Callable[[int], bool]) -> None:
    """Give these rights to the owner of what has this name, if it is of the kind; never by a link that took its place."""
    if not hasattr(os, "O_PATH"):  # macOS, which can change a link itself
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if is_kind(mode):
            # Another file may have taken its place: nobody else is let in by this mode.
            os.chmod(name, mode & 0o700 | rights, dir_fd=directory, follow_symlinks=False)
        return
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        mode = os.fstat(descriptor).st_mode
        if is_kind(mode):
            os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IMODE(mode) | rights)
    finally:
        os.close(descriptor)


def _identity(directory: int) -> tuple[int, int]:
    found = os.fstat(directory)
    return found.st_dev, found.st_ino


@contextmanager
def _noted(troubles: list[OSError]) -> Iterator[None]:
    """Go on after what could not be removed; what is gone already is none of that."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        troubles.append(error)
