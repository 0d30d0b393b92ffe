"""Work items: added, put on a hook, started, begun again, ended by a person's word, removed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio

from at_agents import prompts
from at_agents.decisions import Do, IntentKind, derived_id
from at_agents.lifecycle import stop as stop_session
from at_agents.names import fresh_name
from at_core import text
from at_core.api import AddRequest, HookRequest, Order, RetryRequest, RunRequest, SlingRequest
from at_core.errors import AtError, NotFound, Refused, TryLater, UsageError
from at_core.store import Tx
from at_core.types import (
    Agent,
    AgentRole,
    Bead,
    BeadStatus,
    IntentState,
    Lane,
    MessageKind,
    ReceiptState,
    Rig,
)
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.folder import REMOVED
from at_daemon.budgets import checked
from at_daemon.documents import bead_document
from at_daemon.edge import Call
from at_daemon.handlers.named import bead_called, rig_at, rig_or_new
from at_daemon.handlers.orders import checked_order, choose_cli
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named, bead_named

Json = dict[str, Any]
OF_LAST_TRY = (
    AgentFact.LIMIT,
    AgentFact.LOGIN,
    AgentFact.STOPPED,
    AgentFact.CRASHES,
    AgentFact.TURN,
    AgentFact.TROUBLE,
    AgentFact.TOOLS,
    AgentFact.RETRYING,
    AgentFact.LIMITS,
    AgentFact.ERRORS,
)
"""What an agent was seen to do on other work, or before, says nothing about what it is given now."""
MOST_REMOVE_SECONDS = 45.0
"""The call is answered within so long; the removal goes on."""
AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


async def add(parts: Parts, call: Call) -> Json:
    """A bead in the backlog."""
    request: AddRequest = call.body
    rig = await rig_or_new(parts, request.path)
    bead = new_bead(
        parts, rig, request.title, request.description, request.lane, request.priority, request.id
    )
    if request.after is not None:
        word = request.after
        first = await parts.ledger.read(lambda tx: bead_called(tx, word, rig))
        bead = dataclasses.replace(bead, metadata={"after": str(first.id)})
    budget = None if request.budget is None else checked(request.budget)
    await parts.ledger.change(
        lambda change: None if change.tx.bead(bead.id) else _insert(change, bead, budget)
    )
    return await shown(parts, bead.id)


async def run(parts: Parts, call: Call) -> Json:
    """Add and sling to a fresh polecat."""
    request: RunRequest = call.body
    text.require_prompt(request.prompt)
    rig = await rig_or_new(parts, request.path)
    cli = choose_cli(parts, request.order)
    order = checked_order(request.order, cli)
    await _require_base(rig, request.order)
    budget = None if request.order.budget is None else checked(request.order.budget)
    title = request.title or text.plain_title(request.prompt)
    bead = new_bead(parts, rig, title, request.prompt, request.lane, 0, request.id)
    identity = derived_id(bead.id, "agent")
    environments.save(parts.home, identity, request.order.env)

    def begin(change: Change) -> None:
        if change.tx.bead(bead.id) is not None:
            return
        name = fresh_name(identity.int % 9973, {agent.name for agent in change.tx.agents()})
        agent = Agent(
            id=identity,
            name=name,
            role=AgentRole.POLECAT,
            model=request.order.model,
            rig=str(rig.id),
            created_at=change.now,
            **cli.identity,
        )
        change.tx.add_agent(agent)
        change.tell(EventType.AGENT_ADDED, agent=agent, cli=cli.name, role=agent.role.value)
        _insert(change, bead, budget)
        _start(change, _hook(change, bead, agent), order)

    await parts.ledger.change(begin)
    return await shown(parts, bead.id)


async def hook(parts: Parts, call: Call) -> Json:
    """On an agent's hook, not started."""
    request: HookRequest = call.body
    rig = await rig_or_new(parts, request.path)
    fresh = new_bead(parts, rig, request.title, None, None, 0)
    identity = uuid4()

    def put(change: Change) -> UUID:
        known = _backlog_or_none(change.tx, request.title, rig)
        if known is None:
            _insert(change, fresh)
        agent = _agent_or_new(parts, change, request.agent, request.cli, identity, rig)
        return _hook(change, known or fresh, agent).id

    return await shown(parts, await parts.ledger.change(put))


async def sling(parts: Parts, call: Call) -> Json:
    """On an agent's hook, and started."""
    request: SlingRequest = call.body
    rig = await rig_at(parts, request.path)
    if rig is not None:
        await _require_base(rig, request.order)
    identity = uuid4()
    known = await parts.ledger.read(lambda tx: tx.find_agents(request.agent))
    kept = known[0].id if known else identity
    environments.save(parts.home, kept, request.order.env)  # before its start can be carried out

    def put(change: Change) -> tuple[UUID, UUID]:
        bead = bead_called(change.tx, request.bead, rig)
        home = change.tx.rig(UUID(bead.rig)) if bead.rig else None
        if home is None:
            raise NotFound("repository", bead.rig or "", "at init")
        agent = _agent_or_new(parts, change, request.agent, request.order.cli, identity, home)
        _require_free(change, agent, bead)
        order = checked_order(request.order, parts.clis.called(agent.cli))
        if request.order.budget is not None:
            change.put(bead.id, BeadFact.BUDGET, checked(request.order.budget), "person")
        if request.lane is not None:
            bead = change.tx.save_bead(
                dataclasses.replace(bead, lane=lane_called(request.lane), updated_at=change.now)
            )
        if bead.status is BeadStatus.HOOKED and bead.agent_id != agent.id:
            bead = change.move(
                bead, BeadStatus.BACKLOG, EventType.BEAD_UNHOOKED, actor="person", agent_id=None
            )
        if bead.status is not BeadStatus.HOOKED:
            bead = _hook(change, bead, agent)
        _start(change, bead, order)
        return bead.id, agent.id

    try:
        bead_id, agent_id = await parts.ledger.change(put)
    except AtError:
        environments.forget(parts.home, identity)
        raise
    if agent_id != kept:  # it was made by somebody else meanwhile
        environments.save(parts.home, agent_id, request.order.env)
        environments.forget(parts.home, identity)
    return await shown(parts, bead_id)


async def retry(parts: Parts, call: Call) -> Json:
    """Begin a failed or escalated bead again, in the same folder and, unless asked otherwise, the same session."""
    request: RetryRequest = call.body
    bead_id, agent_id = await parts.ledger.read(lambda tx: _retried(bead_called(tx, call.path["bead"])))
    environments.save(parts.home, agent_id, request.env)

    def begin(change: Change) -> UUID:
        bead, agent = bead_named(change.tx, bead_id), agent_named(change.tx, agent_id)
        bead.status.require_transition_to(BeadStatus.BACKLOG)
        _require_free(change, agent, bead)
        body = (
            fresh_body(change.tx, bead, request.text)
            if request.fresh
            else retry_body(
                change.tx, bead, request.text, parts.ledger.worlds.of(change.tx, bead).lost_prompt
            )
        )
        forget_outcome(change, bead, agent)
        order = change.fact(bead.id, BeadFact.ORDER) or {}
        if request.fresh:
            order = _forget_session(change, bead, agent, order)
        bead = change.move(bead, BeadStatus.BACKLOG, EventType.BEAD_RETRIED, actor="person")
        bead = _hook(change, bead, agent)
        generation = int(order.get("generation", 0)) + 1
        change.put(bead.id, BeadFact.ORDER, {**order, "generation": generation}, "person")
        bead = change.move(bead, BeadStatus.SLUNG, EventType.BEAD_SLUNG, actor="person")
        if body:
            change.say(bead, derived_id(bead.id, "retry", generation), MessageKind.PROMPT, body)
        return bead.id

    return await shown(parts, await parts.ledger.change(begin))


async def remove(parts: Parts, call: Call) -> Json:
    """End its process, keep its work on a hidden ref, remove its folder and its record."""
    bead = await parts.ledger.read(lambda tx: bead_called(tx, call.path["bead"]))
    key = f"remove:{bead.id}:{uuid4()}"

    def intend(change: Change) -> str | None:
        process = change.fact(bead.agent_id, AgentFact.PROCESS) if bead.agent_id else None
        change.intend(
            Do(key, IntentKind.REMOVE, {"reason": "removed by a person", "forget": True}),
            bead.id,
            bead.agent_id,
        )
        change.tell(EventType.BEAD_REMOVAL_ASKED, bead, actor="person")
        if (
            bead.agent_id
            and process
            and process.get("state") == "running"
            and process.get("bead") == str(bead.id)
        ):
            session = str(process["session"])
            change.intend(
                Do(f"stop:{session}", IntentKind.STOP, {"session": session, "reason": REMOVED}),
                bead.id,
                bead.agent_id,
            )
            change.put(bead.agent_id, AgentFact.STOPPED, {"by": "person", "reason": REMOVED}, "person")
        return None

    await parts.ledger.change(intend)
    intent = None
    with anyio.move_on_after(MOST_REMOVE_SECONDS):
        intent = await parts.until(
            lambda tx: i if (i := tx.intent(key)) and i.state is not IntentState.OPEN else None
        )
    if intent is None:
        raise TryLater("its teardown takes long; its folder is removed once that ends", "at ls")
    if intent.state is not IntentState.DONE:
        raise Refused(f"it was not removed: {intent.error}", f"at rm {str(bead.id)[:8]}")
    attic = await parts.ledger.read(
        lambda tx: tx.events(bead_id=bead.id, types=[EventType.BEAD_REMOVED.value])
    )
    return {"removed": str(bead.id), "attic": (attic[-1].payload or {}).get("attic") if attic else None}


async def shown(parts: Parts, bead_id: UUID) -> Json:
    """The bead document."""

    def show(tx: Tx) -> Json:
        bead = tx.bead(bead_id)
        if bead is None:
            raise NotFound("bead", str(bead_id), "at ls")
        return bead_document(parts, tx, bead)

    return await parts.ledger.read(show)


def new_bead(
    parts: Parts,
    rig: Rig,
    title: str,
    description: str | None,
    lane: str | None,
    priority: int,
    wanted_id: str | None = None,
) -> Bead:
    """A bead record within the stated limits. Raises UsageError."""
    text.require_title(title)
    if description is not None:
        text.require_prompt(description)
    now = parts.now()
    chosen = lane_called(lane or parts.config.general.default_lane)
    return Bead(
        id=_uuid(wanted_id) if wanted_id else uuid4(),
        title=title,
        description=description,
        lane=chosen,
        priority=priority,
        rig=str(rig.id),
        created_at=now,
        updated_at=now,
    )


def _uuid(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise UsageError(f"the id {word!r} is no UUID") from None


def lane_called(word: str) -> Lane:
    """Raises UsageError."""
    if word not in set(Lane):
        raise UsageError(f"{word!r} is no lane (allowed: {', '.join(Lane)})")
    return Lane(word)


async def _require_base(rig: Rig, order: Order) -> None:
    """Raises the errors of `git.resolve` where a mistyped base can still be mended, not when the work is to start."""
    if order.base is not None:
        await git.resolve(Path(rig.path), order.base)


def forget_outcome(change: Change, bead: Bead, agent: Agent) -> None:
    """Clear what the last try left, so that the next one is judged by itself."""
    for name in (
        BeadFact.OUTCOME,
        BeadFact.BLOCKED,
        BeadFact.ROUNDS,
        BeadFact.LAND_ALLOWED,
        BeadFact.OVERRIDE,
        BeadFact.PARKED,
    ):
        change.put(bead.id, name, None)
    for fact in OF_LAST_TRY:
        change.put(agent.id, fact, None)


def _insert(change: Change, bead: Bead, budget: Json | None = None) -> None:
    change.tx.add_bead(bead)
    if budget is not None:
        change.put(bead.id, BeadFact.BUDGET, budget, "person")
    change.tell(EventType.BEAD_ADDED, bead, actor="person", title=bead.title)


def _hook(change: Change, bead: Bead, agent: Agent) -> Bead:
    return change.move(bead, BeadStatus.HOOKED, EventType.BEAD_HOOKED, actor="person", agent_id=agent.id)


def _start(change: Change, bead: Bead, order: Json) -> None:
    change.put(bead.id, BeadFact.ORDER, order, "person")
    bead = change.move(bead, BeadStatus.SLUNG, EventType.BEAD_SLUNG, actor="person")
    if bead.agent_id is not None:
        for fact in OF_LAST_TRY:
            change.put(bead.agent_id, fact, None)
    change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, bead.description or bead.title)


def _backlog_or_none(tx: Tx, word: str, rig: Rig) -> Bead | None:
    try:
        return bead_called(tx, word, rig)
    except NotFound:
        return None


def _agent_or_new(
    parts: Parts, change: Change, word: str, cli: str | None, identity: UUID, rig: Rig
) -> Agent:
    found = change.tx.find_agents(word)
    if found:
        if cli is not None and parts.clis.called(cli).name != found[0].cli:
            raise UsageError(
                f"{found[0].name} is a {found[0].cli} agent",
                "leave out --cli, or take another name",
            )
        return found[0]
    if not AGENT_NAME.fullmatch(word):
        raise UsageError(
            f"{word!r} is no name for an agent (letters, digits, `.`, `_`, `-`, at most 40)",
            "take another name",
        )
    kind = choose_cli(parts, Order(cli=cli or None, env=environments.load(parts.home, identity)))
    agent = Agent(
        id=identity, name=word, role=AgentRole.CREW, rig=str(rig.id), created_at=change.now, **kind.identity
    )
    change.tx.add_agent(agent)
    change.tell(EventType.AGENT_ADDED, agent=agent, cli=kind.name, role=agent.role.value)
    return agent


def _require_free(change: Change, agent: Agent, bead: Bead) -> None:
    for other in change.tx.beads(status={BeadStatus.SLUNG}):
        if other.agent_id == agent.id and other.id != bead.id:
            raise Refused(
                f"{agent.name} is at work on {str(other.id)[:8]} ({other.title[:40]})",
                "sling it to another agent",
            )


def _retried(bead: Bead) -> tuple[UUID, UUID]:
    bead.status.require_transition_to(BeadStatus.BACKLOG)
    if bead.agent_id is None:
        raise Refused("it never had an agent", f"at sling {str(bead.id)[:8]} AGENT")
    return bead.id, bead.agent_id


def _forget_session(change: Change, bead: Bead, agent: Agent, order: Json) -> Json:
    """Let the next start be of a new session; the order with the number that names it."""
    change.put(bead.id, BeadFact.SESSION, None)
    process = change.fact(agent.id, AgentFact.PROCESS) or {}
    if process.get("state") == "running" and process.get("bead") == str(bead.id):
        change.intend(stop_session(process["session"], "a new session is asked for"), bead.id, agent.id)
    return {**order, "session": int(order.get("session", 0)) + 1}


def fresh_body(tx: Tx, bead: Bead, added: str) -> str:
    """What is said to a session that knows nothing of the ones before, beside what is on its way still."""
    of_bead = [m for m in tx.messages(bead_id=bead.id) if m.kind is MessageKind.PROMPT]
    if any(message.accepted_at is None and not message.failed for message in of_bead):
        return added
    prompt = bead.description or bead.title
    return "\n\n".join(part for part in (prompt, added, prompts.begun_before()) if part)


def retry_body(tx: Tx, bead: Bead, added: str, lost: str = "") -> str:
    """What is said at a new try; empty where the first prompt is on its way still and is delivered as it is.

    `lost` is what the last turn was about if the CLI did not keep that.
    """
    messages = tx.messages(bead_id=bead.id)
    of_work = [message for message in messages if message.kind is MessageKind.PROMPT]
    if any(message.receipt in (ReceiptState.QUEUED, ReceiptState.SENT) for message in of_work):
        return added
    prompt = bead.description or bead.title
    if not any(message.accepted_at for message in messages):
        return f"{prompt}\n\n{added}" if added else prompt
    outcome = tx.fact(bead.id, BeadFact.OUTCOME.value)
    return prompts.with_lost(added or prompts.again(outcome.value["reason"] if outcome else ""), lost)


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "add": add,
    "run": run,
    "hook": hook,
    "sling": sling,
    "retry": retry,
    "remove": remove,
}
