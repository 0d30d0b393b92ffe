"""Workers: talked to, stopped, started again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import anyio

from at_agents.lifecycle import stop as stop_session
from at_core import text
from at_core.api import NudgeRequest, ResumeRequest, TextRequest
from at_core.errors import Refused, TryLater
from at_core.store import Tx
from at_core.types import Agent, BeadStatus, Message, MessageKind, ReceiptState
from at_core.vocabulary import AgentFact, EventType
from at_daemon import environments
from at_daemon.documents import NO_BEAD, agent_document, agent_only, message_document
from at_daemon.edge import Call
from at_daemon.handlers.named import agent_called
from at_daemon.handlers.review import return_to_agent
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named
from at_daemon.world import bead_of

Json = dict[str, Any]
MOST_STOP_SECONDS = 20.0
PROVED = (ReceiptState.ACCEPTED, ReceiptState.STARTED, ReceiptState.ANSWERED, ReceiptState.FAILED)


async def nudge(parts: Parts, call: Call) -> Json:
    """Deliver a message and wait a while for proof that it was taken; the receipt says how far it came."""
    request: NudgeRequest = call.body
    text.require_prompt(request.text, "message")
    agent = await parts.ledger.read(lambda tx: agent_called(tx, call.path["agent"]))
    environments.save(parts.home, agent.id, request.env)
    identity = uuid4()
    await parts.ledger.change(lambda change: _queue(change, agent.id, identity, request.text))
    with anyio.move_on_after(max(0.0, min(request.wait_seconds, 600.0))):
        await parts.until(lambda tx: _proved(tx.message(identity)))
    message = await parts.ledger.read(lambda tx: tx.message(identity))
    assert message is not None
    return {"message": message_document(message), "agent": agent.name}


async def stop(parts: Parts, call: Call) -> Json:
    """End the agent's process; bead, folder and session stay."""
    request: TextRequest = call.body
    agent = await parts.ledger.read(lambda tx: agent_called(tx, call.path["agent"]))
    await stop_agents(parts, {agent.id}, "person", request.text)
    return {"agent": await parts.ledger.read(lambda tx: _shown(parts, tx, agent))}


async def resume(parts: Parts, call: Call) -> Json:
    """Let a stopped agent run again; it goes on where it was."""
    agent = await parts.ledger.read(lambda tx: agent_called(tx, call.path["agent"]))
    return {"agent": (await _resume(parts, [agent], call.body))[0]}


async def resume_all(parts: Parts, call: Call) -> Json:
    """Let every stopped agent run again."""
    stopped = await parts.ledger.read(
        lambda tx: [a for a in tx.agents() if tx.fact(a.id, AgentFact.STOPPED.value)]
    )
    return {"agents": await _resume(parts, stopped, call.body)}


async def stop_agents(parts: Parts, agents: set[UUID], by: str, reason: str) -> list[str]:
    """Stop these agents resumably and wait until their processes are gone; the names of those that ran."""

    def intend(change: Change) -> dict[str, str]:
        running: dict[str, str] = {}
        for agent_id in agents:
            process = change.fact(agent_id, AgentFact.PROCESS) or {}
            agent = agent_named(change.tx, agent_id)
            bead = bead_of(change.tx, agent)
            change.put(agent_id, AgentFact.STOPPED, {"by": by, "reason": reason}, by)
            change.tell(EventType.AGENT_STOPPED, bead, agent, actor=by, reason=reason)
            change.touch(bead.id if bead else None)
            if process.get("state") == "running":
                session = str(process["session"])
                change.intend(
                    stop_session(session, reason or f"stopped by {by}"), bead.id if bead else None, agent_id
                )
                running[session] = agent.name
        return running

    running = await parts.ledger.change(intend)
    with anyio.move_on_after(MOST_STOP_SECONDS):
        await parts.until(lambda tx: True if all(_over(tx, session) for session in running) else None)
        return sorted(running.values())
    raise TryLater(
        f"{', '.join(sorted(running.values()))}: not ended yet; it goes on being tried", "at agents"
    )


async def _resume(parts: Parts, agents: list[Agent], request: ResumeRequest) -> list[Json]:
    for agent in agents:
        environments.save(parts.home, agent.id, request.env)

    def allow(change: Change) -> None:
        for agent in agents:
            change.put(agent.id, AgentFact.STOPPED, None)
            change.tell(EventType.AGENT_RESUMED, bead_of(change.tx, agent), agent, actor="person")
            go_on_with_turn(change, agent.id)
            if limit := change.fact(agent.id, AgentFact.LIMIT):  # the person knows better than the CLI told
                now = change.now.isoformat()
                change.put(agent.id, AgentFact.LIMIT, {**limit, "try_at": now}, "person")
            change.touch_waiting(agent.id)

    await parts.ledger.change(allow)
    return await parts.ledger.read(lambda tx: [_shown(parts, tx, agent) for agent in agents])


def _queue(change: Change, agent_id: UUID, identity: UUID, body: str) -> None:
    agent = agent_named(change.tx, agent_id)
    bead = bead_of(change.tx, agent)
    if bead is None:
        raise Refused(f"{agent.name} has no bead to talk about", f"at sling BEAD {agent.name}")
    if bead.status is BeadStatus.REVIEW:
        return_to_agent(change, bead, identity, MessageKind.NUDGE, body)
    elif bead.status is BeadStatus.SLUNG:
        go_on_with_turn(change, agent.id)
        change.say(bead, identity, MessageKind.NUDGE, body, actor="person")
        change.touch(bead.id)
    else:
        word = str(bead.id)[:8]
        hints = {
            BeadStatus.DONE: f"at sling BEAD {agent.name}",
            BeadStatus.BACKLOG: f"at sling {word} {agent.name}",
            BeadStatus.HOOKED: f"at sling {word} {agent.name}",
        }
        raise Refused(
            f"{agent.name} is not at work: its bead {word} is {bead.status.value}",
            hints.get(bead.status, f"at retry {word} -m TEXT"),
        )


def go_on_with_turn(change: Change, agent_id: UUID) -> None:
    """A person who lets an agent go on does not want its last failure to be the end."""
    turn = change.fact(agent_id, AgentFact.TURN) or {}
    if turn.get("state") == "ended" and turn.get("outcome") == "failed":
        change.put(agent_id, AgentFact.TURN, turn | {"go_on": True})


def _proved(message: Message | None) -> Message | None:
    return message if message is not None and message.receipt in PROVED else None


def _over(tx: Tx, session: str) -> bool:
    record = tx.session(session)
    return record is None or record.ended_at is not None


def _shown(parts: Parts, tx: Tx, agent: Agent) -> Json:
    current = tx.agent(agent.id) or agent
    bead = bead_of(tx, current)
    return (
        agent_document(parts, tx, parts.ledger.worlds.of(tx, bead))
        if bead
        else agent_only(current, NO_BEAD, None)
    )


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "nudge": nudge,
    "stop": stop,
    "resume": resume,
    "resume_all": resume_all,
}
