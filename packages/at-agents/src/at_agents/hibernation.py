"""Agents that have nothing to do hold no process: they are had back by their CLI's own session with the next message."""

from __future__ import annotations

from datetime import timedelta
from math import inf

from at_agents.decisions import Action, WakeAt, World
from at_agents.lifecycle import stop
from at_core.record import parse_time
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact

HIBERNATES = "it hibernates"


def hibernate(world: World) -> list[Action]:
    """End the process of an agent whose work waits for a person, a limit or a budget, once it had nothing to do for
    long enough."""
    if world.session is None or world.policy.hibernate_seconds <= 0 or not can_be_had_back(world):
        return []
    if (left := world.policy.hibernate_seconds - _rested(world)) > 0:
        return [WakeAt(world.now + timedelta(seconds=left))]
    return [stop(world.session.id, HIBERNATES)]


def hibernates(world: World) -> bool:
    """Whether its process is gone for that reason."""
    ended = world.intent(f"stop:{world.process.get('session')}") if world.process.get("asked") else None
    return ended is not None and ended.payload.get("reason") == HIBERNATES


def can_be_had_back(world: World) -> bool:
    """Whether its process may be ended: its turn is over, what comes next takes time, nothing is asked or on its way to
    it, and there is a session to have it back by."""
    if not world.running or not world.policy.resumes:
        return False
    if world.turn.get("state") != "ended" or world.asks or world.speaking:
        return False
    waits = not world.open_messages if world.bead.status is BeadStatus.REVIEW else _waits_for_time(world)
    return waits and bool((world.facts.get(BeadFact.SESSION) or {}).get("id"))


def _waits_for_time(world: World) -> bool:
    limit = world.agent_facts.get(AgentFact.LIMIT)
    return world.parked is not None or (limit is not None and world.now < parse_time(limit["try_at"]))


def _rested(world: World) -> float:
    """Awake seconds since its turn ended."""
    since = world.turn.get("awake")
    if since is None or world.turn.get("boot") != world.awake.boot:
        return inf
    return world.awake.seconds - float(since)
