"""What nobody has touched for a time, as the store tells; decided in `at_agents.stale`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from at_agents.stale import Stale, last_touch, left, left_folder, left_unbegun
from at_core.record import format_time
from at_core.store import Tx
from at_core.types import Bead, BeadStatus, Rig
from at_core.vocabulary import BeadFact
from at_daemon.over import look_over
from at_daemon.parts import Parts
from at_daemon.tidying import changed, lost_folders
from at_daemon.waiting import NOT_OVER, waits_for

Json = dict[str, Any]
_NOT_BEGUN = (BeadStatus.BACKLOG, BeadStatus.HOOKED)


def stale_document(
    parts: Parts, tx: Tx, rig: Rig | None, patience: timedelta, status: BeadStatus | None
) -> Json:
    """What was left for so long, longest first."""
    now = parts.now()
    found = [each for each in _all(parts, tx, rig, now - patience) if _is(each, status)]
    found.sort(key=lambda each: each.since)
    return {
        "stale": [_document(each, now) for each in found],
        "after_seconds": int(patience.total_seconds()),
    }


def _is(found: Stale, status: BeadStatus | None) -> bool:
    return status is None or (found.bead is not None and found.bead.status is status)


def _all(parts: Parts, tx: Tx, rig: Rig | None, before: datetime) -> Iterator[Stale]:
    names = {agent.id: agent.name for agent in tx.agents()}
    for bead in tx.beads(status=NOT_OVER, rig=str(rig.id) if rig else None):
        if bead.updated_at > before:
            continue
        if bead.status in _NOT_BEGUN:  # there may be thousands, and nothing more is to be known of them
            agent = names.get(bead.agent_id) if bead.agent_id else None
            found = left_unbegun(bead, agent, waits_for(tx, bead, None), bead.updated_at)
        elif (since := _touched(tx, bead)) > before:
            continue
        else:
            found = left(parts.ledger.worlds.of(tx, bead), since)
        if found is not None:
            yield found
    yield from _folders(parts, tx, rig, before)


def _touched(tx: Tx, bead: Bead) -> datetime:
    times = {name: fact.at for name, fact in tx.facts(bead.id).items()}
    return last_touch(bead, times, tx.messages(bead_id=bead.id))


def _folders(parts: Parts, tx: Tx, rig: Rig | None, before: datetime) -> Iterator[Stale]:
    """Of beads that are done or gone. There are few folders, and no end of beads that are done."""
    unknown = False
    for name in sorted(os.listdir(parts.home.worktrees)):
        if name.startswith("."):
            continue
        bead = next((bead for bead in tx.find_beads(name) if bead.id.hex.startswith(name)), None)
        unknown |= bead is None
        if bead is None or (rig is not None and bead.rig != str(rig.id)):
            continue
        if (found := _of_done(parts, tx, bead, before)) is not None:
            yield found
    if unknown:
        yield from _lost(parts, tx, rig, before)


def _of_done(parts: Parts, tx: Tx, bead: Bead, before: datetime) -> Stale | None:
    since, fact = bead.done_at or bead.updated_at, tx.fact(bead.id, BeadFact.FOLDER.value)
    if bead.status is not BeadStatus.DONE or fact is None or since > before:
        return None
    return left_folder(parts.ledger.worlds.of(tx, bead), str(fact.value["path"]), since)


def _lost(parts: Parts, tx: Tx, rig: Rig | None, before: datetime) -> Iterator[Stale]:
    over = look_over(parts, tx)
    over = dataclasses.replace(over, before=min(before, over.before))
    for each in lost_folders(parts, over, rig):
        if each.path is not None:
            yield Stale(
                "folder", None, None, changed(each.path), each.reason, ("at tidy",), path=str(each.path)
            )


def _document(found: Stale, now: datetime) -> Json:
    bead = found.bead
    return {
        "kind": found.kind,
        "bead": str(bead.id) if bead else None,
        "title": bead.title if bead else None,
        "status": bead.status.value if bead else None,
        "agent": found.agent,
        "path": found.path,
        "since": format_time(found.since),
        "seconds": max(0, int((now - found.since).total_seconds())),
        "reason": found.reason,
        "acts": list(found.acts),
    }
