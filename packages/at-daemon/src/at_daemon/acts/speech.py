"""What is written to agents: prompts, decisions, the protocol's own writes. Every write is performed once per id."""

from __future__ import annotations

import base64
from uuid import UUID

from at_core.errors import NotFound, TryLater
from at_core.types import Intent
from at_core.vocabulary import AgentFact, EventType
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.heard import Live
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_session.errors import DiskFull, InputClosed, InputFull, LeaseHeld, SessionOver
from at_session.vocabulary import Decision


async def send(parts: Parts, intent: Intent) -> Effect:
    """Hand a message to the agent. Proof that it was taken comes from the agent's own events."""
    message_id = UUID(intent.payload["message"])
    live = await _live(parts, intent)
    if live is None:
        return Effect()
    failpoint("send.before-write")
    async with live.lock:
        message = await parts.ledger.read(lambda tx: tx.message(message_id))
        if message is None:
            raise NotFound("message", str(message_id))
        if message.failed or message.answered_at:
            return Effect()  # what it says was said in another way meanwhile
        writes = live.driver.prompt(str(message.id), message.body)
        await parts.sessions.keep_state(live)
    if not writes:
        raise TryLater("the agent takes no prompt at this moment")
    for write in writes:
        if not await _write(live, write.id, write.data):
            return Effect()  # it stays queued, for the next session
    failpoint("send.after-write")

    def note(change: Change) -> None:
        session = change.tx.session(intent.payload["session"])
        if session is None or session.ended_at is not None:
            return  # it stays queued, for the next session
        change.tx.mark_message(message_id, sent_at=change.now)
        awake = parts.ledger.worlds.clock.awake()
        sign = {"awake": awake.seconds, "boot": awake.boot, "session": session.id}
        change.put(session.agent_id, AgentFact.SIGN_OF_LIFE, sign)  # patience begins with what was said to it
        bead = change.tx.bead(message.bead_id) if message.bead_id else None
        change.tell(EventType.MESSAGE_SENT, bead, message=str(message_id))

    async def then() -> None:
        failpoint("send.after-commit")

    return Effect(note, then)


async def answer(parts: Parts, intent: Intent) -> Effect:
    """Deliver a decision on an ask."""
    ask_id = UUID(intent.payload["ask"])
    ask = await parts.ledger.read(lambda tx: tx.ask(ask_id))
    if ask is None or ask.approve is None:
        raise NotFound("decision", str(ask_id))
    live = await _live(parts, intent)
    if live is None:
        return Effect()
    async with live.lock:
        writes = live.driver.decide(ask.request_id, Decision(ask.approve, ask.answer))
    for write in writes:
        await _write(live, write.id, write.data)
    failpoint("answer.after-write")

    def note(change: Change) -> None:
        current = change.tx.ask(ask_id)
        if current is not None and current.closed_at is None:
            change.tx.close_ask(ask_id, change.now, False)

    return Effect(note)


async def write(parts: Parts, intent: Intent) -> Effect:
    """Perform a write that the protocol asked for."""
    if (live := await _live(parts, intent)) is not None:
        await _write(live, intent.payload["id"], base64.b64decode(intent.payload["data"]))
        if intent.payload["id"].startswith("prompt:"):
            failpoint("send.after-write")
    return Effect()


async def _live(parts: Parts, intent: Intent) -> Live | None:
    """The session, or None when it is over: its end settles what was not delivered."""
    return await parts.sessions.held(intent.payload["session"])


async def _write(live: Live, write_id: str, data: bytes) -> bool:
    """Whether the write is on the agent's way; False when the agent is at its end and takes nothing more."""
    try:
        await live.session.write(write_id, data)
    except (SessionOver, InputClosed):
        return False
    except LeaseHeld as error:
        raise TryLater(f"a person is typing to it: {error}") from error
    except (DiskFull, InputFull) as error:
        raise TryLater(str(error)) from error
    return True
