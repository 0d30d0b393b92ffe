"""The holder's dealings with processes: start the agent, find all that belongs to it, signal."""

import _ctypes
import _signal  # type: ignore[import-not-found]
import fcntl
import posix
import struct
import sys
import termios

from at_session.holder_wire import MARK, Fields, pack_fields

FREE = b"\0AT_SESSION_FREE="
MARKED = b"\0%s=" % MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Refusal(Exception):
    """Answered with ERROR."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)

    def payload(self) -> bytes:
        return pack_fields(("code", self.args[0]), ("message", self.args[1]))


def attempt(code: str, function: "Callable[..., Any]", *args: object) -> "Any":
    """Call; an OSError becomes a Refusal of this code."""
    try:
        return function(*args)
    except OSError as error:
        name = error.filename
        shown = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        raise Refusal(code, f"{error.strerror}: {shown}" if shown else str(error)) from None


def slurp(path: str) -> bytes:
    """A file's content; empty if it cannot be read, as with processes that end meanwhile or are not ours."""
    try:
        with open(path, "rb", 0) as file:
            return file.read()
    except OSError:
        return b""


def become_subreaper() -> None:
    """Orphans of the session become our children, wherever they fled (PR_SET_CHILD_SUBREAPER is 36).

    `_ctypes` alone costs 60 kB. Elsewhere than on Linux only the mark finds them.
    """
    if sys.platform == "linux":
        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 2), "prctl")  # type: ignore[arg-type]
        _ctypes.call_cdeclfunction(prctl, (36, 1, 0, 0, 0))


def session_processes(mark: bytes, leader: int, reaper: int) -> dict[int, bytes]:
    """Living processes of a session, pid → name: by kernel session, mark or adoption, and all their descendants.

    `leader` is the agent's pid, `reaper` the holder's; 0 leaves that criterion out. Empty where there is no /proc.
    Holders, other sessions and whatever else is marked as free are left out with all below them: what an agent starts
    by the way, such as a daemon that serves everybody, does not end with it.
    """
    parents: dict[int, tuple[int, bytes]] = {}
    found: dict[int, bytes] = {}
    for name in posix.listdir("/proc") if sys.platform == "linux" else ():
        stat = slurp("/proc/%s/stat" % name) if name.isdigit() else b""
        command, _, rest = stat.partition(b"(")[2].rpartition(b")")
        if not rest or int(name) == posix.getpid():
            continue
        parent, _group, session = map(int, rest.split()[1:4])
        if (
            rest.split()[0] in b"ZX" and parent != reaper
        ):  # ours are reaped on SIGCHLD, and are there until then
            continue
        environ = b"\0" + slurp("/proc/%s/environ" % name)
        marked = mark in environ
        if FREE in environ or MARKED in environ and not marked:
            continue
        parents[int(name)] = parent, command
        if leader and session == leader or reaper and parent == reaper or marked:
            found[int(name)] = command
    while more := {pid: name for pid, (up, name) in parents.items() if up in found and pid not in found}:
        found.update(more)
    return found


def send_signal(pid: int, number: int) -> None:
    try:
        posix.kill(pid, number)
    except OSError:
        pass  # gone in the meantime, or not ours to signal


def set_size(fd: int, launch: Fields) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(launch[b"rows"]), int(launch[b"cols"]), 0, 0))


def spawn(launch: Fields, argv: list[bytes], env: Fields) -> tuple[int, list[int]]:
    """Start the agent; return its pid and our ends: [master] or [stdin, stdout, stderr]. Raises OSError.

    It leads a kernel session of its own; the PTY becomes its controlling terminal by being opened in it.
    """
    if launch[b"mode"] == b"pty":
        master, slave = attempt("pty", posix.openpty)
        set_size(master, launch)
        ours, theirs = [master], [slave]
        tty = posix.ttyname(slave)
        actions: list[Any] = [(posix.POSIX_SPAWN_OPEN, fd, tty, posix.O_RDWR, 0) for fd in range(3)]
    else:
        pairs = [posix.pipe(), posix.pipe(), posix.pipe()]
        ours, theirs = [pairs[0][1], pairs[1][0], pairs[2][0]], [pairs[0][0], pairs[1][1], pairs[2][1]]
        actions = [(posix.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(theirs)]
    defaults = _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}
    umask = posix.umask(int(launch[b"umask"]))
    pid = posix.posix_spawn(
        launch[b"exe"], argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=defaults
    )
    posix.umask(umask)
    for fd in theirs:
        posix.close(fd)
    for fd in ours:
        posix.set_blocking(fd, False)
    return pid, ours
