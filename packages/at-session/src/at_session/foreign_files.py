"""Reading files that are not ours: a person's settings, a clone's settings, the records of a CLI.

Anything may stand where such a file is looked for. A FIFO would be waited for without end, a device read without end;
so only a regular file is read, and never more of it than a bound. Symbolic links are followed: people link their
settings.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from at_session.errors import NotRegularFile, TooLargeFile

LINE_LIMIT = 64 << 20
"""Bytes of one line of a record; images stand in it as text."""
RECORD_LIMIT = 1 << 30
"""Bytes of a CLI's record of one session."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole file of at most `limit` bytes. Raises OSError: NotRegularFile, TooLargeFile, or the system's."""
    descriptor = _opened(path)
    with open(descriptor, "rb") as file:
        _fits(path, os.fstat(descriptor).st_size, limit)
        data = file.read(limit + 1)
        # It may have grown since, and some files of the system tell no size.
        _fits(path, len(data), limit)
        return data


def lines(path: Path, limit: int = RECORD_LIMIT, offset: int = 0) -> Iterator[bytes]:
    """Lines with their ends, from a byte offset on; the last may have none. An offset beyond the end gives nothing.

    Raises OSError as `read_bytes` does: for more than `limit` bytes behind the offset, and for a line of more than
    LINE_LIMIT.
    """
    descriptor = _opened(path)
    with open(descriptor, "rb") as file:
        left = limit
        _fits(path, os.fstat(descriptor).st_size - offset, limit)
        file.seek(offset)
        while line := file.readline(LINE_LIMIT + 1):
            _fits(path, len(line), LINE_LIMIT)
            left -= len(line)
            _fits(path, limit - left, limit)
            yield line


def size(path: Path) -> int:
    """Bytes of a regular file, which is not opened. Raises OSError: NotRegularFile, or the system's."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFile(path)
    return status.st_size


def _opened(path: Path) -> int:
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularFile(path)
    return descriptor


def _fits(path: Path, found: int, limit: int) -> None:
    if found > limit:
        raise TooLargeFile(path, found, limit)
