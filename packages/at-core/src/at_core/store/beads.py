"""Beads in the store."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from heapq import merge
from itertools import islice, product
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select, tuple_

from at_core.errors import NotFound
from at_core.store import schema
from at_core.store.identity import id_range
from at_core.store.insertion import insert_new, put, upsert
from at_core.store.mapping import Mapping
from at_core.store.revision import change, save
from at_core.store.statement import Rows, Statement, Value
from at_core.types import Bead, BeadStatus

_table = schema.beads
_c = _table.c
_beads = Mapping(Bead, _table)
_order = (_c.rank, _c.created_at, _c.number)

_BY_ID = Statement(_beads.select.where(_c.id == bindparam("id")))
_BY_RANGE = Statement(
    _beads.select.where(_c.id >= bindparam("low"), _c.id < bindparam("high")).order_by(_c.number.desc())
)
_BY_TITLE = Statement(_beads.select.where(_c.title == bindparam("title")).order_by(_c.number.desc()))
_PLACE = Statement(select(*_order).where(_c.id == bindparam("id")))
_UPSERT = Statement(upsert(_table, _beads.names, "id"))
_REMOVE = Statement(delete(_table).where(_c.id == bindparam("id")))


def _page(*, in_rig: bool, after: bool, merged: bool) -> Statement:
    """A page of one status in its order; if it is to be merged, the order's columns stand behind the record's."""
    chosen = (*_beads.columns, *_order) if merged else _beads.columns
    page = select(*chosen).where(_c.status == bindparam("status"))
    if in_rig:
        page = page.where(_c.rig == bindparam("rig"))
    if after:
        # Not a subquery for the place: SQLite then seeks by the first of the columns alone and reads what lies between.
        page = page.where(tuple_(*_order) > tuple_(*(bindparam(column.name) for column in _order)))
    return Statement(page.order_by(*_order).limit(bindparam("limit")))


_PAGES = {
    (rig, after, merged): _page(in_rig=rig, after=after, merged=merged)
    for rig, after, merged in product((False, True), repeat=3)
}
_WIDTH = len(_beads.names)
_STATUS = _beads.names.index("status")
_SLUNG_AT = _beads.names.index("slung_at")
_STATUSES = {status.value: status for status in BeadStatus}


class Beads(Rows):
    """What a transaction can do with beads."""

    __slots__ = ()

    def add_bead(self, bead: Bead) -> None:
        """Add a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _beads, bead, str(bead.id))

    def put_bead(self, bead: Bead) -> None:
        """Add it or replace the one of that id, whatever its state and revision."""
        put(self, _beads, _UPSERT, bead, str(bead.id))

    def bead(self, id: UUID) -> Bead | None:
        """The bead of that id."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _beads.decode(row)

    def find_beads(self, text: str, rig: str | None = None) -> list[Bead]:
        """By whole id, else by a prefix of at least four hexadecimal digits, else by exact title, newest first."""
        found: list[Bead] = []
        if (span := id_range(text)) is not None:
            found = [_beads.decode(row) for row in self._all(_BY_RANGE, *span)]
        if not found:
            found = [_beads.decode(row) for row in self._all(_BY_TITLE, text)]
        return found if rig is None else [bead for bead in found if bead.rig == rig]

    def beads(
        self,
        status: BeadStatus | Collection[BeadStatus] | None = None,
        rig: str | None = None,
        limit: int | None = None,
        after: UUID | None = None,
    ) -> list[Bead]:
        """Beads by priority, then lane, both descending, then age; of these statuses (None: all) and that rig.

        `after` is the id of the last bead of the page before. Raises `NotFound` if that bead is gone.
        """
        place: tuple[Value, ...] = ()
        if after is not None:
            row = self._one(_PLACE, str(after))
            if row is None:
                raise NotFound("bead", str(after))
            place = row
        scope: tuple[Value, ...] = place if rig is None else (rig, *place)
        most = -1 if limit is None else limit
        wanted = _statuses(status)
        page = _PAGES[rig is not None, after is not None, len(wanted) != 1]
        # One indexed page per status, merged: a filter over the common order would read past every done bead.
        parts = [self._all(page, one._value_, *scope, most) for one in wanted]
        if len(parts) == 1:
            return [_beads.decode(row) for row in parts[0]]
        rows = islice(merge(*parts, key=lambda row: row[_WIDTH:]), limit)
        return [_beads.decode(row[:_WIDTH]) for row in rows]

    def save_bead(self, bead: Bead) -> Bead:
        """Replace the stored bead if its revision is still `bead.revision`; returns it with the next revision.

        Checks no transition. Raises `Conflict` when it was changed meanwhile, `NotFound` when it is gone.
        """
        return save(self, _beads, _BY_ID, bead, str(bead.id))

    def move_bead(self, id: UUID, to: BeadStatus, at: datetime, **changes: Any) -> Bead:
        """Move it along the transition table and set its times; `changes` are further fields of the bead.

        Back in the backlog it has no times. A bead that review sends back keeps the time it was first slung.
        Raises `NotFound`, `TransitionRefused`.
        """
        name = str(id)
        row = self._one(_BY_ID, name)
        if row is None:
            raise NotFound("bead", name)
        _STATUSES[row[_STATUS]].require_transition_to(to, name)
        return change(
            self, _beads, row, {"status": to, "updated_at": at, **_times(row[_SLUNG_AT], to, at), **changes}
        )

    def remove_bead(self, id: UUID) -> None:
        """Remove it. Raises `NotFound`."""
        if not self._run(_REMOVE, str(id)):
            raise NotFound("bead", str(id))


def _statuses(status: BeadStatus | Collection[BeadStatus] | None) -> list[BeadStatus]:
    if status is None:
        return list(BeadStatus)
    return [status] if isinstance(status, BeadStatus) else sorted(set(status))


_BACKLOG = BeadStatus.BACKLOG
_NO_TIMES: dict[str, datetime | None] = {"hooked_at": None, "slung_at": None, "done_at": None}
_TIME_OF = {BeadStatus.HOOKED: "hooked_at", BeadStatus.SLUNG: "slung_at", BeadStatus.DONE: "done_at"}


def _times(slung_at: str | None, to: BeadStatus, at: datetime) -> dict[str, datetime | None]:
    if to is _BACKLOG:
        return _NO_TIMES
    name = _TIME_OF.get(to)
    return {} if name is None or (name == "slung_at" and slung_at is not None) else {name: at}
