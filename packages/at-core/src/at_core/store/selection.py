"""Lists of what belongs to an agent, a bead or both, prepared once for each case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, bindparam

from at_core.store.mapping import Mapping
from at_core.store.statement import Statement, Value


def by_owner(
    mapping: Mapping[Any], table: Table, condition: ColumnElement[bool] | None = None
) -> Callable[[UUID | None, UUID | None], tuple[Statement, tuple[Value, ...]]]:
    """A function of agent id and bead id (None: any) that gives the statement and its values; oldest row first."""

    def prepare(by_agent: bool, by_bead: bool) -> Statement:
        clause = mapping.select if condition is None else mapping.select.where(condition)
        if by_agent:
            clause = clause.where(table.c.agent_id == bindparam("agent_id"))
        if by_bead:
            clause = clause.where(table.c.bead_id == bindparam("bead_id"))
        return Statement(clause.order_by(table.c.number))

    prepared = {(agent, bead): prepare(agent, bead) for agent in (False, True) for bead in (False, True)}

    def choose(agent_id: UUID | None, bead_id: UUID | None) -> tuple[Statement, tuple[Value, ...]]:
        statement = prepared[agent_id is not None, bead_id is not None]
        return statement, tuple(str(owner) for owner in (agent_id, bead_id) if owner is not None)

    return choose
