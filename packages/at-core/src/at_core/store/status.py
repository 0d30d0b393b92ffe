"""Cheap numbers about the whole store."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from at_core.store import schema
from at_core.store.statement import Rows, Statement
from at_core.types import AgentStatus, BeadStatus

_BEADS = Statement(select(schema.beads.c.status, func.count()).group_by(schema.beads.c.status))
_AGENTS = Statement(select(schema.agents.c.status, func.count()).group_by(schema.agents.c.status))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many beads and agents there are in each state; every state has a number."""

    beads: dict[BeadStatus, int]
    agents: dict[AgentStatus, int]


class Status(Rows):
    """What a transaction can say of the whole store."""

    __slots__ = ()

    def counts(self) -> Counts:
        """Beads and agents by status."""
        beads: dict[str, int] = dict(self._all(_BEADS))
        agents: dict[str, int] = dict(self._all(_AGENTS))
        return Counts(
            {status: beads.get(status.value, 0) for status in BeadStatus},
            {status: agents.get(status.value, 0) for status in AgentStatus},
        )

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong; empty when all is well. Reads the whole file."""
        found = [str(line) for (line,) in self._connection.execute("PRAGMA quick_check")]
        return [] if found == ["ok"] else found
