"""Which proved work a person has read, so that nothing lands in a batch that they had not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from at_agents.comments import Comments
from at_agents.decisions import World
from at_agents.landing import may_land, stays_proved
from at_core.types import BeadStatus
from at_core.vocabulary import BeadFact


class Unread(StrEnum):
    """Why no blanket word covers work: it does not count as read, or not as read and approved of."""

    NEVER = "never"
    """Nobody was shown its change."""
    CHANGED = "changed"
    """It has another head than the one that was shown."""
    COMMENTED = "commented"
    """The person wrote comments on it that were not sent, so more is wanted of it."""


@dataclass(frozen=True, slots=True)
class Landable:
    """Proved work that nobody has let land yet. `must_read`: while it is unread only its own name lets it land."""

    world: World
    head: str
    unread: Unread | None
    must_read: bool


def landable(worlds: Iterable[World]) -> list[Landable]:
    """What waits for a person's word, in the order in which it is to land: by lane, priority and age."""
    found = [_of(world) for world in worlds if _waits_for_a_word(world)]
    return sorted(
        found,
        key=lambda each: (
            -each.world.bead.lane.rank,
            -each.world.bead.priority,
            each.world.bead.created_at,
        ),
    )


def unread(world: World) -> Unread | None:
    """Whether a person was shown exactly this head, and had nothing to say to it; None if so."""
    if Comments.of(world.facts.get(BeadFact.COMMENTS)).to_send():
        return Unread.COMMENTED
    seen = world.facts.get(BeadFact.SEEN)
    if not seen:
        return Unread.NEVER
    head = (world.facts.get(BeadFact.BRANCH) or {}).get("head")
    return None if seen["head"] == head else Unread.CHANGED


def _waits_for_a_word(world: World) -> bool:
    return world.bead.status is BeadStatus.REVIEW and stays_proved(world) and may_land(world) is None


def _of(world: World) -> Landable:
    branch = world.facts[BeadFact.BRANCH]
    forecast = world.facts.get(BeadFact.FORECAST) or {}
    settings = bool(branch["settings_changed"] or forecast.get("settings_brought"))
    reason = unread(world)
    return Landable(world, branch["head"], reason, settings or reason is Unread.COMMENTED)
