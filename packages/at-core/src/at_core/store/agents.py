"""Agents in the store."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, or_, select

from at_core.store import schema
from at_core.store.identity import id_range
from at_core.store.insertion import insert_new, put, upsert
from at_core.store.mapping import Mapping
from at_core.store.revision import save
from at_core.store.statement import Rows, Statement
from at_core.types import Agent, AgentStatus

_c = schema.agents.c
_agents = Mapping(Agent, schema.agents)

_BY_ID = Statement(_agents.select.where(_c.id == bindparam("id")))
_BY_NAME = Statement(_agents.select.where(_c.name == bindparam("name")))
_BY_RANGE = Statement(
    _agents.select.where(_c.id >= bindparam("low"), _c.id < bindparam("high")).order_by(_c.number.desc())
)
_ALL = Statement(_agents.select.order_by(_c.name))
_OF_RIG = Statement(_agents.select.where(_c.rig == bindparam("rig")).order_by(_c.name))
_is_under_way = or_(*(_c.status == status.value for status in (AgentStatus.ACTIVE, AgentStatus.PENDING)))
_UNDER_WAY = Statement(select(_c.name, _c.status, _c.rig).where(_is_under_way))
_UPSERT = Statement(upsert(schema.agents, _agents.names, "id"))


class Agents(Rows):
    """What a transaction can do with agents."""

    __slots__ = ()

    def add_agent(self, agent: Agent) -> None:
        """Add a new one. Raises `Duplicate` if its id or name is taken."""
        insert_new(self, _agents, agent, agent.name)

    def put_agent(self, agent: Agent) -> None:
        """Add it or replace the one of that id, whatever its revision. Raises `Duplicate` if its name is taken."""
        put(self, _agents, _UPSERT, agent, agent.name)

    def save_agent(self, agent: Agent) -> Agent:
        """Replace the stored agent if its revision is still `agent.revision`; returns it with the next revision.

        Raises `Conflict` when it was changed meanwhile, `NotFound` when it is gone, `Duplicate` if its new name is taken.
        """
        return save(self, _agents, _BY_ID, agent, agent.name)

    def agent(self, id: UUID) -> Agent | None:
        """The agent of that id."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _agents.decode(row)

    def agent_by_name(self, name: str) -> Agent | None:
        """The agent of exactly that name."""
        row = self._one(_BY_NAME, name)
        return None if row is None else _agents.decode(row)

    def find_agents(self, text: str) -> list[Agent]:
        """By exact name, else by whole id or a prefix of at least four hexadecimal digits, newest first."""
        named = self.agent_by_name(text)
        if named is not None:
            return [named]
        span = id_range(text)
        return [] if span is None else [_agents.decode(row) for row in self._all(_BY_RANGE, *span)]

    def agents(self, rig: str | None = None) -> list[Agent]:
        """Agents by name, of that rig or all."""
        rows = self._all(_ALL) if rig is None else self._all(_OF_RIG, rig)
        return [_agents.decode(row) for row in rows]

    def agents_under_way(self, rig: str | None = None) -> dict[str, AgentStatus]:
        """The names of those that work or wait, of that rig or all: of the others there is no end."""
        rows = self._all(_UNDER_WAY)
        return {name: AgentStatus(status) for name, status, home in rows if rig in (None, home)}
