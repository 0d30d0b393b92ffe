"""Reads from the store what a decision about one bead looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from at_agents.decisions import IntentKind, Policy, World
from at_core.store import Tx
from at_core.types import Agent, Bead, BeadStatus, Fact, GateResult, Message, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.budgets import Budgets
from at_daemon.clock import Clock


@dataclass(frozen=True, slots=True)
class Worlds:
    """Builds worlds: the same clock, bounds and configuration for every one of them."""

    clock: Clock
    max_agents: int = 20
    policy: Callable[[Agent | None], Policy] = lambda agent: Policy()
    """The bounds for an agent's CLI."""
    budgets: Budgets = field(default_factory=Budgets)

    def of(self, tx: Tx, bead: Bead) -> World:
        """The world of one bead as the transaction sees it."""
        agent = tx.agent(bead.agent_id) if bead.agent_id else None
        facts = values(tx.facts(bead.id))
        agent_facts = values(tx.facts(agent.id)) if agent else {}
        process = agent_facts.get(AgentFact.PROCESS) or {}
        room, spare = self._place(tx) if _wants_room(bead, process) else (True, None)
        messages, now = tuple(tx.messages(bead_id=bead.id)), self.clock.now()
        wants_turn = agent is not None and _wants_turn(bead, facts, agent_facts, messages)
        return World(
            bead=bead,
            facts=facts,
            now=now,
            awake=self.clock.awake(),
            agent=agent,
            agent_facts=agent_facts,
            session=tx.session(process["session"]) if process.get("session") else None,
            messages=messages,
            asks=tuple(a for a in tx.open_asks() if agent and (a.agent_id, a.bead_id) == (agent.id, bead.id)),
            intent=tx.intent,
            gates=lambda tree: gate_results(tx, bead.rig or "", tree),
            room=room,
            spare=spare,
            busy_elsewhere=_busy_elsewhere(tx, bead, process),
            waits_for=_waits_for(tx, bead),
            budgets=self.budgets.before_turn(tx, bead, agent, facts, now) if agent and wants_turn else (),
            policy=self.policy(agent),
        )

    def _place(self, tx: Tx) -> tuple[bool, str | None]:
        """Whether one more agent may be started; if not, the session of one that only waits for a review."""
        held = tx.sessions(live=True)
        coming = sum(intent.kind == IntentKind.SPAWN for intent in tx.open_intents())
        if len(held) + coming < self.max_agents:
            return True, None
        return False, next((record.id for record in held if _only_waits(tx, record)), None)


def _only_waits(tx: Tx, record: SessionRecord) -> bool:
    bead = tx.bead(record.bead_id) if record.bead_id else None
    if bead is None or bead.status is not BeadStatus.REVIEW or tx.intent(f"stop:{record.id}") is not None:
        return False
    turn = tx.fact(record.agent_id, AgentFact.TURN.value)
    return turn is not None and turn.value.get("state") == "ended"


def _wants_room(bead: Bead, process: Mapping[str, Any]) -> bool:
    """Counting what runs is dear, and of no use to a bead that starts nothing."""
    return bead.status is BeadStatus.SLUNG and process.get("state") != "running"


def _wants_turn(
    bead: Bead, facts: Mapping[str, Any], agent_facts: Mapping[str, Any], messages: Sequence[Message]
) -> bool:
    """Whether a prompt may be about to be sent; what was spent is of no account before."""
    if bead.status is not BeadStatus.SLUNG or facts.get(BeadFact.FOLDER) is None:
        return False
    cut = (agent_facts.get(AgentFact.TURN) or {}).get("state") == "cut"
    return cut or any(m.sent_at is None and not m.answered_at and not m.failed for m in messages)


def values(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """The facts' values by name."""
    return {name: fact.value for name, fact in facts.items()}


def gate_results(tx: Tx, rig: str, tree: str) -> dict[tuple[str, str], GateResult]:
    """Newest results of the gates that ran on a tree, by name and command."""
    return {(result.name, result.command): result for result in tx.gate_results(rig, tree)}


def bead_of(tx: Tx, agent: Agent) -> Bead | None:
    """The bead that the agent is on: the one at work, else the newest in review or on its hook, else its last one."""
    return beads_of(tx, [agent])[agent.id]


def beads_of(tx: Tx, agents: Sequence[Agent]) -> dict[UUID, Bead | None]:
    """The bead that each of the agents is on. One that is over is found by what was said: of those there is no end."""
    found: dict[UUID, Bead] = {}
    for status in (BeadStatus.SLUNG, BeadStatus.REVIEW, BeadStatus.HOOKED):
        for bead in sorted(tx.beads(status=status), key=lambda bead: bead.updated_at, reverse=True):
            if bead.agent_id is not None:
                found.setdefault(bead.agent_id, bead)
    return {agent.id: found.get(agent.id) or _last_bead(tx, agent) for agent in agents}


def _last_bead(tx: Tx, agent: Agent) -> Bead | None:
    ids = [message.bead_id for message in tx.messages(agent_id=agent.id)]
    known = (tx.bead(bead_id) for bead_id in dict.fromkeys(reversed(ids)) if bead_id is not None)
    return next((bead for bead in known if bead is not None and bead.agent_id == agent.id), None)


def _waits_for(tx: Tx, bead: Bead) -> str | None:
    first = (bead.metadata or {}).get("after")
    found = tx.bead(UUID(first)) if first else None
    if found is None or found.status is BeadStatus.DONE:
        return None
    return f"{str(found.id)[:8]} ({found.title[:40]}, {found.status.value})"


def _comes_up_elsewhere(tx: Tx, bead: Bead) -> bool:
    """Whether a start of its agent on another bead is on record: there is one process of an agent at a time."""
    return bead.agent_id is not None and any(
        intent.kind == IntentKind.SPAWN and intent.agent_id == bead.agent_id and intent.bead_id != bead.id
        for intent in tx.open_intents()
    )


def _busy_elsewhere(tx: Tx, bead: Bead, process: Mapping[str, Any]) -> bool:
    if _comes_up_elsewhere(tx, bead):
        return True
    other = process.get("bead")
    if process.get("state") != "running" or not other or other == str(bead.id):
        return False
    found = tx.bead(UUID(other))
    return found is not None and found.status is BeadStatus.SLUNG
