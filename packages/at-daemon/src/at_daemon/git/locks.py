"""A lock on a directory that its holder's children keep: flock(2) on the directory itself, no file is made.

A git process inherits the descriptor. If the daemon is killed, the lock is free only once that process has ended
too, so the next daemon never works beside an orphan of the last one.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread


class _Attempt:
    """One attempt to take a lock in a thread; one that is given up closes its descriptor whenever it gets it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._guard = threading.Lock()
        self._abandoned = False

    def take(self) -> int:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
        with self._guard:
            if self._abandoned:
                os.close(descriptor)
        return descriptor

    def abandon(self) -> None:
        with self._guard:
            self._abandoned = True


def _try(directory: Path) -> int | None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@asynccontextmanager
async def held(directory: Path) -> AsyncIterator[int]:
    """Hold the lock of `directory`; yields the descriptor that children have to inherit."""
    descriptor = _try(directory)
    if descriptor is None:
        attempt = _Attempt(directory)
        taken = False
        try:
            descriptor = await to_thread.run_sync(attempt.take, abandon_on_cancel=True)
            taken = True
        finally:
            if not taken:
                attempt.abandon()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
