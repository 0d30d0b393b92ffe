"""What a person does with work that was handed in: send it back, let it land, overrule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

from at_agents import prompts
from at_agents.comments import Comments
from at_agents.lifecycle import hand_in
from at_agents.reading import Landable, landable
from at_core import text
from at_core.api import DoneRequest, LandRequest, LandSeveralRequest, SendBackRequest
from at_core.errors import AtError, Conflict, Refused, UsageError
from at_core.store import Tx
from at_core.types import Bead, BeadStatus, MessageKind
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.destructive import GIVEN_UP, write_down
from at_daemon.edge import Call, error_document
from at_daemon.handlers.beads import shown
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.ledger import Change, apply, let_queues_go_on
from at_daemon.parts import Parts

Json = dict[str, Any]


async def send_back(parts: Parts, call: Call) -> Json:
    """The agent goes on in its session with what the person says."""
    request: SendBackRequest = call.body
    if request.text:
        text.require_prompt(request.text, "message")
    message = uuid4()

    def back(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if bead.status is not BeadStatus.REVIEW:
            raise Refused(
                f"only a bead in review is sent back; this one is {bead.status.value}",
                f"at show {str(bead.id)[:8]}",
            )
        body = _with_comments(change, bead, message, request)
        return return_to_agent(change, bead, message, MessageKind.SEND_BACK, body).id

    return await shown(parts, await parts.ledger.change(back))


def _with_comments(change: Change, bead: Bead, message: UUID, request: SendBackRequest) -> str:
    """The message with the comments that wait for it, which from here on count as sent."""
    noted = Comments.of(change.fact(bead.id, BeadFact.COMMENTS))
    words, waiting = request.text, noted.to_send(from_others=request.from_pr)
    if not waiting and not words:
        raise UsageError(
            "there is nothing to send: no words, and no comment that was not sent yet",
            f"at send-back {str(bead.id)[:8]} -m TEXT",
        )
    if not waiting:
        return text.require_prompt(words, "message")
    sent = noted.sent((each.number for each in waiting), str(message))
    change.put(bead.id, BeadFact.COMMENTS, sent.to_fact(), "person")
    return text.require_prompt(prompts.comments(waiting, words), "message")


async def land(parts: Parts, call: Call) -> Json:
    """Let it merge; the merge itself follows as soon as its proof is complete."""
    request: LandRequest = call.body
    return await shown(
        parts, await parts.ledger.change(lambda change: _allow(change, call.path["bead"], request.head))
    )


async def land_several(parts: Parts, call: Call) -> Json:
    """Let each of them merge, in one transaction; what one is refused for is no matter of the others."""
    request: LandSeveralRequest = call.body

    def allow(change: Change) -> list[UUID | AtError]:
        found: list[UUID | AtError] = []
        for each in request.beads:
            try:
                found.append(_allow(change, each.bead, each.head))
            except AtError as error:
                found.append(error)
        return found

    allowed = await parts.ledger.change(allow)
    results = [
        error_document(each) if isinstance(each, AtError) else {"bead": await shown(parts, each)}
        for each in allowed
    ]
    return {"results": results}


def _allow(change: Change, word: str, head: str | None) -> UUID:
    bead = bead_called(change.tx, word)
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
    if head not in (None, branch.get("head")):
        raise Conflict("the work of bead", str(bead.id)[:8])
    change.put(bead.id, BeadFact.LAND_ALLOWED, {"by": "person", "head": branch.get("head")}, "person")
    change.put(bead.id, BeadFact.BLOCKED, None)  # this is the answer to it
    let_queues_go_on(change, bead.rig)
    change.look_at_target(bead, "a person lets it land")
    change.tell(EventType.BEAD_LANDING_ALLOWED, bead, actor="person", head=branch.get("head"))
    return bead.id


async def landable_beads(parts: Parts, call: Call) -> Json:
    """Proved work of one repository that waits for a person's word."""
    rig = await rig_at(parts, call.query["path"])
    if rig is None:
        raise UsageError("this folder is in no repository that is known here", "at init")

    def look(tx: Tx) -> Json:
        waiting = tx.beads(status={BeadStatus.REVIEW}, rig=str(rig.id))
        found = landable(parts.ledger.worlds.of(tx, bead) for bead in waiting)
        return {"beads": [_landable(each) for each in found]}

    return await parts.ledger.read(look)


def _landable(found: Landable) -> Json:
    bead, branch = found.world.bead, found.world.facts[BeadFact.BRANCH]
    return {
        "id": str(bead.id),
        "title": bead.title,
        "lane": bead.lane.value,
        "priority": bead.priority,
        "head": found.head,
        **{name: branch[name] for name in ("files", "insertions", "deletions")},
        "unread": found.unread.value if found.unread else None,
        "must_read": found.must_read,
    }


async def done(parts: Parts, call: Call) -> Json:
    """Hand in for checking, give up, or overrule."""
    request: DoneRequest = call.body
    if request.fail and request.by_me:
        raise UsageError("--fail and --by-me exclude each other")

    def end(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if request.fail:
            return _give_up(change, bead).id
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


def _give_up(change: Change, bead: Bead) -> Bead:
    before = change.fact(bead.id, BeadFact.OUTCOME)
    failed = change.move(
        bead,
        BeadStatus.FAILED,
        EventType.BEAD_FAILED,
        actor="person",
        kind="given_up",
        reason="it was handed in as failed",
        hint=f"at retry {str(bead.id)[:8]}",
    )
    act = write_down(change, GIVEN_UP, bead, {"status": bead.status.value, "outcome": before})
    outcome = change.fact(bead.id, BeadFact.OUTCOME)
    change.put(bead.id, BeadFact.OUTCOME, {**outcome, "act": str(act)}, "person")
    return failed


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
    change.say(moved, message, kind, body, actor="person")
    return moved


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "send_back": send_back,
    "land": land,
    "land_several": land_several,
    "landable": landable_beads,
    "done": done,
}
