"""Reads from the store what a decision about one bead looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from at_agents.decisions import Policy, World
from at_core.store import Tx
from at_core.types import Agent, Bead, BeadStatus, Fact, GateResult
from at_core.vocabulary import AgentFact
from at_daemon.clock import Clock


@dataclass(frozen=True, slots=True)
class Worlds:
    """Builds worlds: the same clock, bounds and configuration for every one of them."""

    clock: Clock
    max_agents: int = 20
    silence_seconds: Callable[[str], float] = lambda cli: 600.0

    def of(self, tx: Tx, bead: Bead) -> World:
        """The world of one bead as the transaction sees it."""
        agent = tx.agent(bead.agent_id) if bead.agent_id else None
        facts = values(tx.facts(bead.id))
        agent_facts = values(tx.facts(agent.id)) if agent else {}
        process = agent_facts.get(AgentFact.PROCESS) or {}
        asks = (
            tuple(a for a in tx.asks(agent_id=agent.id) if a.decided_at is None and not a.closed_at)
            if agent
            else ()
        )
        return World(
            bead=bead,
            facts=facts,
            now=self.clock.now(),
            awake=self.clock.awake(),
            agent=agent,
            agent_facts=agent_facts,
            session=tx.session(process["session"]) if process.get("session") else None,
            messages=tuple(tx.messages(bead_id=bead.id)),
            asks=tuple(a for a in asks if a.bead_id == bead.id),
            intent=tx.intent,
            gates=lambda tree: gate_results(tx, bead.rig or "", tree),
            room=self._room(tx),
            busy_elsewhere=_busy_elsewhere(tx, bead, process),
            waits_for=_waits_for(tx, bead),
            policy=Policy(silence_seconds=self.silence_seconds(agent.cli_type.value if agent else "")),
        )

    def _room(self, tx: Tx) -> bool:
        return len(tx.sessions(live=True)) < self.max_agents


def values(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """The facts' values by name."""
    return {name: fact.value for name, fact in facts.items()}


def gate_results(tx: Tx, rig: str, tree: str) -> dict[tuple[str, str], GateResult]:
    """Newest results of the gates that ran on a tree, by name and command."""
    return {(result.name, result.command): result for result in tx.gate_results(rig, tree)}


def bead_of(tx: Tx, agent: Agent) -> Bead | None:
    """The bead that the agent is on: the one at work, else the newest that has a process or waits for a person."""
    mine = [bead for bead in tx.beads() if bead.agent_id == agent.id]
    order = (BeadStatus.SLUNG, BeadStatus.REVIEW, BeadStatus.HOOKED)
    for status in order:
        if found := [bead for bead in mine if bead.status is status]:
            return max(found, key=lambda bead: bead.updated_at)
    return max(mine, key=lambda bead: bead.updated_at, default=None)


def _waits_for(tx: Tx, bead: Bead) -> str | None:
    first = (bead.metadata or {}).get("after")
    found = tx.bead(UUID(first)) if first else None
    if found is None or found.status is BeadStatus.DONE:
        return None
    return f"{str(found.id)[:8]} ({found.title[:40]}, {found.status.value})"


def _busy_elsewhere(tx: Tx, bead: Bead, process: Mapping[str, Any]) -> bool:
    other = process.get("bead")
    if process.get("state") != "running" or not other or other == str(bead.id):
        return False
    found = tx.bead(UUID(other))
    return found is not None and found.status is BeadStatus.SLUNG
