"""The landing queue around a simulated bead, which is alone in it."""

from __future__ import annotations

from at_agents.decisions import Action, Put, World
from at_agents.landing import look, merged_gate_failed
from at_agents.landing_queue import Block, DoFor, GateFailed, Keep, Line, Queue, Ready, reconcile_queue
from at_core.types import BeadStatus
from at_core.vocabulary import BeadFact

TARGET = "main"


def queue_of(world: World, line: Line) -> Queue:
    """The queue as the bead's own facts show it."""
    fact = world.facts.get(BeadFact.READY) if world.bead.status is BeadStatus.REVIEW else None
    coming = bool(fact and fact.get("coming"))
    known = {name: value for name, value in fact.items() if name != "target_name"} if fact else {}
    if "gates" in known:
        known["gates"] = tuple(known["gates"])
    return Queue(
        rig=world.bead.rig or "",
        target_name=TARGET,
        ready=(Ready(bead=world.bead, **known),) if known and not coming else (),
        coming=coming,
        line=line,
        results=world.gates,
        intent=world.intent,
    )


def next_steps(world: World, line: Line) -> tuple[Line, list[Action]]:
    """What the queue has on record from now on, and what it asks for of the bead."""
    actions: list[Action] = []
    for step in reconcile_queue(queue_of(world, line)):
        match step:
            case Keep():
                line = step.line
            case DoFor():
                actions.append(step.do)
            case GateFailed():
                actions += merged_gate_failed(world, step.result, TARGET)
            case Block():
                blocked = {"kind": step.kind, "reason": step.reason, "hint": "", "look": look(world)}
                actions.append(Put(BeadFact.BLOCKED, blocked))
    return line, actions
