"""What has to land before a bead begins: told, and changed by a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from at_agents.dependencies import after_of, with_after
from at_core.api import AfterRequest
from at_core.errors import NotFound, Refused
from at_core.store import Tx
from at_core.types import Bead, BeadStatus, Rig
from at_core.vocabulary import EventType
from at_daemon.edge import Call
from at_daemon.handlers.named import bead_called
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.waiting import direct_followers, has_begun, require_no_circle

Json = dict[str, Any]
GONE = "removed"
"""The status told of a bead that is no longer on record."""


async def after(parts: Parts, call: Call) -> Json:
    """Change what has to land first; with nothing to add or remove, only tell it."""
    request: AfterRequest = call.body

    def put(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if request.add or request.remove:
            _put(change, bead, request)
        return bead.id

    bead_id = await parts.ledger.change(put)
    return await parts.ledger.read(lambda tx: _document(tx, bead_id))


def beads_called(tx: Tx, words: Iterable[str], rig: Rig | None = None) -> list[UUID]:
    """The beads that a person names as to land first. Raises NotFound, Ambiguous."""
    return [bead_called(tx, word, rig).id for word in words]


def _put(change: Change, bead: Bead, request: AfterRequest) -> None:
    begun = bead.status is BeadStatus.SLUNG and has_begun(change.tx, bead)
    if begun or bead.status in (BeadStatus.REVIEW, BeadStatus.DONE):
        raise Refused(
            f"{_short(bead.id)} is {bead.status.value} and has begun, so it waits for nothing any more",
            f"at show {_short(bead.id)}",
        )
    removed = {_listed(change.tx, bead, word) for word in request.remove}
    kept = [each for each in after_of(bead) if each not in removed]
    first = [*kept, *beads_called(change.tx, request.add)]
    require_no_circle(change.tx, bead, first)
    change.tx.save_bead(with_after(bead, first))
    names = [str(each) for each in first]
    change.tell(EventType.BEAD_AFTER_SET, bead, actor="person", after=names)
    change.touch(bead.id)


def _listed(tx: Tx, bead: Bead, word: str) -> UUID:
    """One that it waits for, also when that is no longer on record. Raises NotFound, Ambiguous."""
    named = [each for each in after_of(bead) if len(word) >= 4 and str(each).startswith(word.lower())]
    if len(named) == 1:
        return named[0]
    found = bead_called(tx, word).id
    if found not in after_of(bead):
        raise NotFound(
            f"bead among those that {_short(bead.id)} waits for", word, f"at after {_short(bead.id)}"
        )
    return found


def _document(tx: Tx, bead_id: UUID) -> Json:
    bead = tx.bead(bead_id)
    if bead is None:
        raise NotFound("bead", str(bead_id), "at ls")
    waiting = direct_followers(tx).get(bead.id, ())
    return {
        "bead": bead.to_json(),
        "after": [_row(tx, each) for each in after_of(bead)],
        "followers": [_row(tx, each) for each in waiting],
    }


def _row(tx: Tx, bead_id: UUID) -> Json:
    found = tx.bead(bead_id)
    if found is None:
        return {"id": str(bead_id), "title": None, "status": GONE}
    return {"id": str(bead_id), "title": found.title, "status": found.status.value}


def _short(bead_id: UUID) -> str:
    return str(bead_id)[:8]


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"after": after}
"""By the name of the route."""
