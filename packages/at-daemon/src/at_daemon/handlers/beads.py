"""Work items: added, put on a hook, started, begun again, ended by a person's word, removed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio

from at_agents import prompts
from at_agents.decisions import Do, IntentKind, derived_id
from at_agents.dependencies import with_after
from at_agents.lifecycle import stop as stop_session
from at_core import text
from at_core.api import AddRequest, HookRequest, Order, RenameRequest, RetryRequest, RunRequest, SlingRequest
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
from at_daemon.acts.base import with_base
from at_daemon.acts.folder import REMOVED
from at_daemon.budgets import checked
from at_daemon.destructive import NEW_SESSION, REMOVAL, bead_as_it_is, write_down
from at_daemon.documents import bead_document
from at_daemon.edge import Call
from at_daemon.handlers.after import beads_called
from at_daemon.handlers.begun import (
    add_polecat,
    forget_outcome,
    insert_bead,
    put_on_hook,
    start_bead,
)
from at_daemon.handlers.named import bead_called, rig_at, rig_or_new
from at_daemon.handlers.orders import checked_order, choose_cli
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named, bead_named

Json = dict[str, Any]
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
    bead = await _after(parts, bead, request.after, rig)
    budget = None if request.budget is None else checked(request.budget)
    await parts.ledger.change(
        lambda change: None if change.tx.bead(bead.id) else insert_bead(change, bead, budget)
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
    bead = await _after(parts, bead, request.after, rig)
    identity = derived_id(bead.id, "agent")
    environments.save(parts.home, identity, request.order.env)

    def begin(change: Change) -> None:
        if change.tx.bead(bead.id) is not None:
            return
        agent = add_polecat(change, identity, cli, rig, request.order.model)
        insert_bead(change, bead, budget)
        start_bead(change, put_on_hook(change, bead, agent), order)

    await parts.ledger.change(begin)
    return await with_base(parts, await shown(parts, bead.id), rig, request.order.base)


async def hook(parts: Parts, call: Call) -> Json:
    """On an agent's hook, not started."""
    request: HookRequest = call.body
    rig = await rig_or_new(parts, request.path)
    fresh = new_bead(parts, rig, request.title, None, None, 0)
    identity = uuid4()

    def put(change: Change) -> UUID:
        known = _backlog_or_none(change.tx, request.title, rig)
        if known is None:
            insert_bead(change, fresh)
        agent = _agent_or_new(parts, change, request.agent, request.cli, identity, rig)
        return put_on_hook(change, known or fresh, agent).id

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
            bead = put_on_hook(change, bead, agent)
        start_bead(change, bead, order)
        return bead.id, agent.id

    try:
        bead_id, agent_id = await parts.ledger.change(put)
    except AtError:
        environments.forget(parts.home, identity)
        raise
    if agent_id != kept:  # it was made by somebody else meanwhile
        environments.save(parts.home, agent_id, request.order.env)
        environments.forget(parts.home, identity)
    return await with_base(parts, await shown(parts, bead_id), rig, request.order.base)


async def retry(parts: Parts, call: Call) -> Json:
    """Begin a failed or escalated bead again, in the same folder and, unless asked otherwise, the same session."""
    request: RetryRequest = call.body
    bead_id, agent_id = await parts.ledger.read(lambda tx: _retried(bead_called(tx, call.path["bead"])))
    environments.save(parts.home, agent_id, request.env)

    def begin(change: Change) -> UUID:
        bead, agent = bead_named(change.tx, bead_id), agent_named(change.tx, agent_id)
        bead.status.require_transition_to(BeadStatus.BACKLOG)
        _require_free(change, agent, bead)
        lost = parts.ledger.worlds.of(change.tx, bead).lost_prompt
        body = instead = retry_body(change.tx, bead, request.text, lost)
        if request.fresh:
            body = fresh_body(change.tx, bead, request.text)
        forget_outcome(change, bead, agent)
        order = change.fact(bead.id, BeadFact.ORDER) or {}
        generation = int(order.get("generation", 0)) + 1
        message = derived_id(bead.id, "retry", generation)
        if request.fresh:
            told = {"message": str(message), "instead": instead}
            order = _forget_session(change, bead, agent, order, told)
        bead = change.move(bead, BeadStatus.BACKLOG, EventType.BEAD_RETRIED, actor="person")
        bead = put_on_hook(change, bead, agent)
        change.put(bead.id, BeadFact.ORDER, {**order, "generation": generation}, "person")
        bead = change.move(bead, BeadStatus.SLUNG, EventType.BEAD_SLUNG, actor="person")
        if body:
            change.say(bead, message, MessageKind.PROMPT, body)
        return bead.id

    return await shown(parts, await parts.ledger.change(begin))


async def rename(parts: Parts, call: Call) -> Json:
    """Another title; everything that names the bead by its id stays."""
    request: RenameRequest = call.body
    text.require_title(request.title)

    def put(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        if bead.title != request.title:
            change.tx.save_bead(dataclasses.replace(bead, title=request.title))
            said = {"title": request.title, "before": bead.title}
            change.tell(EventType.BEAD_RENAMED, bead, actor="person", said=said)
        return bead.id

    return await shown(parts, await parts.ledger.change(put))


async def remove(parts: Parts, call: Call) -> Json:
    """End its process, keep its work on a hidden ref, remove its folder and its record."""
    bead = await parts.ledger.read(lambda tx: bead_called(tx, call.path["bead"]))
    fresh = f"remove:{bead.id}:{uuid4()}"

    def intend(change: Change) -> str:
        if (under_way := _removal(change.tx, bead)) is not None:
            change.tell(EventType.BEAD_REMOVAL_ASKED, bead, actor="person")
            return under_way
        process = change.fact(bead.agent_id, AgentFact.PROCESS) if bead.agent_id else None
        act = write_down(change, REMOVAL, bead, bead_as_it_is(change, bead), done=False)
        change.intend(
            Do(
                fresh,
                IntentKind.REMOVE,
                {"reason": "removed by a person", "forget": True, "act": str(act)},
            ),
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
        return fresh

    key = await parts.ledger.change(intend)
    intent = None
    with anyio.move_on_after(MOST_REMOVE_SECONDS):
        intent = await parts.until(
            lambda tx: i if (i := tx.intent(key)) and i.state is not IntentState.OPEN else None
        )
    if intent is None:
        raise TryLater(
            "its agent or its teardown takes long to end; its folder is removed after that", "at ls"
        )
    if intent.state is not IntentState.DONE:
        raise Refused(f"it was not removed: {intent.error}", f"at rm {str(bead.id)[:8]}")
    act_id = UUID(intent.payload["act"])
    act = await parts.ledger.read(lambda tx: tx.destructive_act(act_id))
    return {"removed": str(bead.id), "attic": act.attic if act else None, "act": str(act_id)}


async def _after(parts: Parts, bead: Bead, words: Sequence[str], rig: Rig) -> Bead:
    """The new bead with what has to land before it begins. Raises NotFound, Ambiguous."""
    return with_after(bead, await parts.ledger.read(lambda tx: beads_called(tx, words, rig)))


def _removal(tx: Tx, bead: Bead) -> str | None:
    """The removal that is under way, which a second call joins. Raises NotFound once the bead is gone."""
    bead_named(tx, bead.id)
    return next(
        (
            intent.key
            for intent in tx.open_intents()
            if (intent.bead_id, intent.kind) == (bead.id, IntentKind.REMOVE) and intent.payload.get("forget")
        ),
        None,
    )


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


def _forget_session(change: Change, bead: Bead, agent: Agent, order: Json, told: Json) -> Json:
    """Let the next start be of a new session; the order with the number that names it.

    `told`: the message to that session, and what the one before is told `instead` should this be taken back.
    """
    session = change.fact(bead.id, BeadFact.SESSION)
    if session is not None:
        write_down(change, NEW_SESSION, bead, {"session": session, **told})
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
    "rename": rename,
    "remove": remove,
}
