"""How a bead is begun, whatever asked for it: its agent made, the bead added, hooked and started."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from at_agents.decisions import derived_id
from at_agents.names import fresh_name
from at_core.types import Agent, AgentRole, Bead, BeadStatus, MessageKind, Rig
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.clis import Cli
from at_daemon.ledger import Change

Json = dict[str, Any]
OF_LAST_TRY = (
    AgentFact.LIMIT,
    AgentFact.LOGIN,
    AgentFact.STOPPED,
    AgentFact.CRASHES,
    AgentFact.TURN,
    AgentFact.TROUBLE,
    AgentFact.TOOLS,
    AgentFact.RETRYING,
    AgentFact.LIMITS,
    AgentFact.ERRORS,
)
"""What an agent was seen to do on other work, or before, says nothing about what it is given now."""


def forget_outcome(change: Change, bead: Bead, agent: Agent) -> None:
    """Clear what the last try left, so that the next one is judged by itself."""
    for name in (
        BeadFact.OUTCOME,
        BeadFact.BLOCKED,
        BeadFact.ROUNDS,
        BeadFact.LAND_ALLOWED,
        BeadFact.OVERRIDE,
        BeadFact.PARKED,
    ):
        change.put(bead.id, name, None)
    for fact in OF_LAST_TRY:
        change.put(agent.id, fact, None)


def add_polecat(
    change: Change, identity: UUID, cli: Cli, rig: Rig, model: str | None, session: str | None = None
) -> Agent:
    """A fresh worker with a name that is free; `session` if it takes up one of its CLI's."""
    agent = Agent(
        id=identity,
        name=fresh_name(identity.int % 9973, {agent.name for agent in change.tx.agents()}),
        role=AgentRole.POLECAT,
        model=model,
        rig=str(rig.id),
        session_id=session,
        created_at=change.now,
        **cli.identity,
    )
    change.tx.add_agent(agent)
    change.tell(EventType.AGENT_ADDED, agent=agent, cli=cli.name, role=agent.role.value)
    return agent


def insert_bead(change: Change, bead: Bead, budget: Json | None = None) -> None:
    """Add it, with what it may use."""
    change.tx.add_bead(bead)
    if budget is not None:
        change.put(bead.id, BeadFact.BUDGET, budget, "person")
    change.tell(EventType.BEAD_ADDED, bead, actor="person", title=bead.title)


def put_on_hook(change: Change, bead: Bead, agent: Agent) -> Bead:
    """Give it to the agent, not started."""
    return change.move(bead, BeadStatus.HOOKED, EventType.BEAD_HOOKED, actor="person", agent_id=agent.id)


def start_bead(change: Change, bead: Bead, order: Json) -> None:
    """Have its agent begin with what it is about."""
    change.put(bead.id, BeadFact.ORDER, order, "person")
    bead = change.move(bead, BeadStatus.SLUNG, EventType.BEAD_SLUNG, actor="person")
    if bead.agent_id is not None:
        for fact in OF_LAST_TRY:
            change.put(bead.agent_id, fact, None)
    change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, bead.description or bead.title)
