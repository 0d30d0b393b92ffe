"""What persons were wanted for, in the store."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select, update

from at_core.interruption import Interruption, NeedOutcome
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, time_text
from at_core.store.statement import Rows, Statement
from at_core.types import BeadStatus
from at_core.vocabulary import BeadFact

_c = schema.interruptions.c
_interruptions = Mapping(Interruption, schema.interruptions)
_is_open = _c.closed_at.is_(None)

_ONE = Statement(_interruptions.select.where(_c.id == bindparam("id")))
_OPEN = Statement(_interruptions.select.where(_is_open).order_by(_c.number))
_OPEN_OF_BEAD = Statement(
    _interruptions.select.where(_is_open, _c.bead_id == bindparam("bead_id")).order_by(_c.number)
)
_SINCE = Statement(_interruptions.select.where(_c.opened_at >= bindparam("since")).order_by(_c.number))
_CLOSE = Statement(
    update(schema.interruptions)
    .where(_c.id == bindparam("of"), _is_open)
    .values(closed_at=bindparam("at"), outcome=bindparam("new_outcome"), act=bindparam("new_act"))
)
_b, _f = schema.beads.c, schema.facts.c
_merged = (
    select(_b.id)
    .join(schema.facts, (_f.subject == _b.id) & (_f.name == BeadFact.MERGED.value))
    .where(_b.status == BeadStatus.DONE.value, _b.done_at >= bindparam("since"))
)
_OF_LANDED = Statement(
    select(func.count()).select_from(schema.interruptions).where(_c.own == 0, _c.bead_id.in_(_merged))
)


class Interruptions(Rows):
    """What a transaction can do with the record of interruptions."""

    __slots__ = ()

    def open_interruption(self, interruption: Interruption) -> None:
        """Add a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _interruptions, interruption, str(interruption.id))

    def close_interruption(self, id: UUID, at: datetime, outcome: NeedOutcome, act: str | None) -> None:
        """It is over; the first end stays."""
        self._run(_CLOSE, time_text(at), outcome.value, act, str(id))

    def interruption(self, id: UUID) -> Interruption | None:
        """The one of that id."""
        row = self._one(_ONE, str(id))
        return None if row is None else _interruptions.decode(row)

    def open_interruptions(self, bead_id: UUID | None = None) -> list[Interruption]:
        """Those that are not over, of one bead or of all, oldest first."""
        rows = self._all(_OPEN) if bead_id is None else self._all(_OPEN_OF_BEAD, str(bead_id))
        return [_interruptions.decode(row) for row in rows]

    def interruptions(self, since: datetime) -> list[Interruption]:
        """Those that began at that time or later, oldest first."""
        return [_interruptions.decode(row) for row in self._all(_SINCE, time_text(since))]

    def interruptions_of_landed(self, since: datetime) -> int:
        """How often persons were wanted, at any time, for the beads that were merged since then."""
        row = self._one(_OF_LANDED, time_text(since))
        return 0 if row is None else int(row[0])
