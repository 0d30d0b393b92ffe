"""Ending the daemon, and knowing that its process is gone."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading

from at_cli.clock import monotonic
from at_cli.errors import StillRunning
from at_cli.face import Document, Face
from at_core.errors import DaemonUnreachable
from at_core.paths import Home
from at_daemon.lock import owner

PATIENCE_SECONDS = 4.0
"""How long a daemon that is there may take to say so before it counts as stuck."""
ANSWER_SECONDS = 40.0
"""Agents get up to 20 s to end in a way that can be resumed."""
END_SECONDS = 10.0


def stop_daemon(face: Face, *, keep_agents: bool, patience_seconds: float = PATIENCE_SECONDS) -> Document:
    """End the daemon of this home if there is one: {was_running, killed, stopped: [name]}. Raises `StillRunning`.

    One that does not answer is killed. Agents that outlived a killed daemon are stopped by one that is started for it.
    """
    killed = False
    try:
        health = face.daemon.health(patience_seconds)
    except DaemonUnreachable:
        health, killed = None, kill_stuck_daemon(face.home)
    if health is None and not keep_agents and has_sessions(face.home):
        health = face.call("health")
    if health is None:
        return {"was_running": killed, "killed": killed, "stopped": []}
    with ProcessEnd(int(health["pid"])) as end:
        document = face.call_running("down", keep_agents=keep_agents, timeout_seconds=ANSWER_SECONDS)
        if not end.wait(END_SECONDS):
            raise StillRunning(int(health["pid"]), END_SECONDS)
    return {"was_running": True, "killed": killed, **document}


def kill_stuck_daemon(home: Home) -> bool:
    """SIGKILL the process that holds this home's lock and wait for its end; whether there was one.

    What it had promised is in the store and in its holders' journals, so nothing is lost. Raises `StillRunning`.
    """
    pid = owner(home).pid
    if pid is None or not _is_locked(home):
        return False
    return kill_process(pid)


def kill_process(pid: int) -> bool:
    """SIGKILL and see it gone, so that nobody reaches a socket of its any more; False if it was gone already.

    Raises `StillRunning`.
    """
    with ProcessEnd(pid) as end:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        if not end.wait(END_SECONDS):
            raise StillRunning(pid, END_SECONDS)
    return True


def _is_locked(home: Home) -> bool:
    """Whether a process holds the lock now: then the number in the file is that of a living daemon."""
    with open(home.lock_file, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def has_sessions(home: Home) -> bool:
    """Whether a holder may live: each has a socket or, while it starts, a launch file."""
    try:
        return any(name.endswith((".sock", ".launch")) for name in os.listdir(home.holders))
    except OSError:
        return False


class ProcessEnd:
    """The end of a process that is no child of ours: by a pidfd, which a reused number cannot deceive, where there is one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor: int | None = None

    def __enter__(self) -> ProcessEnd:
        if hasattr(os, "pidfd_open"):
            try:
                self._descriptor = os.pidfd_open(self._pid)
            except OSError:
                self._descriptor = None  # gone already, or a kernel without: the number is asked for
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def wait(self, seconds: float) -> bool:
        """Whether the process ends within `seconds`."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        deadline = monotonic() + seconds
        while _exists(self._pid):
            if monotonic() > deadline:
                return False
            threading.Event().wait(0.02)
        return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
