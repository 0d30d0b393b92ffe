"""Sessions, the starts of an agent's process, in the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, update

from at_core.errors import NotFound
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, json_text, time_text
from at_core.store.selection import by_owner
from at_core.store.statement import Rows, Statement
from at_core.types import SessionRecord

_c = schema.sessions.c
_sessions = Mapping(SessionRecord, schema.sessions)

_BY_ID = Statement(_sessions.select.where(_c.id == bindparam("id")))
_LISTS = {
    False: by_owner(_sessions, schema.sessions),
    True: by_owner(_sessions, schema.sessions, _c.ended_at.is_(None)),
}
_ADVANCE = Statement(
    update(schema.sessions)
    .where(_c.id == bindparam("of"))
    .values(offset=bindparam("new_offset"), driver_state=bindparam("new_state"))
)
_END = Statement(
    update(schema.sessions)
    .where(_c.id == bindparam("of"), _c.ended_at.is_(None))
    .values(ended_at=bindparam("at"), exit_code=bindparam("code"), exit_signal=bindparam("signal"))
)


class Sessions(Rows):
    """What a transaction can do with sessions."""

    __slots__ = ()

    def add_session(self, session: SessionRecord) -> None:
        """Add a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _sessions, session, session.id)

    def session(self, id: str) -> SessionRecord | None:
        """The session of that id."""
        row = self._one(_BY_ID, id)
        return None if row is None else _sessions.decode(row)

    def sessions(
        self, agent_id: UUID | None = None, bead_id: UUID | None = None, live: bool = False
    ) -> list[SessionRecord]:
        """Sessions of that agent and bead (None: of any), only those not ended if `live`, oldest first."""
        statement, values = _LISTS[live](agent_id, bead_id)
        return [_sessions.decode(row) for row in self._all(statement, *values)]

    def advance_session(self, id: str, offset: int, driver_state: dict[str, Any]) -> None:
        """Its journal was taken in up to `offset`. Raises `NotFound`."""
        if not self._run(_ADVANCE, offset, json_text(driver_state), id):
            raise NotFound("session", id)

    def end_session(
        self, id: str, at: datetime, exit_code: int | None = None, exit_signal: int | None = None
    ) -> SessionRecord:
        """Its process is gone; the first ending stays. Raises `NotFound`."""
        self._run(_END, time_text(at), exit_code, exit_signal, id)
        session = self.session(id)
        if session is None:
            raise NotFound("session", id)
        return session
