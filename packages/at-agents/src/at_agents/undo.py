"""What a bead needs that was brought back, so that it goes on from where it was, and not before a person says so."""

from __future__ import annotations

from at_agents.decisions import Action, Put, Transition, World
from at_agents.lifecycle import short
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact, EventType

BROUGHT_BACK = "its bead was brought back"


def settle_in(world: World, busy_with: str | None, *, new_folder: bool) -> list[Action]:
    """Actions for a bead that has its old status again. `busy_with` is other work of its agent.

    Nothing starts or lands by itself: an agent stays stopped until it is resumed, and a word that let it land is gone.
    In a `new_folder` what the set-up had made is missing.
    """
    actions: list[Action] = [Put(BeadFact.LAND_ALLOWED, None), Put(BeadFact.BLOCKED, None)]
    if new_folder:
        actions += _set_up_again(world)
    if world.bead.status is BeadStatus.REVIEW:
        actions += _looked_at_again(world)
    elif world.bead.status is BeadStatus.SLUNG:
        actions += _stopped(world, busy_with)
    return actions


def _set_up_again(world: World) -> list[Action]:
    commands = world.facts.get(BeadFact.COMMANDS)
    stale = [Put(BeadFact.COMMANDS, {**commands, "stale": True})] if commands else []
    return [Put(BeadFact.SET_UP, None), *stale]


def _looked_at_again(world: World) -> list[Action]:
    """The target may have moved. Work whose collection was broken off is collected under a new number."""
    look = world.facts.get(BeadFact.LOOK) or {}
    actions: list[Action] = [
        Put(BeadFact.LOOK, {**look, "number": int(look.get("number", 0)) + 1, "why": BROUGHT_BACK})
    ]
    handed = world.facts.get(BeadFact.HANDED_IN) or {}
    if (world.facts.get(BeadFact.BRANCH) or {}).get("round") != handed.get("round"):
        actions.append(Put(BeadFact.HANDED_IN, {**handed, "round": int(handed.get("round", 0)) + 1}))
    return actions


def _stopped(world: World, busy_with: str | None) -> list[Action]:
    actions: list[Action] = []
    if world.facts.get(BeadFact.FOLDER) is None:
        order = world.facts.get(BeadFact.ORDER) or {}
        actions.append(Put(BeadFact.ORDER, {**order, "generation": world.generation + 1}))
    if busy_with is None and (world.open_messages or world.turn):
        stopped = {"by": "person", "reason": BROUGHT_BACK}
        return [*actions, Put(AgentFact.STOPPED, stopped, "person")]
    why = f"is at work on {busy_with}" if busy_with else "has done other work since"
    name = world.agent.name if world.agent else "its agent"
    reason = f"it was brought back, and {name} {why}"
    hint = f"at retry {short(world)}"
    return [
        *actions,
        Transition(BeadStatus.ESCALATED, EventType.BEAD_ESCALATED, "brought_back", reason, hint),
    ]
