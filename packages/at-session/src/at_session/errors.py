"""The package's errors. Each builds its message from what it was given."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SessionError(Exception):
    """Base of all errors of at-session."""


class UnknownCli(SessionError, LookupError):
    """No driver has this name."""

    def __init__(self, cli: str, known: Iterable[str]) -> None:
        self.cli = cli
        self.known = tuple(known)
        super().__init__(f"no driver for {cli!r}; there are {', '.join(self.known)}")


class LaunchRefused(SessionError):
    """A CLI cannot be started as asked; known before anything runs."""

    def __init__(self, cli: str, reason: str, hint: str) -> None:
        self.cli = cli
        self.reason = reason
        self.hint = hint
        super().__init__(f"{cli} cannot be started: {reason}; {hint}")


class CannotCarry(SessionError):
    """A CLI cannot go on with a session in another folder."""

    def __init__(self, cli: str, reason: str, hint: str) -> None:
        self.cli = cli
        self.reason = reason
        self.hint = hint
        super().__init__(f"{cli} cannot go on with the session elsewhere: {reason}; {hint}")


class ManifestError(SessionError):
    """A manifest that cannot be used: its path, line (0 where none can be told), key, what is wrong, what is allowed."""

    def __init__(
        self, path: Path, problem: str, *, line: int = 0, key: str = "", allowed: str = "", more: int = 0
    ) -> None:
        self.path = path
        self.problem = problem
        self.line = line
        self.key = key
        self.allowed = allowed
        self.more = more
        place = f"{path}:{line}" if line else str(path)
        told = ": ".join(part for part in (place, key, problem) if part)
        told += f"; allowed: {allowed}" if allowed else ""
        told += f" (and {more} more {'mistake' if more == 1 else 'mistakes'})" if more else ""
        # Names of files and keys are anybody's words, and this is one line on a terminal.
        super().__init__(
            "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in told)
        )

    def at_line(self, line: int) -> ManifestError:
        """The same, with its line in the file."""
        return ManifestError(self.path, self.problem, line=line, key=self.key, allowed=self.allowed)

    def and_more(self, more: int) -> ManifestError:
        """The same, saying that there are so many further mistakes."""
        return ManifestError(
            self.path, self.problem, line=self.line, key=self.key, allowed=self.allowed, more=more
        )


class NotRegularFile(SessionError, OSError):
    """A folder, a FIFO, a device or a socket where a file is to be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = "is no regular file"
        super().__init__(errno.EINVAL, self.problem, str(path))


class TooLargeFile(SessionError, OSError):
    """A file, or a line of it, has more bytes than are read of it."""

    def __init__(self, path: Path, size: int, limit: int) -> None:
        self.path = path
        self.size = size
        self.limit = limit
        self.problem = f"has {size} bytes; at most {limit} are read"
        super().__init__(errno.EFBIG, self.problem, str(path))


class TerminalError(SessionError):
    """The headless terminal cannot do what was asked."""


class EngineMissing(TerminalError):
    """The package behind a terminal engine is not installed."""

    def __init__(self, engine: str, package: str) -> None:
        self.engine = engine
        self.package = package
        super().__init__(f"the terminal engine {engine} needs the package {package}, which is not installed")


class SnapshotRejected(TerminalError):
    """Bytes given as a terminal snapshot are not one, or are damaged."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not a usable terminal snapshot: {reason}")


class SnapshotUnavailable(TerminalError):
    """The terminal's state cannot be written down at this point of the stream."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"no terminal snapshot can be taken here: {reason}")


class StartError(SessionError):
    """A session could not be started; nothing of it is left."""


class BinaryNotFound(StartError):
    """The program to run does not exist or may not be executed."""

    def __init__(self, program: str, search_path: str | None = None) -> None:
        self.program = program
        self.search_path = search_path
        where = f" on PATH {search_path}" if search_path is not None else ""
        super().__init__(f"{program!r} is not an executable file{where}")


class CwdMissing(StartError):
    """The folder to run in does not exist or cannot be entered."""

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd
        super().__init__(f"the folder {cwd!r} cannot be entered")


class NoFreePty(StartError):
    """The system has no PTY left, or the pool's bound is reached (`bound` is None for the system's)."""

    def __init__(self, bound: int | None = None) -> None:
        self.bound = bound
        who = "the system has no free PTY" if bound is None else f"all {bound} PTYs of the pool are in use"
        super().__init__(who)


class SessionExists(StartError):
    """A session of this id was started before; its journal is there."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"session {session_id} has been started before")


class HolderFailed(StartError):
    """The holder did not come up; `stage` says how far it got."""

    def __init__(self, stage: str, reason: str) -> None:
        self.stage = stage
        self.reason = reason
        failed = "the program cannot be run" if stage == "exec" else f"the holder failed at {stage}"
        super().__init__(f"{failed}: {reason}")


class RequestRefused(SessionError):
    """The holder answered a request with an error. `code` is the protocol's word."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


class LeaseHeld(RequestRefused):
    """Somebody else has the right to write."""


class LeaseEnded(RequestRefused):
    """The fence named belongs to a lease that is no longer held."""


class DiskFull(RequestRefused):
    """The write could not be journalled, so it was not performed; it may be repeated later."""


class InputFull(RequestRefused):
    """The agent does not read and too much input waits for it; the write may be repeated later."""


class InputClosed(RequestRefused):
    """The agent has exited or its input was closed; the write did not happen and cannot."""


class SessionOver(SessionError):
    """The session no longer takes requests; its journal can still be read."""


class SessionEnded(SessionOver):
    """The agent has exited and the journal is complete. `code` is its exit code, or None when a signal ended it."""

    def __init__(self, session_id: str, code: int | None, signal: int | None) -> None:
        self.session_id = session_id
        self.code = code
        self.signal = signal
        how = f"signal {signal}" if signal else f"code {code}"
        super().__init__(f"session {session_id} has ended with {how}")


class HolderLost(SessionOver):
    """The holder died without writing the end of the journal; what became of the agent is unknown."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"the holder of session {session_id} is gone and recorded no end")


class HolderSilent(SessionError):
    """A holder may be there and does not answer: frozen, starved, or out of reach for want of files.

    Nothing is known of the session, a request may or may not have been performed, and asking again later may succeed.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        self.session_id = session_id
        self.reason = reason
        super().__init__(f"the holder of session {session_id} does not answer: {reason}")


class JournalDamaged(SessionError):
    """Bytes that should be a journal record are not one."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"no journal record at offset {offset}")


class ProtocolBroken(SessionError):
    """The other side of a holder's socket does not speak its protocol."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not the holder's protocol: {reason}")


class NotATerminal(SessionError):
    """The file to attach is no terminal."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        super().__init__(f"file descriptor {fd} is not a terminal")
