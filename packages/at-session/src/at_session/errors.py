"""The package's errors. Each builds its message from what it was given."""

from __future__ import annotations

from collections.abc import Iterable


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
