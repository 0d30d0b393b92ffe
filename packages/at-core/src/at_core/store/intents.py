"""Intents in the store: acts that are on record before they are carried out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, literal_column, update
from sqlalchemy.dialects.sqlite import insert

from at_core.store import schema
from at_core.store.mapping import Mapping, time_text
from at_core.store.statement import Rows, Statement, columns
from at_core.types import Intent, IntentState

_c = schema.intents.c
_intents = Mapping(Intent, schema.intents)
_is_open = _c.state == literal_column(f"'{IntentState.OPEN.value}'")  # as the partial index has it

_OPEN = Statement(
    insert(schema.intents).values(columns(_intents.names)).on_conflict_do_nothing(index_elements=["key"])
)
_BY_KEY = Statement(_intents.select.where(_c.key == bindparam("key")))
_ALL_OPEN = Statement(_intents.select.where(_is_open).order_by(_c.number))
_ALL_OPEN_ABOUT = Statement(
    _intents.select.where(
        _is_open, (_c.bead_id == bindparam("bead")) | (_c.agent_id == bindparam("agent"))
    ).order_by(_c.number)
)
_CLOSE = Statement(
    update(schema.intents)
    .where(_c.key == bindparam("of"), _is_open)
    .values(state=bindparam("to"), error=bindparam("why"), finished_at=bindparam("at"))
)
_DELAY = Statement(
    update(schema.intents)
    .where(_c.key == bindparam("of"), _is_open)
    .values(attempts=_c.attempts + 1, not_before=bindparam("until"), error=bindparam("why"))
)


class Intents(Rows):
    """What a transaction can do with intents. Only an open intent changes; the methods say whether one did."""

    __slots__ = ()

    def open_intent(self, intent: Intent) -> bool:
        """Put it on record. False, and nothing changes, when its key exists already in any state."""
        return self._run(_OPEN, *_intents.encode(intent)) > 0

    def intent(self, key: str) -> Intent | None:
        """The intent of that key."""
        row = self._one(_BY_KEY, key)
        return None if row is None else _intents.decode(row)

    def open_intents(self) -> list[Intent]:
        """What there is to finish, oldest first, also those that wait for their time."""
        return [_intents.decode(row) for row in self._all(_ALL_OPEN)]

    def open_intents_about(self, bead_id: UUID, agent_id: UUID | None) -> list[Intent]:
        """Those of them that are about the bead or the agent."""
        values = (str(bead_id), None if agent_id is None else str(agent_id))
        return [_intents.decode(row) for row in self._all(_ALL_OPEN_ABOUT, *values)]

    def finish_intent(self, key: str, at: datetime) -> bool:
        """It was carried out; False if it was not open."""
        return self._close(key, IntentState.DONE, None, at)

    def fail_intent(self, key: str, error: str, at: datetime) -> bool:
        """It cannot be carried out; False if it was not open."""
        return self._close(key, IntentState.FAILED, error, at)

    def cancel_intent(self, key: str, at: datetime, reason: str) -> bool:
        """It is no longer wanted; False if it was not open."""
        return self._close(key, IntentState.CANCELLED, reason, at)

    def delay_intent(self, key: str, not_before: datetime, error: str | None = None) -> bool:
        """It failed for now and is tried again at `not_before`; counts the attempt. False if it was not open."""
        return self._run(_DELAY, time_text(not_before), error, key) > 0

    def _close(self, key: str, state: IntentState, error: str | None, at: datetime) -> bool:
        return self._run(_CLOSE, state.value, error, time_text(at), key) > 0
