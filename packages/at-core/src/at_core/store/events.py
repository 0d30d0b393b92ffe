"""The audit log in the store."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from uuid import UUID

from sqlalchemy import bindparam, column, func, insert, select

from at_core.store import schema
from at_core.store.mapping import Mapping, json_text
from at_core.store.statement import Rows, Statement, Value, columns
from at_core.types import Event

_c = schema.events.c
_events = Mapping(Event, schema.events)
assert _events.names[0] == "seq"  # `append` leaves it out

_APPEND = Statement(insert(schema.events).values(columns(name for name in _events.names if name != "seq")))
_LAST = Statement(select(func.max(_c.seq)))


@cache
def _page(by_bead: bool, by_agent: bool, by_type: bool) -> Statement:
    page = _events.select.where(_c.seq > bindparam("after"))
    if by_bead:
        page = page.where(_c.bead_id == bindparam("bead_id"))
    if by_agent:
        page = page.where(_c.agent_id == bindparam("agent_id"))
    if by_type:
        page = page.where(
            _c.event_type.in_(select(column("value")).select_from(func.json_each(bindparam("types"))))
        )
    return Statement(page.order_by(_c.seq).limit(bindparam("limit")))


_NEWEST = Statement(
    _events.select.where(
        _c.agent_id == bindparam("agent_id"),
        _c.event_type.in_(select(column("value")).select_from(func.json_each(bindparam("types")))),
    )
    .order_by(_c.seq.desc())
    .limit(1)
)


class Events(Rows):
    """What a transaction can do with the audit log."""

    __slots__ = ()

    def append(self, event: Event) -> int:
        """Add the event, whose own `seq` does not count; returns the seq it got."""
        seq = self._execute(_APPEND, _events.encode(event)[1:]).lastrowid
        assert seq is not None  # an INSERT that succeeded has one
        self.newest_seq = seq
        return seq

    def events(
        self,
        after: int = 0,
        limit: int | None = 1000,
        bead_id: UUID | None = None,
        agent_id: UUID | None = None,
        types: Iterable[str] | None = None,
    ) -> list[Event]:
        """Events with a seq beyond `after`, oldest first, at most `limit`; of that bead, that agent and those types."""
        values: list[Value] = [after]
        if bead_id is not None:
            values.append(str(bead_id))
        if agent_id is not None:
            values.append(str(agent_id))
        if types is not None:
            values.append(json_text([str(one) for one in types]))
        page = _page(bead_id is not None, agent_id is not None, types is not None)
        return [_events.decode(row) for row in self._all(page, *values, -1 if limit is None else limit)]

    def last_event(self, agent_id: UUID, types: Iterable[str]) -> Event | None:
        """The newest event of that agent and of one of those types."""
        row = self._one(_NEWEST, str(agent_id), json_text([str(one) for one in types]))
        return None if row is None else _events.decode(row)

    def last_seq(self) -> int:
        """The newest event's seq, 0 before the first."""
        row = self._one(_LAST)
        return 0 if row is None or row[0] is None else int(row[0])
