"""What a bead waits for before it begins, as the store tells: beads that have to land first, a place in its lane."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from at_agents.decisions import Waiting
from at_agents.dependencies import after_of, circle, lane_is_full
from at_agents.landing import let_land_by
from at_agents.pull_request import is_open
from at_core.errors import Refused
from at_core.store import Tx
from at_core.types import Bead, BeadStatus
from at_core.vocabulary import BeadFact
from at_daemon.overlaps import overlaps_of

NOT_OVER = frozenset(BeadStatus) - {BeadStatus.DONE}
IN_PROGRESS = frozenset({BeadStatus.SLUNG, BeadStatus.REVIEW})
"""What counts for a lane: work that waits for a person's look fills it too."""
_UNKNOWN = Waiting("what it would conflict with is being looked at")


def waits_for(tx: Tx, bead: Bead, most: int | None) -> Waiting | None:
    """Why the bead may not begin yet; `most` is how many of its lane may be in progress at once."""
    if bead.status not in (BeadStatus.BACKLOG, BeadStatus.HOOKED, BeadStatus.SLUNG):
        return None
    return _waits_for_others(tx, bead) or _waits_for_lane(tx, bead, most)


def review_waits(tx: Tx, bead: Bead, facts: Mapping[str, Any]) -> Waiting | None:
    """Why nobody is asked to review it yet: of works that would conflict one comes first, and the others again after it.

    What a person was asked to review stays asked. Before it comes what was asked for already, or is let land; one whose
    pull request is open keeps nobody waiting.
    """
    if bead.status is not BeadStatus.REVIEW or _is_asked(tx, bead) or let_land_by(facts) is not None:
        return None
    known = overlaps_of(tx, bead.rig)
    seen = known.of(bead.id)
    moving = _is_being_looked_at(facts)
    if seen is None or seen.head != (facts.get(BeadFact.BRANCH) or {}).get("head"):
        return _UNKNOWN
    if moving and (seen.paths or seen.target is None):
        return _UNKNOWN
    for met in filter(None, map(tx.bead, known.met(bead.id))):
        if moving and met.status is BeadStatus.DONE:
            return _UNKNOWN
        if met.status is BeadStatus.REVIEW and _comes_first(tx, met, bead):
            reason = (
                f"its review comes after that of {_short(met.id)} ({met.title[:40]}), with which it conflicts"
            )
            return Waiting(reason, (str(met.id),))
    return None


def _comes_first(tx: Tx, met: Bead, bead: Bead) -> bool:
    facts = {name: fact.value for name, fact in tx.facts(met.id).items()}
    if let_land_by(facts) is not None:
        return True
    if is_open(facts.get(BeadFact.PULL_REQUEST)):
        return False
    return _is_asked(tx, met) or _order(met) < _order(bead)


def _is_asked(tx: Tx, bead: Bead) -> bool:
    return any(each.kind == "review" for each in tx.open_interruptions(bead.id))


def _is_being_looked_at(facts: Mapping[str, Any]) -> bool:
    look, forecast = facts.get(BeadFact.LOOK) or {}, facts.get(BeadFact.FORECAST) or {}
    return int(forecast.get("look", 0)) < int(look.get("number", 0))


def _order(bead: Bead) -> tuple[object, ...]:
    return (-bead.lane.rank, -bead.priority, bead.created_at, bead.id)


def direct_followers(tx: Tx) -> dict[UUID, list[UUID]]:
    """The beads that wait for each bead to land, directly, in whatever repository they are."""
    found: dict[UUID, list[UUID]] = {}
    for bead in tx.beads(status=NOT_OVER):
        for first in after_of(bead):
            found.setdefault(first, []).append(bead.id)
    return found


def require_no_circle(tx: Tx, bead: Bead, first: Iterable[UUID]) -> None:
    """Raises Refused for beads that would wait for each other, with the way round."""
    first = tuple(first)
    if bead.id in first:
        raise Refused(f"{_short(bead.id)} cannot wait for itself", f"at after {_short(bead.id)}")
    way = circle(bead.id, first, lambda each: after_of(found) if (found := tx.bead(each)) else ())
    if way:
        names = " waits for ".join(map(_short, way))
        raise Refused(
            f"they would wait for each other for ever: {names}",
            f"at after {_short(way[1])} --remove {_short(way[2])}",
        )


def has_begun(tx: Tx, bead: Bead) -> bool:
    """Whether its folder is there or being made, or was once: it has its place and keeps it."""
    if tx.fact(bead.id, BeadFact.FOLDER.value) is not None:
        return True
    order = tx.fact(bead.id, BeadFact.ORDER.value)
    generation = int(order.value.get("generation", 0)) if order is not None else 0
    return tx.intent(f"prepare:{bead.id}:{generation}") is not None


def has_landed(tx: Tx, bead: Bead) -> bool:
    """Whether it is done because of a merge: what a person declared done may have work that no target has."""
    overruled = tx.fact(bead.id, BeadFact.OVERRIDE.value) is not None
    merged = tx.fact(bead.id, BeadFact.MERGED.value) is not None
    return bead.status is BeadStatus.DONE and (merged or not overruled)


def _waits_for_others(tx: Tx, bead: Bead) -> Waiting | None:
    gone, unmerged, open_ = [], [], []
    for first in after_of(bead):
        found = tx.bead(first)
        if found is None:
            gone.append(first)
        elif found.status is not BeadStatus.DONE:
            open_.append(found)
        elif not has_landed(tx, found):
            unmerged.append(first)
    ids = tuple(str(each) for each in (*gone, *unmerged, *(found.id for found in open_)))
    for never, why in (
        (gone, "was removed before it landed"),
        (unmerged, "was declared done, but is not merged"),
    ):
        if never:
            names = ", ".join(map(_short, never))
            remove = " ".join(f"--remove {_short(each)}" for each in (*gone, *unmerged))
            return Waiting(f"it waits for {names}, which {why}", ids, f"at after {_short(bead.id)} {remove}")
    if open_:
        named = (f"{str(each.id)[:8]} ({each.title[:40]}, {each.status.value})" for each in open_)
        return Waiting(f"it waits for {', '.join(named)} to land", ids)
    return None


def _waits_for_lane(tx: Tx, bead: Bead, most: int | None) -> Waiting | None:
    if most is None or bead.status is not BeadStatus.SLUNG or has_begun(tx, bead):
        return None
    begun = sum(has_begun(tx, other) for other in _others_in_lane(tx, bead, IN_PROGRESS))
    return Waiting(lane_is_full(bead.lane, begun, most)) if begun >= most else None


def _others_in_lane(tx: Tx, bead: Bead, status: Collection[BeadStatus]) -> Iterator[Bead]:
    return (each for each in tx.beads(status=status) if each.lane is bead.lane and each.id != bead.id)


def _short(bead_id: UUID) -> str:
    return str(bead_id)[:8]
