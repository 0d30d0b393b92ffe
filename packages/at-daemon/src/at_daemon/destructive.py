"""Destructive acts of a person: written down in the transaction that begins them, taken back in one.

What an act takes away is in its record; facts, messages, usage and events of a bead stay in their tables all the
time (docs/adr/0006).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from at_agents.decisions import IntentKind, derived_id
from at_agents.dependencies import after_of
from at_agents.lifecycle import stop as stop_session
from at_agents.undo import BROUGHT_BACK, settle_in
from at_core.errors import Ambiguous, NotFound, Refused, TryLater
from at_core.store import DestructiveAct, Tx
from at_core.types import Bead, BeadStatus, MessageKind, ReceiptState, Rig
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.ledger import Change, apply
from at_daemon.waiting import require_no_circle
from at_daemon.world import Worlds

Json = dict[str, Any]
REMOVAL, GIVEN_UP, NEW_SESSION, LANDING = "rm", "fail", "fresh", "land"
IN_WORDS = {
    REMOVAL: "the removal",
    GIVEN_UP: "giving up",
    NEW_SESSION: "the new session",
    LANDING: "the landing",
}


def write_down(
    change: Change, kind: str, bead: Bead, record: Mapping[str, Any], *, done: bool = True
) -> UUID:
    """Put an act on record, before it is carried out or, where it is all in the store, with it."""
    act = DestructiveAct(
        id=uuid4(),
        kind=kind,
        bead_id=bead.id,
        title=bead.title,
        rig=bead.rig,
        record=dict(record),
        asked_at=change.now,
        done_at=change.now if done else None,
    )
    change.tx.add_destructive_act(act)
    return act.id


def bead_as_it_is(change: Change, bead: Bead) -> Json:
    """What its removal takes away: its row, and the fact that it has a folder."""
    return {"bead": bead.to_json(), "folder": change.fact(bead.id, BeadFact.FOLDER)}


def act_document(act: DestructiveAct) -> Json:
    """An act as the API shows it, without its record."""
    document = act.to_json()
    del document["record"], document["asked_at"]
    return {**document, "at": document.pop("done_at"), "why_not": why_not(act)}


def why_not(act: DestructiveAct) -> str | None:
    """Why it cannot be taken back whatever else is tried; None if it can be, as far as the record tells."""
    if act.undone_at is not None:
        return "it was taken back"
    if act.kind == LANDING:
        return f"a merge is taken back with git: {git_command(act.record['merge'])}"
    return None


def git_command(merge: str) -> str:
    """What takes a merge back without rewriting history."""
    return f"git revert -m 1 {merge[:12]}"


def newest(tx: Tx, rig: Rig | None) -> DestructiveAct:
    """What `undo` without a name means. Raises `Refused`, `TryLater`."""
    under_way = [i for i in tx.open_intents() if i.kind == IntentKind.REMOVE and i.payload.get("forget")]
    for intent in under_way:
        bead = tx.bead(intent.bead_id) if intent.bead_id else None
        if bead is not None and (rig is None or bead.rig == str(rig.id)):
            raise TryLater(f"{named(bead.id, bead.title)} is still being removed", "at undo")
    left = [act for act in tx.destructive_acts(str(rig.id) if rig else None) if act.undone_at is None]
    if not left:
        raise Refused("there is nothing to take back", "at attic")
    if left[0].kind == LANDING:
        before = next((act for act in left if act.kind != LANDING), None)
        raise _only_git(left[0], before)
    return left[0]


def called(tx: Tx, word: str) -> DestructiveAct:
    """The act of that id or prefix, else the newest of that bead that can be taken back. Raises `NotFound`, `Refused`."""
    found = tx.find_destructive_acts(word)
    if not found:
        raise _nothing_of(tx, word)
    if len({act.bead_id for act in found}) > 1:
        raise Ambiguous("destructive act", word, [f"{str(act.id)[:8]} {act.title[:40]}" for act in found])
    left = [act for act in found if act.undone_at is None]
    if not left:
        raise Refused(
            f"{IN_WORDS[found[0].kind]} of {_about(found[0])} was taken back already", "at undo --list"
        )
    if left[0].kind == LANDING:
        raise _only_git(left[0], None)
    return left[0]


def named(bead_id: UUID, title: str) -> str:
    """A bead in a sentence."""
    return f"{str(bead_id)[:8]} ({title[:40]})"


def _about(act: DestructiveAct) -> str:
    return named(act.bead_id, act.title)


def _nothing_of(tx: Tx, word: str) -> Exception:
    """A bead that landed without a person's word has no act of its own, and is meant all the same."""
    beads = tx.find_beads(word)
    merged = tx.fact(beads[0].id, BeadFact.MERGED.value) if len(beads) == 1 else None
    if merged is not None:
        what = f"{named(beads[0].id, beads[0].title)} is merged, which only git takes back"
        return Refused(what, git_command(merged.value["merge"]))
    if len(beads) == 1:
        return Refused(f"nothing was taken away from {named(beads[0].id, beads[0].title)}", "at undo --list")
    return NotFound("destructive act", word, "at undo --list")


def _only_git(act: DestructiveAct, before: DestructiveAct | None) -> Refused:
    what = f"{IN_WORDS[LANDING]} of {_about(act)} is taken back with git only"
    if before is not None:
        what += f"; {IN_WORDS[before.kind]} of {_about(before)} before it with `at undo {str(before.id)[:8]}`"
    return Refused(what, git_command(act.record["merge"]))


def take_back(change: Change, worlds: Worlds, act: DestructiveAct, folder: Json | None = None) -> None:
    """Put back what the act took away, once. `folder` is the fact of the folder that was put back.

    Raises `Refused` where something else has come of the bead since; nothing is changed then.
    """
    if not change.tx.take_back_destructive_act(act.id, change.now):
        return
    if act.kind == REMOVAL:
        bead = _settled(change, worlds, _unremove(change, act, folder), new_folder=True)
        change.touch_waiting()
    elif act.kind == GIVEN_UP:
        bead = _settled(change, worlds, _unfail(change, act), new_folder=False)
    else:
        bead = _old_session(change, act)
    said = {"act": str(act.id), "kind": act.kind, "attic": act.attic}
    change.tell(EventType.BEAD_RESTORED, bead, actor="person", said=said)
    change.touch(bead.id)


def require_return(tx: Tx, act: DestructiveAct) -> None:
    """Raises Refused for a removed bead that would wait in a circle with what others wait for since."""
    bead = Bead.from_json(act.record["bead"])
    require_no_circle(tx, bead, after_of(bead))


def _unremove(change: Change, act: DestructiveAct, folder: Json | None) -> Bead:
    require_return(change.tx, act)
    before = Bead.from_json(act.record["bead"])
    bead = dataclasses.replace(before, updated_at=change.now, revision=before.revision + 1)
    change.tx.add_bead(bead)
    change.put(bead.id, BeadFact.FOLDER, folder, "git")
    return bead


def _unfail(change: Change, act: DestructiveAct) -> Bead:
    bead = _still_there(change, act)
    outcome = change.fact(bead.id, BeadFact.OUTCOME) or {}
    if bead.status is not BeadStatus.FAILED or outcome.get("act") != str(act.id):
        raise Refused(f"{_about(act)} went on since: it is {bead.status.value}", "at undo --list")
    back = BeadStatus(act.record["status"])
    bead = dataclasses.replace(bead, status=back, updated_at=change.now, revision=bead.revision + 1)
    change.tx.put_bead(bead)
    change.put(bead.id, BeadFact.OUTCOME, act.record["outcome"])
    return bead


def _old_session(change: Change, act: DestructiveAct) -> Bead:
    """Let the next start be of the session that was given up. What runs in the newer one is stopped."""
    bead = _still_there(change, act)
    if bead.status is BeadStatus.DONE:
        raise Refused(f"{_about(act)} is done, it needs no session", "at undo --list")
    change.put(bead.id, BeadFact.SESSION, act.record["session"])
    order = change.fact(bead.id, BeadFact.ORDER) or {}
    unused = int(order.get("session", 0)) + 1  # a number names one session for ever
    change.put(bead.id, BeadFact.ORDER, {**order, "session": unused}, "person")
    _say_to_old_session(change, bead, act)
    process = change.fact(bead.agent_id, AgentFact.PROCESS) if bead.agent_id else None
    if bead.agent_id and process and process["state"] == "running" and process.get("bead") == str(bead.id):
        change.intend(stop_session(process["session"], BROUGHT_BACK), bead.id, bead.agent_id)
    if bead.agent_id and bead.status is BeadStatus.SLUNG:
        stopped = {"by": "person", "reason": "its session before is taken up again"}
        change.put(bead.agent_id, AgentFact.STOPPED, stopped, "person")
    return bead


def _say_to_old_session(change: Change, bead: Bead, act: DestructiveAct) -> None:
    """What waits to be said to the newer session is not for the one before, which is told what it would have been."""
    word = act.record.get("message")
    message = change.tx.message(UUID(word)) if word else None
    if message is None or message.receipt is not ReceiptState.QUEUED:
        return
    change.tx.mark_message(message.id, failed="its session before is taken up again")
    if instead := act.record["instead"]:
        change.say(bead, derived_id(act.id, "instead"), MessageKind.PROMPT, instead)


def _still_there(change: Change, act: DestructiveAct) -> Bead:
    bead = change.tx.bead(act.bead_id)
    if bead is None:
        raise Refused(f"{_about(act)} was removed since", f"at undo {str(act.bead_id)[:8]}")
    return bead


def _settled(change: Change, worlds: Worlds, bead: Bead, *, new_folder: bool) -> Bead:
    world = worlds.of(change.tx, bead)
    for action in settle_in(world, _other_work(change.tx, bead), new_folder=new_folder):
        apply(change, world, action)
    return change.tx.bead(bead.id) or bead


def _other_work(tx: Tx, bead: Bead) -> str | None:
    """What else its agent is at work on."""
    for other in tx.beads(status={BeadStatus.SLUNG}):
        if other.agent_id == bead.agent_id and other.id != bead.id:
            return named(other.id, other.title)
    return None
