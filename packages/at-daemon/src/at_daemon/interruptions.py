"""Writes down what persons are wanted for, in the transaction in which it arises and in the one that ends it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from at_agents.decisions import Do, IntentKind, World
from at_agents.interruptions import how_it_ended, newly_wanted, no_longer_wanted
from at_agents.needs import Need, needs
from at_core.interruption import Interruption, NeedOutcome
from at_core.record import format_time
from at_core.store import Tx
from at_core.types import AgentStatus, BeadStatus, Rig
from at_core.vocabulary import AgentFact, EventType
from at_daemon.costs import BEGINNING

if TYPE_CHECKING:
    from at_daemon.ledger import Change

Json = dict[str, Any]
MOST_ENDED = 50
"""Failed beads that are looked at when the daemon starts, for those whose needs an older version did not write down."""


def note_interruptions(change: Change, bead_id: UUID, world: World | None) -> None:
    """Compare what the bead wants from a person with what is on record; None: the bead was removed."""
    wanted = needs(world) if world is not None and world.agent is not None else []
    known = change.tx.open_interruptions(bead_id)
    for over in no_longer_wanted(known, wanted):
        _close(change, over, world)
    for need in newly_wanted(known, wanted):
        _open(change, need)


def touch_ended(change: Change) -> None:
    """Have the beads looked at that wait for a person though their work is over."""
    for bead in change.tx.beads(status={BeadStatus.FAILED, BeadStatus.ESCALATED}, limit=MOST_ENDED):
        change.touch(bead.id)


def _open(change: Change, need: Need) -> None:
    found = Interruption(
        id=uuid4(),
        bead_id=need.bead.id,
        kind=need.kind,
        ask_id=UUID(need.ask) if need.ask else None,
        rig=need.bead.rig,
        agent=need.agent,
        title=need.bead.title,
        reason=need.reason,
        own=change.acted is not None,
        opened_at=change.now,
    )
    change.tx.open_interruption(found)
    change.tell(EventType.INTERRUPTION_OPENED, need.bead, said=_told(found))
    if change.notices and not found.own:
        _intend(change, IntentKind.NOTIFY, found)


def _close(change: Change, over: Interruption, world: World | None) -> None:
    ask = change.tx.ask(over.ask_id) if over.ask_id else None
    stopped = (world.agent_facts.get(AgentFact.STOPPED) or {}) if world is not None else {}
    ended = how_it_ended(over, ask, change.acted, stopped.get("by"))
    change.tx.close_interruption(over.id, change.now, ended.outcome, ended.act)
    bead = world.bead if world is not None else None
    seconds = seconds_between(over.opened_at, change.now)
    ending = {"seconds": seconds, "outcome": ended.outcome.value, "act": ended.act}
    change.tell(EventType.INTERRUPTION_CLOSED, bead, said={**_told(over), **ending})
    if change.tx.intent(f"{IntentKind.NOTIFY.value}:{over.id}") is not None:
        _intend(change, IntentKind.WITHDRAW, over)


def _intend(change: Change, kind: IntentKind, each: Interruption) -> None:
    change.intend(Do(f"{kind.value}:{each.id}", kind, {"interruption": str(each.id)}), None, None)


def _told(each: Interruption) -> Json:
    """What both events say of it."""
    ask = str(each.ask_id) if each.ask_id else None
    about = {"kind": each.kind, "bead": str(each.bead_id), "agent": each.agent, "ask": ask, "own": each.own}
    return {"interruption": str(each.id), **about}


def seconds_between(begin: datetime, end: datetime) -> float:
    """Seconds to the millisecond."""
    return round((end - begin).total_seconds(), 3)


def standing(tx: Tx, rig: Rig | None) -> dict[str, int]:
    """How many decisions wait for a person, how many agents work, and how many wait for what passes by itself."""
    rig_id = str(rig.id) if rig else None
    wanted = [each for each in tx.open_interruptions() if rig_id in (None, each.rig)]
    agents, asking = tx.agents_under_way(rig_id), {each.agent for each in wanted}
    working = [name for name, status in agents.items() if status is AgentStatus.ACTIVE]
    waiting = [
        name for name, status in agents.items() if status is AgentStatus.PENDING and name not in asking
    ]
    return {"needs": len(wanted), "working": len(working), "waiting": len(waiting)}


def interruptions_document(tx: Tx, since: datetime | None, now: datetime) -> Json:
    """What persons were wanted for since then, oldest first, and how many of these needed nobody."""
    start = since or BEGINNING
    found = [each for each in tx.interruptions(start) if not each.own]
    landed, of_landed = tx.landed(start).beads, tx.interruptions_of_landed(start)
    outcomes = [each.outcome for each in found]
    return {
        "since": format_time(since) if since else None,
        "until": format_time(now),
        "interruptions": [interruption_document(each, now) for each in found],
        "counts": {
            "all": len(found),
            "open": outcomes.count(None),
            **{outcome.value: outcomes.count(outcome) for outcome in NeedOutcome},
        },
        "landed": {
            "beads": landed,
            "interruptions": of_landed,
            "per_bead": round(of_landed / landed, 3) if landed else None,
        },
    }


def interruption_document(each: Interruption, now: datetime) -> Json:
    """One of them; `seconds` is how long it lasted, or lasts already."""
    return {
        "id": str(each.id),
        "kind": each.kind,
        "bead": str(each.bead_id),
        "title": each.title,
        "agent": each.agent,
        "ask": str(each.ask_id) if each.ask_id else None,
        "reason": each.reason,
        "opened_at": format_time(each.opened_at),
        "closed_at": format_time(each.closed_at) if each.closed_at else None,
        "seconds": seconds_between(each.opened_at, each.closed_at or now),
        "outcome": each.outcome.value if each.outcome else None,
        "act": each.act,
    }
