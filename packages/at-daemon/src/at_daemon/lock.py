"""One daemon a home folder: an exclusive `flock` on `run/daemon.lock`, which the kernel drops with its holder.

The file says who holds it, `PID VERSION`. Holders of agents must not inherit the descriptor (it is close-on-exec):
they outlive the daemon, and the lock must not.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from at_core.errors import Refused
from at_core.paths import Home


@dataclass(frozen=True, slots=True)
class Owner:
    """The daemon that holds the lock; `pid` is None in the instant before it has written its name."""

    pid: int | None
    version: str

    def __str__(self) -> str:
        return f"pid {self.pid}, version {self.version}" if self.pid else "just starting"


class AlreadyRunning(Refused):
    """Another daemon serves this home folder."""

    code = "already_running"

    def __init__(self, home: Home, owner: Owner) -> None:
        super().__init__(f"another daemon serves {home.root} ({owner})", "at status")
        self.owner = owner


@contextmanager
def only_daemon(home: Home, version: str) -> Iterator[None]:
    """Be the one daemon of `home`; raises AlreadyRunning, naming the other, or OSError."""
    descriptor = _locked(home)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {version}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def owner(home: Home) -> Owner:
    """Who last held the lock, as the file says."""
    try:
        pid, _, version = home.lock_file.read_text("ascii", "replace").strip().partition(" ")
        return Owner(int(pid), version)
    except (FileNotFoundError, ValueError):
        return Owner(None, "")


def require_held(home: Home) -> None:
    """Raise AlreadyRunning unless this process holds the lock: only then may a socket file be replaced."""
    held_by = owner(home)
    if held_by.pid != os.getpid():
        raise AlreadyRunning(home, held_by)


def _locked(home: Home) -> int:
    while True:
        descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, home):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(home, owner(home)) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still_there(descriptor: int, home: Home) -> bool:
    """Whether the locked file is the one of that name, and not one that somebody has removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(home.lock_file))
    except FileNotFoundError:
        return False
