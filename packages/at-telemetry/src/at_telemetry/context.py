"""Which bead, agent and intent the running code works for; added to each log line.

The ids live in context variables, so they follow a task and its children, and a worker thread that was started
with a copy of the context, without being passed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

_NONE: Final = MappingProxyType[str, str]({})
_IDS: ContextVar[MappingProxyType[str, str]] = ContextVar("at_telemetry_ids", default=_NONE)


def current() -> MappingProxyType[str, str]:
    """The ids bound now, a subset of `bead_id`, `agent_id` and `intent_id`."""
    return _IDS.get()


@contextmanager
def bound(
    *, bead_id: object | None = None, agent_id: object | None = None, intent_id: object | None = None
) -> Iterator[None]:
    """Within the block each log line carries the given ids, as text; an id left out keeps its outer value."""
    given = {"bead_id": bead_id, "agent_id": agent_id, "intent_id": intent_id}
    inner = _IDS.get() | {name: str(value) for name, value in given.items() if value is not None}
    token = _IDS.set(MappingProxyType(inner))
    try:
        yield
    finally:
        _IDS.reset(token)
