"""Ending the daemon, and knowing that its process is gone."""

from __future__ import annotations

import os
import select
import threading

from at_cli.clock import monotonic
from at_cli.errors import StillRunning
from at_cli.face import Document, Face
from at_core.paths import Home

ANSWER_SECONDS = 40.0
"""Agents get up to 30 s to end in a way that can be resumed."""
END_SECONDS = 10.0


def stop_daemon(face: Face, *, keep_agents: bool) -> Document:
    """End the daemon of this home if there is one: {was_running, stopped: [name]}. Raises `StillRunning`.

    Agents that outlived a daemon which was killed are stopped by one that is started for it.
    """
    health = face.daemon.health()
    if health is None and not keep_agents and has_sessions(face.home):
        health = face.call("health")
    if health is None:
        return {"was_running": False, "stopped": []}
    with ProcessEnd(int(health["pid"])) as end:
        document = face.call_running("down", keep_agents=keep_agents, timeout_seconds=ANSWER_SECONDS)
        if not end.wait(END_SECONDS):
            raise StillRunning(int(health["pid"]), END_SECONDS)
    return {"was_running": True, **document}


def has_sessions(home: Home) -> bool:
    """Whether a holder may live: each has a socket or a launch file beside the daemon's own socket."""
    try:
        names = os.listdir(home.run)
    except OSError:
        return False
    return any(name.endswith((".sock", ".launch")) and name != home.socket.name for name in names)


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
