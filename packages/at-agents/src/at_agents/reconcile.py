"""The one entry: which reconciler looks at a bead in which status."""

from __future__ import annotations

from at_agents.decisions import Action, World
from at_agents.hibernation import hibernate
from at_agents.landing import reconcile_review
from at_agents.lifecycle import leave, reconcile_rest, reconcile_work
from at_core.types import BeadStatus


def reconcile(world: World) -> list[Action]:
    """What this bead needs now; an empty list when nothing is missing."""
    if world.being_removed:
        return leave(world)
    match world.bead.status:
        case BeadStatus.SLUNG:
            return [*reconcile_work(world), *hibernate(world)]
        case BeadStatus.REVIEW:
            return [*reconcile_review(world), *hibernate(world)]
        case BeadStatus.BACKLOG | BeadStatus.HOOKED:
            return []
        case BeadStatus.DONE | BeadStatus.FAILED | BeadStatus.ESCALATED:
            return reconcile_rest(world)
