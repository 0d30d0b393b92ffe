"""What a bead waits for before it begins: other beads that have to land, or a place in its lane."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from at_core.types import Bead, Lane

AFTER = "after"
"""The key of a bead's metadata that lists the ids of the beads which have to land before it begins."""


def after_of(bead: Bead) -> tuple[UUID, ...]:
    """The beads that have to land first, in the order in which a person named them."""
    named = (bead.metadata or {}).get(AFTER) or ()
    return tuple(UUID(each) for each in ([named] if isinstance(named, str) else named))


def with_after(bead: Bead, first: Iterable[UUID]) -> Bead:
    """The bead with these to land first, in place of those that it had."""
    kept = {key: value for key, value in (bead.metadata or {}).items() if key != AFTER}
    ids = list(dict.fromkeys(map(str, first)))
    return dataclasses.replace(bead, metadata={**kept, AFTER: ids} if ids else kept or None)


def circle(bead: UUID, first: Iterable[UUID], after: Callable[[UUID], Iterable[UUID]]) -> list[UUID]:
    """The way from the bead over `first` back to itself; empty if there is none. `after` gives what each waits for."""
    came_from: dict[UUID, UUID] = {}
    left = [bead]
    while left:
        at = left.pop()
        for each in first if at == bead else after(at):
            if each == bead:
                return _way(bead, at, came_from)
            if each not in came_from:
                came_from[each] = at
                left.append(each)
    return []


def _way(bead: UUID, last: UUID, came_from: Mapping[UUID, UUID]) -> list[UUID]:
    way: list[UUID] = []
    while last != bead:
        way.append(last)
        last = came_from[last]
    return [bead, *reversed(way), bead]


def followers(bead: UUID, waiting: Mapping[UUID, Sequence[UUID]]) -> set[UUID]:
    """All that wait for it, and for those that do; `waiting` are the direct ones of each."""
    found: set[UUID] = set()
    left = [bead]
    while left:
        fresh = [each for each in waiting.get(left.pop(), ()) if each not in found]
        found.update(fresh)
        left += fresh
    return found


def in_order(beads: Iterable[Bead]) -> list[Bead]:
    """As they get what only some of them can have: by priority, then lane, then age, as `at ls` lists them."""
    return sorted(beads, key=lambda bead: (-(bead.priority * 4 + bead.lane.rank), bead.created_at, bead.id))


def lane_is_full(lane: Lane, begun: int, most: int) -> str:
    """Why nothing more of the lane begins."""
    return f"the lane {lane.value} is full: {begun} of {most} at work or in review"
