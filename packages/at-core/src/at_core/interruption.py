"""A moment at which a person was wanted: what for, from when to when, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from at_core.record import Record


class NeedOutcome(StrEnum):
    """How a need ended."""

    DECIDED = "decided"
    """A person did something about it with `at`."""
    CLEARED = "cleared"
    """What it waited for was done elsewhere: a checkout was committed, a login made, a setting changed."""
    WITHDRAWN = "withdrawn"
    """It passed without a decision: nobody would have had to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption(Record):
    """One need of one bead, written down when it arose. There is one open row of a kind and ask at a time.

    `own` marks what the person's own act brought about (`at stop`): it is shown, but nobody is told and nothing counted.
    `act` is the event or the word by which it was decided.
    """

    id: UUID
    bead_id: UUID
    kind: str
    ask_id: UUID | None = None
    rig: str | None = None
    agent: str | None = None
    title: str
    reason: str
    own: bool = False
    opened_at: datetime
    closed_at: datetime | None = None
    outcome: NeedOutcome | None = None
    act: str | None = None

    @property
    def key(self) -> tuple[str, UUID | None]:
        """What tells the needs of one bead apart."""
        return self.kind, self.ask_id
