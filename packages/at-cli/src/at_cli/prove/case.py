"""A row of the table: a name, what must hold, and how it is played. Its outcome is a verdict with the deciding fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from at_cli.prove.scene import Scene


class CaseResult(StrEnum):
    """What came of one cell. `cannot` is the CLI's limit, with its proof; it is no failure of ours."""

    PASS = "pass"
    FAIL = "fail"
    CANNOT = "cannot"


class Failed(Exception):
    """What must hold does not; the message is the fact that shows it."""


class TooSlow(Exception):
    """The CLI is slower on this machine than the case's watchdog allows for; one that waits longer decides."""


class Cannot(Exception):
    """This CLI cannot do the case; the message is the proof, as it was seen in this run."""


@dataclass(frozen=True, slots=True)
class Case:
    """`play` gives the fact that decided, or raises Failed or Cannot.

    `watchdog` is the CLI's `timeout_seconds` where the case needs a short one, `table.SLOWER` times that where the CLI turns
    out to be too slow for it. `failpoint` names the instant at which
    the case's daemon kills itself. Either gives the case a daemon of its own.
    """

    name: str
    about: str
    play: Callable[[Scene], str]
    watchdog: int | None = None
    failpoint: str | None = None
    outlives_cli: bool = False
    """Whether it must also hold wherever the CLI is killed. All that need no daemon of their own outlive the daemon."""
    only_chaos: bool = False
    long: bool = False
    """It waits for minutes, so it begins at once, beside what the others do."""

    @property
    def alone(self) -> bool:
        """Whether it needs a daemon with settings of its own."""
        return self.watchdog is not None or self.failpoint is not None

    def belongs(self, *, chaos: bool) -> bool:
        """Whether it is a row of the table with chaos, or of the one without."""
        return not self.alone if chaos else not self.only_chaos


@dataclass(frozen=True, slots=True)
class Played:
    """One case on one CLI, played."""

    cli: str
    case: str
    verdict: CaseResult
    seconds: float
    fact: str


def must(condition: object, fact: str) -> None:
    """Raises Failed with the fact unless the condition holds."""
    if not condition:
        raise Failed(fact)
