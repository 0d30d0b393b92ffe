"""What agents want decided: one queue for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import anyio

from at_core.api import DecideRequest
from at_core.errors import NotFound, Refused, UsageError
from at_core.store import Tx
from at_core.text import one_line
from at_core.types import Rule
from at_core.vocabulary import EventType
from at_daemon.costs import since_when
from at_daemon.documents import ask_document, needs_document
from at_daemon.edge import Call
from at_daemon.handlers.named import agent_called, ask_called, rig_at
from at_daemon.ingest import decide as decide_ask
from at_daemon.interruptions import interruptions_document
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]
MOST_WAIT_SECONDS = 30.0
SHOWN = 80
"""Characters of what is asked that an error repeats."""


async def approvals(parts: Parts, call: Call) -> Json:
    """Everything undecided, oldest first; of one agent if one is named."""
    word = call.query["agent"]

    def listed(tx: Tx) -> list[Json]:
        agent = agent_called(tx, word) if word else None
        return [ask_document(tx, ask) for ask in tx.open_asks() if agent is None or ask.agent_id == agent.id]

    return {"approvals": await parts.ledger.read(listed)}


async def needs(parts: Parts, call: Call) -> Json:
    """What only a person can decide; it may wait for the first of it."""
    rig = await rig_at(parts, call.query["path"])

    def look(tx: Tx) -> Json | None:
        found = needs_document(parts, tx, rig)
        return found if found["needs"] else None

    with anyio.move_on_after(min(call.query["seconds"] or 0.0, MOST_WAIT_SECONDS)):
        return await parts.until(look)
    return await parts.ledger.read(lambda tx: needs_document(parts, tx, rig))


async def interruptions(parts: Parts, call: Call) -> Json:
    """What persons were wanted for, and how it ended."""
    now = parts.now()
    since = since_when(call.query["since"], now)
    return await parts.ledger.read(lambda tx: interruptions_document(tx, since, now))


async def decide(parts: Parts, call: Call) -> Json:
    """A person's decision, once; `always` also makes a rule for exactly this argument list in this repository."""
    request: DecideRequest = call.body
    rule_id = uuid4()

    def note(change: Change) -> UUID:
        ask = ask_called(change.tx, call.path["ask"])
        bead = change.tx.bead(ask.bead_id) if ask.bead_id else None
        if ask.kind == "question" and request.approve and not request.text:
            raise UsageError("a question wants an answer in words", f"at answer {str(ask.id)[:8]} TEXT")
        if ask.kind != "question" and request.approve and request.text:
            word = str(ask.id)[:8]
            raise Refused(
                f"it asks for leave, not for words: {one_line(ask.what, SHOWN)}",
                f"at approve {word}, or at deny {word}",
            )
        if request.always:
            if not ask.argv or bead is None or bead.rig is None:
                raise Refused(
                    "only a plain command can be allowed for good: this one has no exact argument list",
                    f"at approve {str(ask.id)[:8]}",
                )
            rule = Rule(
                id=rule_id,
                rig=bead.rig,
                kind=ask.kind,
                tool=ask.tool,
                argv=ask.argv,
                created_at=change.now,
                created_by="person",
            )
            change.tx.add_rule(rule)
            said = {"rule": str(rule.id), "ask": str(ask.id), "argv": list(ask.argv)}
            change.tell(EventType.RULE_ADDED, bead, actor="person", said=said)
        return decide_ask(change, ask, bead, approve=request.approve, answer=request.text, by="person").id

    ask_id = await parts.ledger.change(note)

    def show(tx: Any) -> Json:
        ask = tx.ask(ask_id)
        if ask is None:
            raise NotFound("approval", str(ask_id), "at approvals")
        return {"approval": ask_document(tx, ask)}

    return await parts.ledger.read(show)


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "approvals": approvals,
    "needs": needs,
    "interruptions": interruptions,
    "decide": decide,
}
