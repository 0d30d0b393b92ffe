"""What was taken away, had back: destructive acts undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import anyio

from at_agents.decisions import Do, IntentKind
from at_core.api import UndoRequest
from at_core.errors import AtError, Refused, TryLater, UsageError
from at_core.store import DestructiveAct, Tx
from at_core.types import IntentState, Rig
from at_daemon import environments
from at_daemon.destructive import REMOVAL, act_document, called, newest, require_return, take_back
from at_daemon.edge import Call
from at_daemon.handlers.beads import shown
from at_daemon.handlers.named import rig_at
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]
MOST_RESTORE_SECONDS = 45.0
"""The call is answered within so long; the folder goes on being filled."""
MOST_LISTED = 50


async def undo(parts: Parts, call: Call) -> Json:
    """Take back the act that is named, else the newest of this repository."""
    request: UndoRequest = call.body
    rig = await rig_at(parts, request.path)
    word = request.act
    if not word and rig is None:
        raise UsageError("no repository that at knows is here, so say what to take back", "at undo --list")
    act = await parts.ledger.read(lambda tx: called(tx, word) if word else newest(tx, rig))
    if act.kind == REMOVAL:
        await _bring_back(parts, act, request)
    else:
        await parts.ledger.change(lambda change: take_back(change, parts.ledger.worlds, act))
    taken_back = await parts.ledger.read(lambda tx: tx.destructive_act(act.id)) or act
    return {**await shown(parts, act.bead_id), "undone": act_document(taken_back)}


async def destructive_acts(parts: Parts, call: Call) -> Json:
    """What was taken away, newest first, and whether it can be had back."""
    rig = await rig_at(parts, call.query["path"])
    limit = call.query["limit"] or MOST_LISTED

    def listed(tx: Tx, rig: Rig | None) -> list[DestructiveAct]:
        return tx.destructive_acts(str(rig.id) if rig else None, limit)

    acts = await parts.ledger.read(lambda tx: listed(tx, rig))
    return {"acts": [act_document(act) for act in acts]}


async def _bring_back(parts: Parts, act: DestructiveAct, request: UndoRequest) -> None:
    """Restore a removed bead. Its agent keeps the environment that it has; one that has none gets the caller's, which
    the set-up of the folder may need at once."""
    word = act.record["bead"].get("agent_id")
    bare = UUID(word) if word is not None and not environments.is_kept(parts.home, UUID(word)) else None
    if bare is not None:
        environments.save(parts.home, bare, request.env)
    try:
        await _restored(parts, act)
    except TryLater:
        raise  # it goes on
    except AtError:
        if bare is not None:
            environments.forget(parts.home, bare)
        raise


async def _restored(parts: Parts, act: DestructiveAct) -> None:
    key = f"restore:{act.id}:{uuid4()}"

    def intend(change: Change) -> None:
        require_return(change.tx, act)
        change.intend(Do(key, IntentKind.RESTORE, {"act": str(act.id)}), act.bead_id, None)

    await parts.ledger.change(intend)
    intent = None
    with anyio.move_on_after(MOST_RESTORE_SECONDS):
        intent = await parts.until(
            lambda tx: i if (i := tx.intent(key)) and i.state is not IntentState.OPEN else None
        )
    if intent is None:
        raise TryLater("its folder is large; it comes back once that is filled", "at ls")
    if intent.state is not IntentState.DONE:
        raise Refused(f"it was not brought back: {intent.error}", "at undo --list")


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "undo": undo,
    "destructive_acts": destructive_acts,
}
