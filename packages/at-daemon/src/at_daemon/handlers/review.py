"""What a person does with work that was handed in: look at it, send it back, let it land, overrule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from at_agents.lifecycle import hand_in
from at_core import text
from at_core.api import DoneRequest, TextRequest
from at_core.errors import Refused, UsageError
from at_core.store import Tx
from at_core.types import Bead, BeadStatus, MessageKind, Rig
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import git
from at_daemon.edge import Call
from at_daemon.handlers.beads import shown
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.ledger import Change, apply
from at_daemon.parts import Parts, rig_of

Json = dict[str, Any]


async def diff(parts: Parts, call: Call) -> bytes:
    """The change since its base, or since it was last looked at; looking is remembered."""
    rig = await rig_at(parts, call.query["path"])
    bead, home, branch, seen = await parts.ledger.read(lambda tx: _change_of(tx, call.path["bead"], rig))
    base = seen if call.query["since_seen"] and seen else branch["base"]
    patch = await git.diff(
        Path(home.path), base, branch["head"], stat=bool(call.query["stat"]), color=bool(call.query["color"])
    )

    def look(change: Change) -> None:
        change.put(bead.id, BeadFact.SEEN, {"head": branch["head"]}, "person")
        if bead.agent_id is not None:
            turn = change.fact(bead.agent_id, AgentFact.TURN) or {}
            change.put(bead.agent_id, AgentFact.SEEN, {"turn": turn.get("number")}, "person")
        change.touch(bead.id)

    await parts.ledger.change(look)
    return patch


async def send_back(parts: Parts, call: Call) -> Json:
    """The agent goes on in its session with what the person says."""
    request: TextRequest = call.body
    text.require_prompt(request.text, "message")
    message = uuid4()

    def back(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if bead.status is not BeadStatus.REVIEW:
            raise Refused(
                f"only a bead in review is sent back; this one is {bead.status.value}",
                f"at show {str(bead.id)[:8]}",
            )
        return return_to_agent(change, bead, message, MessageKind.SEND_BACK, request.text).id

    return await shown(parts, await parts.ledger.change(back))


async def land(parts: Parts, call: Call) -> Json:
    """Let it merge; the merge itself follows as soon as its proof is complete."""

    def allow(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if bead.status is BeadStatus.DONE:
            return bead.id  # it has landed by itself meanwhile, as was wanted
        if bead.status is not BeadStatus.REVIEW:
            raise Refused(
                f"only a bead in review can land; this one is {bead.status.value}",
                f"at show {str(bead.id)[:8]}",
            )
        branch = change.fact(bead.id, BeadFact.BRANCH) or {}
        if branch.get("round") != (change.fact(bead.id, BeadFact.HANDED_IN) or {}).get("round"):
            branch = {}  # of an earlier round: what is being collected now is meant
        change.put(bead.id, BeadFact.LAND_ALLOWED, {"by": "person", "head": branch.get("head")}, "person")
        change.look_at_target(bead, "a person lets it land")
        change.tell(EventType.BEAD_LANDING_ALLOWED, bead, actor="person", head=branch.get("head"))
        return bead.id

    return await shown(parts, await parts.ledger.change(allow))


async def done(parts: Parts, call: Call) -> Json:
    """Hand in for checking, give up, or overrule."""
    request: DoneRequest = call.body
    if request.fail and request.by_me:
        raise UsageError("--fail and --by-me exclude each other")

    def end(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if request.fail:
            change.move(
                bead,
                BeadStatus.FAILED,
                EventType.BEAD_FAILED,
                actor="person",
                kind="given_up",
                reason="it was handed in as failed",
                hint=f"at retry {str(bead.id)[:8]}",
            )
            return bead.id
        if bead.status is not BeadStatus.REVIEW:
            bead.status.require_transition_to(BeadStatus.REVIEW)
            world = parts.ledger.worlds.of(change.tx, bead)
            for action in hand_in(world, "person"):
                apply(change, world, action)
        if request.by_me:
            current = change.tx.bead(bead.id) or bead
            change.put(bead.id, BeadFact.OVERRIDE, {"by": "person"}, "person")
            change.move(current, BeadStatus.DONE, EventType.BEAD_OVERRIDDEN, actor="person")
        return bead.id

    return await shown(parts, await parts.ledger.change(end))


def return_to_agent(change: Change, bead: Bead, message: UUID, kind: MessageKind, body: str) -> Bead:
    """Take a bead from review back to work with a message from a person."""
    change.put(bead.id, BeadFact.LAND_ALLOWED, None)
    if bead.agent_id is not None:
        change.put(bead.agent_id, AgentFact.STOPPED, None)
        turn = change.fact(bead.agent_id, AgentFact.TURN) or {}
        if turn.get("bead") == str(bead.id):  # what the person says now is what is made of how it ended
            change.put(bead.agent_id, AgentFact.TURN, turn | {"dealt_with": True})
            change.put(bead.agent_id, AgentFact.TROUBLE, None)
    moved = change.move(
        bead,
        BeadStatus.SLUNG,
        EventType.BEAD_SENT_BACK,
        actor="person",
        kind="person",
        reason=f"a person: {body[:200]}",
    )
    change.say(moved, message, kind, body)
    return moved


def _change_of(tx: Tx, word: str, rig: Rig | None) -> tuple[Bead, Rig, dict[str, Any], str | None]:
    bead = bead_called(tx, word, rig)
    branch = tx.fact(bead.id, BeadFact.BRANCH.value)
    if branch is None:
        raise Refused(
            "it was not handed in yet, so there is no change to show", f"at show {str(bead.id)[:8]}"
        )
    seen = tx.fact(bead.id, BeadFact.SEEN.value)
    return bead, rig_of(tx, bead), branch.value, seen.value["head"] if seen else None


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "diff": diff,
    "send_back": send_back,
    "land": land,
    "done": done,
}
