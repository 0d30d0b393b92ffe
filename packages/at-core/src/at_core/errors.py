"""Errors of at-core, one small tree. Each carries the exit code and the hint that a face prints with it.

The exit codes are those of the command contract: 1 failed or refused, 2 usage, 3 only a person can go on,
4 not found, 69 the daemon cannot be reached, 75 try later.
"""

from __future__ import annotations

from collections.abc import Iterable


class AtError(Exception):
    """Something a user can act on: `message` is one line, `hint` the command to run next, `code` a stable word."""

    code = "failed"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AtError):
    """The call itself is wrong."""

    code = "usage"
    exit_code = 2


class TooLarge(UsageError):
    """More bytes than are taken at once."""

    code = "too_large"

    def __init__(self, what: str, size: int | None, limit: int) -> None:
        known = f"{size:,} bytes" if size is not None else "more"
        super().__init__(
            f"{what} is too large: {known}, and {limit:,} bytes are the limit",
            "put it into a file and name the file",
        )


class NotFound(AtError):
    """No such thing under that name."""

    code = "not_found"
    exit_code = 4

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"no {kind} is called {name!r}", hint)


class Ambiguous(AtError):
    """A prefix or title fits several things."""

    code = "ambiguous"
    exit_code = 2

    def __init__(self, kind: str, name: str, candidates: Iterable[str]) -> None:
        found = ", ".join(sorted(candidates)[:5])
        super().__init__(f"{name!r} fits more than one {kind}: {found}", "give more of the id")


class Refused(AtError):
    """Understood, and not done, for a stated reason."""

    code = "refused"


class NeedsPerson(AtError):
    """Only a person's act lets this go on."""

    code = "needs_person"
    exit_code = 3


class TryLater(AtError):
    """Not now; the same call may succeed later."""

    code = "try_later"
    exit_code = 75


class DaemonUnreachable(AtError):
    """No daemon answers and none could be started."""

    code = "unreachable"
    exit_code = 69


class TransitionRefused(Refused):
    """A bead cannot go from one state to the other; `bead` is its id, where that is known."""

    code = "transition_refused"

    def __init__(self, current: str, wanted: str, bead: str = "") -> None:
        super().__init__(
            f"a bead cannot go from {current} to {wanted}", f"at show {bead[:8]}" if bead else "at ls"
        )
        self.current = current
        self.wanted = wanted


class Conflict(AtError):
    """Somebody else changed the record first (compare-and-set on its revision failed)."""

    code = "conflict"
    exit_code = 75

    def __init__(self, kind: str, identity: str) -> None:
        super().__init__(f"{kind} {identity} was changed meanwhile", "try again")


class Duplicate(Refused):
    """One of that name or id exists already."""

    code = "duplicate"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is a {kind} called {name!r} already")
        self.kind = kind
        self.name = name


class StoreError(AtError):
    """The store could not do it: a full disk, a file that is no store, a newer format."""

    code = "store"


class NoSpaceLeft(StoreError):
    """No room on the disk of the home folder. What was refused is as if it had not been asked for."""

    code = "disk_full"

    def __init__(self, what: str) -> None:
        super().__init__(f"the disk is full: {what} cannot be written", "free some space, then try again")


class ConfigError(AtError):
    """A settings file or variable that cannot be used: where, line, key, what is wrong, what is allowed."""

    code = "config"
    exit_code = 2

    def __init__(
        self,
        where: str,
        problem: str,
        hint: str,
        *,
        line: int = 0,
        key: str = "",
        allowed: str = "",
        more: int = 0,
    ) -> None:
        from at_telemetry.visible import visible  # it loads `re`, which the fast path does without

        place = f"{where}:{line}" if line else where
        message = ": ".join(part for part in (place, key, problem) if part)
        if allowed:
            message += f"; allowed: {allowed}"
        if more:
            message += f" (and {more} more {'mistake' if more == 1 else 'mistakes'})"
        super().__init__(visible(message), visible(hint))
        self.where = where
        self.problem = problem
        self.line = line
        self.key = key
        self.allowed = allowed
        self.more = more

    def at_line(self, line: int) -> ConfigError:
        """The same, with its line in the file."""
        return self._but(line=line)

    def and_more(self, count: int) -> ConfigError:
        """The same, saying that there are `count` further mistakes."""
        return self._but(more=count)

    def with_hint(self, hint: str) -> ConfigError:
        """The same, with another advice."""
        return self._but(hint=hint)

    def _but(
        self, *, line: int | None = None, more: int | None = None, hint: str | None = None
    ) -> ConfigError:
        return ConfigError(
            self.where,
            self.problem,
            self.hint if hint is None else hint,
            line=self.line if line is None else line,
            key=self.key,
            allowed=self.allowed,
            more=self.more if more is None else more,
        )
