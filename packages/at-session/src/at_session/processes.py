"""The processes of a session, as /proc shows them to somebody who is not its holder."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from at_session import holder_processes
from at_session import holder_wire as wire

PROC = Path("/proc")
NO_FILE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def session_mark(session_id: str, journal: Path) -> str:
    """What the environment of a session's processes says in AT_SESSION_MARK; ids alone are not unique to a machine."""
    return f"{session_id}:{os.path.realpath(journal)}"


def marked_processes(session_id: str, journal: Path, *, holder: int = 0) -> dict[int, str]:
    """Living processes whose environment carries the session's mark, and children of `holder`: pid to name.

    Those that cannot be seen are left out; without a free file descriptor that is all of them.
    """
    mark = b"%s=%s\0" % (wire.MARK, os.fsencode(session_mark(session_id, journal)))
    try:
        found = holder_processes.session_processes(mark, 0, holder)
    except OSError:
        return {}
    return {pid: name.decode(errors="replace") for pid, name in found.items()}


def holders_of(run_dir: Path, session_id: str) -> list[int]:
    """Ids of the processes that were started to hold this session: one, or two for a moment while it starts.

    A holder is known by its launch file, its last argument. Empty where there is no /proc, and where it cannot be read,
    as without a free file descriptor: `look_for_holders` tells that from none.
    """
    return look_for_holders(run_dir, session_id) or []


def look_for_holders(run_dir: Path, session_id: str) -> list[int] | None:
    """As `holders_of`; None when that is not known, as /proc cannot be read now."""
    try:
        pids = [int(name) for name in (os.listdir(PROC) if PROC.is_dir() else ()) if name.isdigit()]
    except OSError:
        return None
    seen = {pid: holds(pid, run_dir, session_id) for pid in pids}
    found = [pid for pid, yes in seen.items() if yes]
    return None if not found and None in seen.values() else found


def holds(pid: int, run_dir: Path, session_id: str) -> bool | None:
    """True when this process lives and was started to hold this session; None when no file is left to see it by."""
    launch = run_dir / f"{session_id}.launch"
    try:
        line = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError as error:
        return None if error.errno in NO_FILE_LEFT else False
    if os.fsencode(launch.name) not in line:
        return False
    arguments = line.split(b"\0")
    if arguments[1:3] != [b"-I", b"-S"]:
        return False
    return os.path.realpath(os.fsdecode(arguments[-2])) == os.path.realpath(launch)


def call_holders(pids: Iterable[int]) -> None:
    """Have holders look whether their sockets are there: each does after SIGCHLD, which is harmless to any process."""
    for pid in pids:
        holder_processes.send_signal(pid, signal.SIGCHLD)


def kill_session(session_id: str, *, run_dir: Path, journal_dir: Path) -> dict[int, str]:
    """SIGKILL a session's holder and all its processes, which is for one that answers nobody; returns them.

    Its journal gets no end: whoever opens it then finds an `EndedSession` that is not `complete`. What cannot be seen is
    not ended: without a free file descriptor that is all, and nothing is returned.
    """
    # Holders first: one that outlived its agent for a moment would write down how that ended.
    found = dict.fromkeys(holders_of(run_dir, session_id), "holder")
    for holder in (*found, 0):
        for pid, name in marked_processes(session_id, journal_dir / session_id, holder=holder).items():
            found.setdefault(pid, name)
    kill_all(found)
    return found


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL; those that are gone are passed over."""
    for pid in pids:
        holder_processes.send_signal(pid, signal.SIGKILL)
