"""A turn that an error on the way to the model broke off: tried again a few times, within the bounds of patience.

A CLI tries again by itself, and gives a turn up when that did not help. Connections and servers come back, so the
agent is told to go on where it was, in the same session; errors that do not pass end the bead with their reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from at_agents import prompts
from at_agents.decisions import Action, Awake, Policy, QueueMessage, WakeAt, World, derived_id
from at_core.record import parse_time
from at_core.types import MessageKind
from at_core.vocabulary import AgentFact

TRANSIENT = frozenset({"connection", "overloaded", "api"})
"""Kinds of failures that may be over the next moment."""


def noted(
    before: Mapping[str, Any] | None,
    error: str,
    now: datetime,
    since: float,
    awake: Awake,
    policy: Policy,
    delay: float = 0.0,
) -> dict[str, Any]:
    """What is kept of errors in a row: how many turns, since which awake second of which boot, when to try again.

    `since` is when the errors of this turn began, `delay` after how many seconds the endpoint asked to be tried again.
    """
    kept = before if before and before.get("boot") == awake.boot else {}
    count = int(kept.get("count", 0)) + 1
    waits = policy.trouble_backoff_seconds
    wait = max(waits[min(count, len(waits)) - 1], min(delay, policy.api_patience_seconds))
    try_at = now + timedelta(seconds=wait)
    return {
        "count": count,
        "awake": kept.get("awake", since),
        "ended": awake.seconds,
        "wait": wait,
        "boot": awake.boot,
        "message": error,
        "try_at": try_at.isoformat(),
    }


def waiting(world: World) -> Mapping[str, Any] | None:
    """The trouble after which the agent will be told to go on; None where there is none or patience is over."""
    trouble: Mapping[str, Any] | None = world.agent_facts.get(AgentFact.TROUBLE)
    if not trouble or world.turn.get("failure") not in TRANSIENT:
        return None
    if int(trouble["count"]) > len(world.policy.trouble_backoff_seconds):
        return None
    left = parse_time(trouble["try_at"]) - world.now
    spent = world.awake.seconds - float(trouble["awake"]) + max(0.0, left.total_seconds())
    patient = trouble.get("boot") != world.awake.boot or spent < world.policy.api_patience_seconds
    return trouble if patient else None


def go_on(world: World) -> list[Action]:
    """Another turn once its time has come; an empty list where there is to be none."""
    if (trouble := waiting(world)) is None:
        return []
    try_at = parse_time(trouble["try_at"])
    if world.now < try_at:
        return [WakeAt(try_at)]
    turn = world.turn
    identity = derived_id(world.bead.id, "trouble", world.generation, turn.get("session"), turn.get("number"))
    return [QueueMessage(identity, MessageKind.GO_ON, prompts.trouble_over(world.lost_prompt))]
