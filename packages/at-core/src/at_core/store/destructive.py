"""Destructive acts in the store: written down before they are carried out, with what it takes to take them back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, update

from at_core.record import Record
from at_core.store import schema
from at_core.store.identity import id_range
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, json_text, time_text
from at_core.store.statement import Rows, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class DestructiveAct(Record):
    """One act of a person that takes something away. It outlives the bead that it was about.

    `kind`: `rm`, `fail`, `fresh`, or `land`, which only git takes back. `record` is what has to be put back; `attic` the
    hidden ref with the folder's files. Without `done_at` it was asked for and has not been carried out.
    """

    id: UUID
    kind: str
    bead_id: UUID
    title: str
    rig: str | None = None
    record: dict[str, Any] = field(default_factory=dict)
    attic: str | None = None
    asked_at: datetime
    done_at: datetime | None = None
    undone_at: datetime | None = None


_table = schema.destructive_acts
_c = _table.c
_acts = Mapping(DestructiveAct, _table)
_newest = _acts.select.where(_c.done_at.is_not(None)).order_by(_c.number.desc())

_BY_ID = Statement(_acts.select.where(_c.id == bindparam("id")))
_BY_RANGE = Statement(_newest.where(_c.id >= bindparam("low"), _c.id < bindparam("high")))
_NEWEST = Statement(_newest.limit(bindparam("limit")))
_OF_RIG = Statement(_newest.where(_c.rig == bindparam("rig")).limit(bindparam("limit")))
_OF_BEADS = Statement(_newest.where(_c.bead_id >= bindparam("low"), _c.bead_id < bindparam("high")))
_OF_TITLE = Statement(_newest.where(_c.title == bindparam("title")))
_DONE = Statement(
    update(_table)
    .where(_c.id == bindparam("of"), _c.done_at.is_(None))
    .values(record=bindparam("what"), attic=bindparam("kept"), done_at=bindparam("at"))
)
_KEPT = Statement(update(_table).where(_c.id == bindparam("of")).values(attic=bindparam("kept")))
_UNDONE = Statement(
    update(_table).where(_c.id == bindparam("of"), _c.undone_at.is_(None)).values(undone_at=bindparam("at"))
)


class DestructiveActs(Rows):
    """What a transaction can do with destructive acts."""

    __slots__ = ()

    def add_destructive_act(self, act: DestructiveAct) -> None:
        """Write it down. Raises `Duplicate` if its id is taken."""
        insert_new(self, _acts, act, str(act.id))

    def destructive_act(self, id: UUID) -> DestructiveAct | None:
        """The act of that id, carried out or not."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _acts.decode(row)

    def destructive_acts(self, rig: str | None = None, limit: int | None = None) -> list[DestructiveAct]:
        """Those that were carried out (in one repository), newest first."""
        most = -1 if limit is None else limit
        rows = self._all(_NEWEST, most) if rig is None else self._all(_OF_RIG, rig, most)
        return [_acts.decode(row) for row in rows]

    def find_destructive_acts(self, text: str) -> list[DestructiveAct]:
        """Those that were carried out, by a prefix of their id, else of their bead's, else by its title; newest first."""
        found = []
        if (span := id_range(text)) is not None:
            found = self._all(_BY_RANGE, *span) or self._all(_OF_BEADS, *span)
        return [_acts.decode(row) for row in found or self._all(_OF_TITLE, text)]

    def finish_destructive_act(
        self, id: UUID, at: datetime, record: dict[str, Any], attic: str | None
    ) -> bool:
        """It was carried out, and this is what has to be put back; False if that was known."""
        return self._run(_DONE, json_text(record), attic, time_text(at), str(id)) > 0

    def note_attic(self, id: UUID, attic: str) -> None:
        """What it takes away lies there now."""
        self._run(_KEPT, attic, str(id))

    def take_back_destructive_act(self, id: UUID, at: datetime) -> bool:
        """It was taken back; False if it had been before."""
        return self._run(_UNDONE, time_text(at), str(id)) > 0
