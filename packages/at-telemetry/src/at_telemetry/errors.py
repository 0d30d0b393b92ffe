"""What setting up the logs can refuse."""

from __future__ import annotations


class TelemetryError(Exception):
    """Base of all errors of this package."""


class InvalidLevel(TelemetryError):
    """A level, or one directive of `AT_LOG`, that names no level."""

    def __init__(self, given: str, source: str, allowed: tuple[str, ...]) -> None:
        self.given = given
        self.source = source
        self.allowed = allowed
        super().__init__(f"{source}: {given!r} is no log level; allowed: {', '.join(allowed)}")


class InvalidService(TelemetryError):
    """A service name that cannot be the name of a log file."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            f"service name {given!r}: only letters, digits, dot, dash and underscore, at most 64"
        )
