"""The one queue of what only a person can decide, ordered by what stands still because of it.

What passes by itself, such as a usage limit or a budget of the day, is no need.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from at_agents.attention import Attention, attention
from at_agents.decisions import World
from at_agents.landing import may_land, stays_proved
from at_agents.lifecycle import short
from at_core.types import Ask, Bead, BeadStatus

KINDS = ("login", "approval", "question", "checkout", "unknown", "failed", "budget", "review")
"""In the order in which they come where equally much stands still. `review`: proved work that nobody has let land."""
_STANDS_STILL = {"login", "approval", "question", "unknown", "budget"}
"""Kinds during which an agent stands still."""


@dataclass(frozen=True, slots=True)
class Need:
    """One decision that is wanted: `reason` is shown whole, `acts` are the commands that decide it.

    `blocks` counts the agent that stands still and the beads that wait for this one. `ask` is the id of what an agent
    asked. `since` is when it was asked, else when the bead last changed.
    """

    kind: str
    bead: Bead
    agent: str | None
    reason: str
    acts: tuple[str, ...]
    since: datetime
    blocks: int = 0
    ask: str | None = None


def needs(world: World, followers: int = 0) -> list[Need]:
    """What one bead wants decided; `followers` are the beads that wait for it to land."""
    found = [_of_ask(world, ask) for ask in world.asks]
    found += [_of_attention(world, want) for want in attention(world) if _wants_a_decision(want)]
    if not found and _wants_review(world):
        name = short(world)
        acts = (f"at diff {name}", f"at land {name}", f"at send-back {name} -m TEXT")
        found.append(_need(world, "review", "proved, and nobody has let it land", acts))
    return [_with_blocks(need, followers) for need in found]


def _wants_review(world: World) -> bool:
    if world.bead.status is not BeadStatus.REVIEW or world.review_waits is not None:
        return False
    return stays_proved(world) and may_land(world) is None


def ordered(found: Iterable[Need]) -> list[Need]:
    """First what keeps most from going on, then by kind, lane, priority and age."""
    return sorted(
        found,
        key=lambda need: (
            -need.blocks,
            KINDS.index(need.kind),
            -need.bead.lane.rank,
            -need.bead.priority,
            need.since,
        ),
    )


def _wants_a_decision(want: Attention) -> bool:
    if want.kind in ("approval", "question", "limit"):
        return False  # asks are taken as they are; a limit passes
    return want.kind != "budget" or want.reset_at is None


def _of_ask(world: World, ask: Ask) -> Need:
    name = str(ask.id)[:8]
    if ask.kind == "question":
        return _need(world, "question", ask.what, (f"at answer {name} TEXT",), ask)
    acts = (f"at approve {name}", f"at approve {name} --always", f"at deny {name} -m TEXT")
    return _need(world, "approval", ask.what, acts, ask)


def _of_attention(world: World, want: Attention) -> Need:
    acts = [want.hint] if want.hint else []
    if want.kind in ("failed", "login") and world.bead.status is not BeadStatus.REVIEW:
        acts += [act for act in (f"at retry {short(world)}", f"at rm {short(world)}") if act not in acts]
    return _need(world, want.kind, want.reason, tuple(acts))


def _need(world: World, kind: str, reason: str, acts: tuple[str, ...], ask: Ask | None = None) -> Need:
    return Need(
        kind=kind,
        bead=world.bead,
        agent=world.agent.name if world.agent else None,
        reason=reason,
        acts=acts,
        since=ask.asked_at if ask else world.bead.updated_at,
        ask=str(ask.id) if ask else None,
    )


def _with_blocks(need: Need, followers: int) -> Need:
    blocks = followers + (need.kind in _STANDS_STILL)
    return Need(need.kind, need.bead, need.agent, need.reason, need.acts, need.since, blocks, need.ask)
