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
