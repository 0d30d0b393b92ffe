"""What nobody has touched for a time: why it is still there, and the commands that end that.

Work that goes on by itself is never stale, however long it takes, and neither is what waits for other work: that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from at_agents.decisions import Waiting, World
from at_agents.landing import may_land
from at_agents.lifecycle import short
from at_agents.needs import Need, needs
from at_core.types import Bead, BeadStatus, Message
from at_core.vocabulary import BeadFact

TOUCHES = (
    BeadFact.ORDER,
    BeadFact.HANDED_IN,
    BeadFact.COMMENTS,
    BeadFact.SEEN,
    BeadFact.LAND_ALLOWED,
    BeadFact.PULL_REQUEST,
    BeadFact.BUDGET,
)
"""Facts that a person, an agent or another's review brings about; what the daemon looks up by itself touches nothing."""


@dataclass(frozen=True, slots=True)
class Stale:
    """One thing that was left. `kind` is that of a need, else the bead's status, or `folder`; `acts` end it.

    `path` is the folder that is still there for nothing.
    """

    kind: str
    bead: Bead | None
    agent: str | None
    since: datetime
    reason: str
    acts: tuple[str, ...]
    path: str | None = None


def last_touch(bead: Bead, facts_at: Mapping[str, datetime], messages: Iterable[Message]) -> datetime:
    """When anybody last did anything with it; `facts_at` are the times of its facts."""
    times = [bead.updated_at, *(at for name, at in facts_at.items() if name in TOUCHES)]
    for each in messages:
        steps = (each.created_at, each.sent_at, each.accepted_at, each.started_at, each.answered_at)
        times += [at for at in steps if at is not None]
    return max(times)


def left_unbegun(bead: Bead, agent: str | None, waiting: Waiting | None, since: datetime) -> Stale | None:
    """A bead of the backlog or of a hook. One that waits for others begins with them, unless only a person can have
    it go on."""
    name = str(bead.id)[:8]
    drop = f"at rm {name}"
    if waiting is not None and waiting.hint:
        return Stale("blocked", bead, agent, since, waiting.reason, (waiting.hint, drop))
    if waiting is not None and waiting.beads:
        return None
    if bead.status is BeadStatus.HOOKED:
        reason = f"on {agent}'s hook, and never started"
        return Stale("hooked", bead, agent, since, reason, (f"at sling {name} {agent}", drop))
    return Stale(
        "backlog",
        bead,
        agent,
        since,
        "in the backlog, and nobody works on it",
        (f"at sling {name} AGENT", drop),
    )


def left(world: World, since: datetime) -> Stale | None:
    """A bead that was begun and stands still."""
    status = world.bead.status
    if status in (BeadStatus.BACKLOG, BeadStatus.HOOKED):
        agent = world.agent.name if world.agent else None
        return left_unbegun(world.bead, agent, world.waits_for, since)
    if wanted := needs(world):
        return _wanted(world, wanted[0], since)
    if status is BeadStatus.REVIEW and world.review_waits is None:
        reason = "in review, let land, and not merged" if may_land(world) else "in review, and not proved"
        acts = (f"at show {short(world)}", f"at send-back {short(world)} -m TEXT", f"at rm {short(world)}")
        return _stale(world, "review", since, reason, acts)
    return None


def left_folder(world: World, path: str, since: datetime) -> Stale | None:
    """A folder that stays although its bead is done: it may hold the only copy of work."""
    if world.bead.status is not BeadStatus.DONE or world.facts.get(BeadFact.OVERRIDE) is None:
        return None
    reason = "done by your word and not merged, and its folder is still there; at rm keeps what is in it"
    found = _stale(world, "folder", since, reason, (f"at rm {short(world)}",))
    return Stale(found.kind, found.bead, found.agent, since, reason, found.acts, path)


def _wanted(world: World, need: Need, since: datetime) -> Stale:
    acts = list(need.acts)
    if need.kind not in ("approval", "question", "review") and (drop := f"at rm {short(world)}") not in acts:
        acts.append(drop)
    return _stale(world, need.kind, since, need.reason, tuple(acts))


def _stale(world: World, kind: str, since: datetime, reason: str, acts: tuple[str, ...]) -> Stale:
    return Stale(kind, world.bead, world.agent.name if world.agent else None, since, reason, acts)
