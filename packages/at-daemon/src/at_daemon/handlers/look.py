"""Reading: status, beads, agents, reasons, events, transcripts."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import anyio

from at_core.errors import NotFound, Refused, UsageError
from at_core.record import format_time
from at_core.store import Tx, local_day_start
from at_core.types import Agent, Bead, BeadStatus, Event, Rig, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.__about__ import __version__
from at_daemon.documents import (
    agents_document,
    bead_document,
    bead_rows,
    explain_document,
    status_document,
)
from at_daemon.edge import Call
from at_daemon.handlers.named import agent_called, bead_called, rig_at
from at_daemon.interruptions import standing
from at_daemon.parts import Parts
from at_daemon.slots import slot_marks
from at_daemon.status_text import short_text
from at_daemon.status_text import status_text as render_status
from at_daemon.terminals import PtyFeed
from at_daemon.top import top_document
from at_daemon.transcript import TRANSCRIPT_TYPES, line_of
from at_daemon.untouched import stale_document
from at_daemon.world import bead_of

Json = dict[str, Any]
MOST_EVENTS = 1000
MOST_WAIT_SECONDS = 30.0
MOST_PAST_AGENTS = 50


async def status(parts: Parts, call: Call) -> Json:
    """The status document, of one repository if `path` lies in one."""
    rig = await rig_at(parts, call.query["path"])
    return await parts.ledger.read(lambda tx: _status(parts, tx, rig))


async def status_text(parts: Parts, call: Call) -> str:
    """The same, as lines for a terminal."""
    document = await status(parts, call)
    return render_status(document, color=bool(call.query["color"]), width=int(call.query["width"] or 80))


async def short(parts: Parts, call: Call) -> Json:
    """The counts of a prompt's line."""
    rig = await rig_at(parts, call.query["path"])
    counts = await parts.ledger.read(lambda tx: standing(tx, rig))
    return {**counts, "text": short_text(counts)}


async def short_line(parts: Parts, call: Call) -> str:
    """That line alone."""
    return short_text(await short(parts, call), tmux=bool(call.query["tmux"]))


async def top(parts: Parts, call: Call) -> Json:
    """What the live screen shows."""
    rig = await rig_at(parts, call.query["path"])
    return await parts.ledger.read(lambda tx: top_document(parts, tx, rig))


async def beads(parts: Parts, call: Call) -> Json:
    """The list of work items, by priority."""
    status = _status_called(call.query["status"])
    rig = await rig_at(parts, call.query["path"])

    def rows(tx: Tx) -> list[Json]:
        limit = call.query["limit"]
        found = tx.beads(status=status, rig=str(rig.id) if rig else None, limit=limit)
        return bead_rows(tx, found)

    return {"beads": await parts.ledger.read(rows)}


async def stale(parts: Parts, call: Call) -> Json:
    """What nobody touched for a time, longest first."""
    status = _status_called(call.query["status"])
    rig, seconds = await rig_at(parts, call.query["path"]), call.query["seconds"]
    days = parts.clis.config().general.stale_days
    try:
        patience = timedelta(days=days) if seconds is None else timedelta(seconds=seconds)
        begun = parts.now() - patience
    except OverflowError:
        raise UsageError("nothing is that old", "at ls --stale 3d") from None
    if begun > parts.now():
        raise UsageError("an age is not below zero", "at ls --stale 3d")
    return await parts.ledger.read(lambda tx: stale_document(parts, tx, rig, patience, status))


async def show(parts: Parts, call: Call) -> Json:
    """The bead document."""
    rig = await rig_at(parts, call.query["path"])
    return await parts.ledger.read(
        lambda tx: bead_document(parts, tx, bead_called(tx, call.path["bead"], rig))
    )


async def wait(parts: Parts, call: Call) -> Json:
    """The bead document as soon as it is settled or has news."""
    rig = await rig_at(parts, call.query["path"])
    bead = await parts.ledger.read(lambda tx: bead_called(tx, call.path["bead"], rig))
    after = call.query["after"]
    looked: int | None = None

    def look(tx: Tx) -> Json | None:
        nonlocal looked
        current = tx.bead(bead.id)
        if current is None:
            raise NotFound("bead", call.path["bead"], "at ls")
        if looked is not None and not _spoken_of(tx, current, looked):
            return None  # many wait at once, and nearly every commit is about another bead
        document = bead_document(parts, tx, current)
        looked = document["seq"]
        news = after is None or tx.events(after=after, bead_id=bead.id, limit=1)
        return document if document["settled"] or news else None

    seconds = call.query["seconds"]
    with anyio.move_on_after(min(MOST_WAIT_SECONDS if seconds is None else seconds, MOST_WAIT_SECONDS)):
        return await parts.until(look)
    return await parts.ledger.read(lambda tx: bead_document(parts, tx, bead_called(tx, str(bead.id))))


def _spoken_of(tx: Tx, bead: Bead, after: int) -> bool:
    """Whether the audit log has anything new about the bead or its agent."""
    of_bead = tx.events(after=after, bead_id=bead.id, limit=1)
    return bool(of_bead or (bead.agent_id and tx.events(after=after, agent_id=bead.agent_id, limit=1)))


async def agents(parts: Parts, call: Call) -> Json:
    """Agents, each with its label and the reasons: `all`, or those with work and the newest of the others."""
    rig = await rig_at(parts, call.query["path"])
    past = None if call.query["all"] else MOST_PAST_AGENTS
    return await parts.ledger.read(
        lambda tx: agents_document(parts, tx, str(rig.id) if rig else None, past=past)
    )


async def explain(parts: Parts, call: Call) -> Json:
    """Label, status and every fact behind them, of an agent or a bead."""

    def look(tx: Tx) -> Json:
        agent, bead = _either(tx, call.path["name"])
        if agent is not None:
            bead = bead_of(tx, agent)
            if bead is None:
                raise Refused(
                    f"{agent.name} was never given a bead, so there is nothing to explain",
                    f"at sling BEAD {agent.name}",
                )
            return explain_document(parts, tx, parts.ledger.worlds.of(tx, bead), agent.id)
        assert bead is not None
        return explain_document(parts, tx, parts.ledger.worlds.of(tx, bead), bead.id)

    return await parts.ledger.read(look)


async def events(parts: Parts, call: Call) -> Json:
    """A page of the audit log, as soon as there is something in it."""
    after, limit = call.query["after"] or 0, min(call.query["limit"] or MOST_EVENTS, MOST_EVENTS)

    def page(tx: Tx) -> Json:
        bead = bead_called(tx, call.query["bead"]).id if call.query["bead"] else None
        agent = agent_called(tx, call.query["agent"]).id if call.query["agent"] else None
        found = tx.events(after=after, limit=limit, bead_id=bead, agent_id=agent)
        return {"events": [event_document(event) for event in found], "last_seq": tx.last_seq()}

    def filled(tx: Tx) -> Json | None:
        found = page(tx)
        return found if found["events"] else None

    if seconds := call.query["seconds"]:
        with anyio.move_on_after(min(seconds, MOST_WAIT_SECONDS)):
            return await parts.until(filled)
    return await parts.ledger.read(page)


async def event_stream(parts: Parts, call: Call) -> AsyncIterator[tuple[int, Json]]:
    """The audit log from `after` on, and on as it grows."""
    after = call.query["after"]
    return _events_from(parts, parts.news.last_seq if after is None else after)


async def _events_from(parts: Parts, seq: int) -> AsyncIterator[tuple[int, Json]]:
    while True:
        found = await parts.ledger.read(functools.partial(_page, seq))
        for event in found:
            seq = event.seq
            yield event.seq, event_document(event)
        if not found:
            if parts.news.closed:
                return
            await parts.news.wait_beyond(seq)


def _page(after: int, tx: Tx) -> list[Event]:
    return tx.events(after=after, limit=MOST_EVENTS)


async def logs(parts: Parts, call: Call) -> Json:
    """The transcript of an agent, or of a bead."""
    after, limit = call.query["after"] or 0, min(call.query["limit"] or MOST_EVENTS, MOST_EVENTS)

    def page(tx: Tx) -> Json | None:
        agent, bead = _either(tx, call.path["agent"])
        found = tx.events(
            after=after,
            limit=limit,
            types=TRANSCRIPT_TYPES,
            agent_id=agent.id if agent else None,
            bead_id=bead.id if bead else None,
        )
        if not found and call.query["follow"]:
            return None
        lines = [line_of(tx, event) for event in found]
        about = _about(tx, agent, bead)
        return {"lines": lines, "next": found[-1].seq if found else after, **about}

    seconds = min(call.query["seconds"] or MOST_WAIT_SECONDS, MOST_WAIT_SECONDS)
    with anyio.move_on_after(seconds):
        return await parts.until(page)
    return {"lines": [], "next": after}


async def folder(parts: Parts, call: Call) -> Json:
    """Where the bead's clone is, and what its agent is told of its slot."""

    def look(tx: Tx) -> Json:
        bead = bead_called(tx, call.path["bead"])
        fact = tx.fact(bead.id, BeadFact.FOLDER.value)
        if fact is None:
            raise Refused(
                "it has no folder: it was not started yet, or has landed", f"at show {str(bead.id)[:8]}"
            )
        agent, slot = tx.agent(bead.agent_id) if bead.agent_id else None, tx.slot(str(bead.id))
        environment = {"AT_BEAD": str(bead.id)}
        if agent is not None:
            environment["AT_AGENT"] = agent.name
        if slot is not None:
            environment |= slot_marks(slot, parts.config.general.first_port)
        return {"path": fact.value["path"], "branch": fact.value["branch"], "environment": environment}

    return await parts.ledger.read(look)


async def session(parts: Parts, call: Call) -> Json:
    """What attach needs to talk to the holder itself."""

    def look(tx: Tx) -> tuple[SessionRecord, bool, Json]:
        return *_session(tx, call.path["agent"]), _about(tx, agent_called(tx, call.path["agent"]), None)

    record, live, about = await parts.ledger.read(look)
    return {
        "session": record.id,
        "run_dir": str(parts.home.holders),
        "journal_dir": str(parts.home.journal),
        "transport": record.launch.get("transport", "pipe"),
        "live": live,
        **about,
    }


async def terminal(parts: Parts, call: Call) -> PtyFeed:
    """Screen and keys of an agent that runs in a PTY."""
    record, live = await parts.ledger.read(lambda tx: _session(tx, call.path["agent"]))
    if not live or record.launch.get("transport") != "pty":
        raise Refused(
            "it has no terminal: it is driven over its protocol", f"at logs {call.path['agent']} -f"
        )
    return PtyFeed(parts.sessions.live(record.id).session)


def event_document(event: Event) -> Json:
    """One event in the contract's form."""
    return {
        "seq": event.seq,
        "type": event.event_type,
        "at": format_time(event.created_at),
        "actor": event.actor,
        "bead_id": str(event.bead_id) if event.bead_id else None,
        "agent_id": str(event.agent_id) if event.agent_id else None,
        "payload": event.payload or {},
    }


def _status(parts: Parts, tx: Tx, rig: Rig | None) -> Json:
    now = parts.now()
    daemon = {
        "pid": os.getpid(),
        "version": __version__,
        "socket": str(parts.home.socket),
        "uptime_seconds": int((now - parts.started_at).total_seconds()),
    }
    kpi = tx.kpi(now, local_day_start(now))
    return status_document(parts, tx, rig, kpi, daemon)


def _status_called(word: str | None) -> BeadStatus | None:
    if word is not None and word not in set(BeadStatus):
        raise UsageError(f"{word!r} is no status (allowed: {', '.join(BeadStatus)})")
    return BeadStatus(word) if word else None


def _either(tx: Tx, word: str) -> tuple[Agent | None, Bead | None]:
    try:
        return agent_called(tx, word), None
    except NotFound:
        pass
    try:
        return None, bead_called(tx, word)
    except NotFound:
        raise NotFound("agent or bead", word, "at agents, at ls") from None


def _about(tx: Tx, agent: Agent | None, bead: Bead | None) -> Json:
    """What a window that shows the one or the other is named after."""
    if bead is None and agent is not None:
        bead = bead_of(tx, agent)
    elif agent is None and bead is not None and bead.agent_id is not None:
        agent = tx.agent(bead.agent_id)
    return {
        "agent": agent.name if agent else None,
        "bead": str(bead.id) if bead else None,
        "title": bead.title if bead else None,
    }


def _session(tx: Tx, word: str) -> tuple[SessionRecord, bool]:
    agent = agent_called(tx, word)
    fact = tx.fact(agent.id, AgentFact.PROCESS.value)
    record = tx.session(fact.value["session"]) if fact else None
    if record is None:
        raise Refused(f"{agent.name} was never started", f"at show {agent.name}")
    return record, record.ended_at is None


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "status": status,
    "status_text": status_text,
    "short": short,
    "short_text": short_line,
    "top": top,
    "beads": beads,
    "stale": stale,
    "show": show,
    "wait": wait,
    "agents": agents,
    "explain": explain,
    "events": events,
    "event_stream": event_stream,
    "logs": logs,
    "folder": folder,
    "session": session,
    "terminal": terminal,
}
