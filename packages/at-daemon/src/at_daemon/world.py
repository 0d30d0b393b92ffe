"""Reads from the store what a decision about one bead looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from at_agents.decisions import IntentKind, Policy, Room, World
from at_agents.hibernation import can_be_had_back
from at_core.store import Tx
from at_core.types import Agent, Bead, BeadStatus, Fact, Intent, Lane, Message, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.admission import Admission
from at_daemon.budgets import Budgets
from at_daemon.clock import Clock
from at_daemon.queues import gate_results
from at_daemon.waiting import IN_PROGRESS, review_waits, waits_for


@dataclass(frozen=True, slots=True)
class Worlds:
    """Builds worlds: the same clock, bounds and configuration for every one of them."""

    clock: Clock
    admission: Admission = field(default_factory=Admission)
    policy: Callable[[Agent | None], Policy] = lambda agent: Policy()
    """The bounds for an agent's CLI."""
    most_in_lane: Callable[[Lane], int | None] = lambda lane: None
    """How many beads of a lane may be in progress at once."""
    batch: Callable[[], int] = lambda: 16
    """How many beads may be merged and gated together."""
    budgets: Budgets = field(default_factory=Budgets)

    def of(self, tx: Tx, bead: Bead) -> World:
        """The world of one bead as the transaction sees it."""
        agent = tx.agent(bead.agent_id) if bead.agent_id else None
        facts = values(tx.facts(bead.id))
        agent_facts = values(tx.facts(agent.id)) if agent else {}
        process = agent_facts.get(AgentFact.PROCESS) or {}
        messages, now = tuple(tx.messages(bead_id=bead.id)), self.clock.now()
        under_way = tx.open_intents_about(bead.id, bead.agent_id) if bead.status in IN_PROGRESS else []
        wants_room = agent is not None and _wants_room(bead, process)
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
            asks=tuple(a for a in tx.open_asks(agent.id) if a.bead_id == bead.id) if agent else (),
            intent=tx.intent,
            gates=lambda tree: gate_results(tx, bead.rig or "", tree),
            room=self.admission.room(tx, bead, agent, now, self._can_be_had_back)
            if agent and wants_room
            else Room(),
            busy_elsewhere=_busy_elsewhere(tx, bead, process, under_way),
            being_removed=any((i.bead_id, i.kind) == (bead.id, IntentKind.REMOVE) for i in under_way),
            waits_for=waits_for(tx, bead, self.most_in_lane(bead.lane)),
            review_waits=review_waits(tx, bead, facts),
            budgets=self.budgets.before_turn(tx, bead, agent, facts, now) if agent and wants_turn else (),
            policy=self.policy(agent),
        )

    def _can_be_had_back(self, tx: Tx, record: SessionRecord) -> bool:
        """Whether this process is only kept for a person's review."""
        bead = tx.bead(record.bead_id) if record.bead_id else None
        if bead is None or bead.status is not BeadStatus.REVIEW:
            return False
        world = self.of(tx, bead)
        return world.process.get("session") == record.id and can_be_had_back(world)


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


def _busy_elsewhere(tx: Tx, bead: Bead, process: Mapping[str, Any], under_way: Sequence[Intent]) -> bool:
    """Also where a start of its agent on another bead is on record: there is one process of an agent at a time."""
    if any(intent.kind == IntentKind.SPAWN and intent.bead_id != bead.id for intent in under_way):
        return True
    other = process.get("bead")
    if process.get("state") != "running" or not other or other == str(bead.id):
        return False
    found = tx.bead(UUID(other))
    return found is not None and found.status is BeadStatus.SLUNG
