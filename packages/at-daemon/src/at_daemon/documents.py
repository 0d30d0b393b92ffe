"""The documents of the command contract, made from worlds. Labels are computed here, at the moment of reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from at_agents.attention import Attention, attention, reasons, settled
from at_agents.comments import Comments, place
from at_agents.decisions import Budget, Unit, World
from at_agents.dependencies import followers
from at_agents.label import AgentLabel, Label, label
from at_agents.landing import evidence_gates, is_proved, may_land
from at_agents.landing_queue import place_in_words
from at_agents.needs import Need, needs, ordered
from at_agents.pull_request import summary
from at_agents.set_up import shown, under_way
from at_core.record import format_time
from at_core.repo_settings import FILE_NAME
from at_core.store import Tx
from at_core.types import (
    Agent,
    AgentRole,
    AgentStatus,
    Ask,
    Bead,
    BeadStatus,
    Fact,
    GateResult,
    KpiSnapshot,
    Message,
    Rig,
)
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.acts.base import base_document
from at_daemon.context import context_document
from at_daemon.costs import budget_document, unreported, usage_document
from at_daemon.foresight import overlaps_document
from at_daemon.parts import Parts
from at_daemon.prices import price_key
from at_daemon.queues import queue_with
from at_daemon.slots import slot_document
from at_daemon.waiting import direct_followers, waits_for
from at_daemon.world import beads_of

Json = dict[str, Any]
WorldOf = Callable[[Bead], World]
AT_WORK = {BeadStatus.HOOKED, BeadStatus.SLUNG, BeadStatus.REVIEW}
MOST_ENDED = 50
"""Failed beads that `status` still names; `at ls` has them all."""
NO_BEAD = Label(AgentLabel.NEW, AgentStatus.IDLE, ("it has no bead",))


def bead_document(parts: Parts, tx: Tx, bead: Bead) -> Json:
    """The bead with its agent, evidence, usage, reasons and what it wants from a person."""
    world = parts.ledger.worlds.of(tx, bead)
    verdict = settled(world)
    left = parts.ledger.worlds.budgets.left_of_bead(tx, bead)
    return {
        "bead": bead.to_json(),
        "agent": agent_document(parts, tx, world) if world.agent else None,
        "proved": is_proved(world),
        "evidence": _evidence(world),
        "usage": _usage(parts, tx, bead),
        "budgets": [budget_document(each, bead) for each in left],
        "turns": sum(1 for m in world.messages if m.answered_at),
        "reasons": reasons(world),
        "attention": [attention_document(entry) for entry in wants_of(parts, world)],
        "landing": _landing(parts, tx, world),
        "overlaps": overlaps_document(tx, bead),
        "base": base_document(world.facts.get(BeadFact.FOLDER)),
        "slot": slot_document(tx.slot(str(bead.id)), parts.config.general.first_port),
        "set_up": _set_up(world),
        "notes": [*_notes(world), *_uncounted(tx, bead, left)],
        "messages": [message_document(message) for message in world.messages],
        "repository": rig.path if (rig := _rig(tx, bead)) else None,
        "pull_request": _pull_request(world),
        "comments": comment_documents(Comments.of(world.facts.get(BeadFact.COMMENTS))),
        "settled": verdict.settled,
        "exit_code": verdict.exit_code,
        "seq": tx.last_seq(),
    }


def _landing(parts: Parts, tx: Tx, world: World) -> Json:
    """{allowed_by, place}: who lets it merge as it is, and where it stands in its target's queue."""
    queue = (
        queue_with(tx, world.bead, parts.ledger.worlds.batch()) if world.facts.get(BeadFact.READY) else None
    )
    return {
        "allowed_by": may_land(world) if world.bead.status is BeadStatus.REVIEW else None,
        "place": place_in_words(queue, world.bead.id) if queue is not None else None,
    }


def bead_rows(tx: Tx, beads: Sequence[Bead]) -> list[Json]:
    """Beads in a list, each with its agent's name and the beads that have to land before it begins."""
    names = {agent.id: agent.name for agent in tx.agents()}
    return [
        {
            **bead.to_json(),
            "agent": names.get(bead.agent_id) if bead.agent_id else None,
            "waits_for": list(waiting.beads) if (waiting := waits_for(tx, bead, None)) else [],
        }
        for bead in beads
    ]


def agent_document(parts: Parts, tx: Tx, world: World) -> Json:
    """The agent with its label as the facts give it now."""
    assert world.agent is not None
    context = context_document(tx, world)
    return agent_only(world.agent, label_of(parts, world), world.bead) | {"context": context}


def agents_document(
    parts: Parts, tx: Tx, rig: str | None = None, *, past: int | None, world_of: WorldOf | None = None
) -> Json:
    """Agents (of one repository), each with the bead that it is on; at most so many polecats whose work is over.

    `not_shown` says how many were left out. `world_of` gives the world of a bead, where the caller keeps those that
    were read.
    """
    open_beads = tx.beads(status=AT_WORK, rig=rig)
    busy = {bead.agent_id for bead in open_beads} | {record.agent_id for record in tx.sessions(live=True)}
    agents = tx.agents(rig=rig)
    over = [agent for agent in agents if agent.id not in busy and agent.role is AgentRole.POLECAT]
    over.sort(key=lambda agent: agent.created_at)
    left_out = {agent.id for agent in over[: max(0, len(over) - past)]} if past is not None else set()
    wanted = [agent for agent in agents if agent.id not in left_out]
    shown = _agents(parts, tx, wanted, world_of or partial(parts.ledger.worlds.of, tx))
    return {"agents": shown, "not_shown": len(left_out)}


def _agents(parts: Parts, tx: Tx, agents: Sequence[Agent], world_of: WorldOf) -> list[Json]:
    found = []
    on = beads_of(tx, agents)
    for agent in agents:
        bead = on[agent.id]
        if bead is None:
            found.append(agent_only(agent, NO_BEAD, None))
        else:
            found.append(agent_document(parts, tx, world_of(bead)))
    return found


def label_of(parts: Parts, world: World) -> Label:
    """The label, knowing whether the agent's holder is followed."""
    session = world.process.get("session")
    contact = not world.running or parts.sessions.contact(session)
    return label(world, contact=contact, why=parts.sessions.trouble(session))


def ask_document(tx: Tx, ask: Ask) -> Json:
    """One entry of the approval queue."""
    agent, bead = tx.agent(ask.agent_id), tx.bead(ask.bead_id) if ask.bead_id else None
    return {
        "id": str(ask.id),
        "agent": agent.name if agent else None,
        "bead": str(bead.id) if bead else None,
        "title": bead.title if bead else None,
        "kind": ask.kind,
        "what": ask.what,
        "tool": ask.tool,
        "argv": list(ask.argv) if ask.argv else None,
        "asked_at": format_time(ask.asked_at),
        "decided_by": ask.decided_by,
        "approved": ask.approve,
        "answer": ask.answer or None,
    }


def comment_documents(comments: Comments) -> list[Json]:
    """What was said about lines of the work, oldest first, with where each line is now."""
    return [
        {
            **each.to_json(),
            "state": "open" if each.is_open else "sent",
            "place": place(each),
            "line_gone": each.line_gone,
        }
        for each in comments.all
    ]


def _rig(tx: Tx, bead: Bead) -> Rig | None:
    return tx.rig(UUID(bead.rig)) if bead.rig else None


def _pull_request(world: World) -> Json | None:
    """What was last seen of its pull request; None while its branch was not pushed."""
    seen = world.facts.get(BeadFact.PULL_REQUEST)
    if not seen:
        return None
    told = {
        name: seen.get(name) for name in ("remote", "branch", "pushed", "number", "url", "state", "checks")
    }
    return {**told, "summary": summary(seen) if seen.get("number") else "pushed, no pull request yet"}


def message_document(message: Message) -> Json:
    """A message with the steps of its delivery that are proved."""
    document = message.to_json()
    document["receipt"] = message.receipt.value
    return document


def wants_of(parts: Parts, world: World) -> list[Attention]:
    """What the bead wants from a person, and whether its agent's holder is out of reach."""
    found = attention(world)
    trouble = parts.sessions.trouble(world.process.get("session")) if world.running else None
    if trouble is not None and world.agent is not None:
        name = world.agent.name
        reason = f"{name} cannot be reached, and it is tried again: {trouble}"
        found.append(Attention("unknown", name, str(world.bead.id), reason, None, f"at stop {name}"))
    return found


def attention_document(entry: Attention) -> Json:
    """One thing for a person."""
    return dataclasses.asdict(entry)


def needs_document(parts: Parts, tx: Tx, rig: Rig | None, world_of: WorldOf | None = None) -> Json:
    """What only a person can decide, in the order in which it keeps others from going on. `world_of`: as above."""
    world_of = world_of or partial(parts.ledger.worlds.of, tx)
    rig_id = str(rig.id) if rig else None
    ended = tx.beads(status={BeadStatus.FAILED, BeadStatus.ESCALATED}, rig=rig_id, limit=MOST_ENDED)
    waiting = direct_followers(tx)
    found = [
        need
        for bead in [*tx.beads(status=AT_WORK, rig=rig_id), *ended]
        if bead.agent_id is not None
        for need in needs(world_of(bead), len(followers(bead.id, waiting)))
    ]
    return {"needs": [_need(each) for each in ordered(found)]}


def _need(need: Need) -> Json:
    return {
        "kind": need.kind,
        "bead": str(need.bead.id),
        "title": need.bead.title,
        "agent": need.agent,
        "reason": need.reason,
        "acts": list(need.acts),
        "ask": need.ask,
        "blocks": need.blocks,
        "since": format_time(need.since),
    }


def explain_document(parts: Parts, tx: Tx, world: World, subject: UUID) -> Json:
    """Label, status, reasons, and every fact that they come from. The label of a bead is its status."""
    of_agent = world.agent is not None and subject == world.agent.id
    facts = dict(tx.facts(subject))
    if world.agent is not None and not of_agent:
        facts |= tx.facts(world.agent.id)
    named = label_of(parts, world) if world.agent else None
    return {
        "name": world.agent.name if of_agent and world.agent else world.bead.title,
        "label": named.label.value if of_agent and named else world.bead.status.value,
        "status": named.status.value if of_agent and named else world.bead.status.value,
        "reasons": list(named.reasons)
        if of_agent and named
        else reasons(world) + list(named.reasons if named else ()),
        "facts": [_fact(fact) for fact in sorted(facts.values(), key=lambda fact: fact.at)],
    }


def _fact(fact: Fact) -> Json:
    return {"fact": fact.name, "value": fact.value, "source": fact.source, "at": format_time(fact.at)}


def agent_only(agent: Agent, named: Label, bead: Bead | None) -> Json:
    """An agent's fields with a label that was decided already."""
    return {
        "id": str(agent.id),
        "name": agent.name,
        "role": agent.role.value,
        "cli": agent.cli,
        "status": named.status.value,
        "glyph": named.status.glyph(),
        "label": named.label.value,
        "reasons": list(named.reasons),
        "bead_id": str(bead.id) if bead else None,
        "bead": bead.title if bead else None,
        "model": agent.model,
        "session_id": agent.session_id,
        "context": None,
    }


def _notes(world: World) -> list[str]:
    """What a person should know about how the folder was made and the work was collected."""
    of = (world.facts.get(fact) or {} for fact in (BeadFact.FOLDER, BeadFact.BRANCH))
    return [*(str(note) for fact in of for note in fact.get("notes", ())), *_held_back(world)]


def _held_back(world: World) -> Iterator[str]:
    """Why the commands around its folder did not run, or will not; what was trusted since runs before the next start."""
    commands = world.facts.get(BeadFact.COMMANDS) or {}
    target = (world.facts.get(BeadFact.FOLDER) or {}).get("target", "the target branch")
    if commands.get("state") == "untrusted" and commands["held_back"] and not commands.get("stale"):
        if shown(world):
            yield f"{FILE_NAME} on {target} is not trusted as it is now, so no more of its set-up runs: at trust"
        else:
            yield f"{FILE_NAME} on {target} is not trusted, so its set-up did not run: at trust"
    if commands.get("state") == "broken":
        yield f"no set-up ran: {commands['error']}"


def _set_up(world: World) -> Json | None:
    """The commands that ran in the folder, and the one that runs or waits for a place; None if there are none."""
    commands = [dict(result) for result in shown(world)]
    coming = under_way(world) if world.bead.status is BeadStatus.SLUNG and not world.running else None
    if coming and not coming.begun and world.agent_facts.get(AgentFact.STOPPED):
        coming = None  # it waits for its agent to be resumed, not for a place
    cache = _cache(world, commands)
    if not commands and coming is None and cache is None:
        return None
    return {
        "cache": cache,
        "commands": commands,
        "seconds": round(sum(result["seconds"] for result in commands), 3),
        "under_way": coming.line if coming and coming.begun else None,
        "waits": coming.line if coming and not coming.begun else None,
    }


def _cache(world: World, commands: Sequence[Json]) -> Json | None:
    """{used, instead, kept, why}: paths that came from the cache, and whether what the set-up made was kept there."""
    known = (world.facts.get(BeadFact.COMMANDS) or {}).get("cache")
    if known is None:
        return None
    kept = next((each["cache"] for each in commands if each.get("cache")), {"kept": False, "why": None})
    return {
        "used": known["used"],
        "instead": bool(known["used"] and known["instead"] and not commands),
        "kept": kept["kept"],
        "why": kept["why"] or known["note"],
    }


def _evidence(world: World) -> Json:
    branch = world.facts.get(BeadFact.BRANCH) or {}
    merged = world.facts.get(BeadFact.MERGED) or {}
    return {
        "commits": list(branch.get("commits", ())),
        "gates": [_gate(result) for result in evidence_gates(world)],
        "diff": {name: branch.get(name, 0) for name in ("files", "insertions", "deletions")},
        "tree": branch.get("tree"),
        "merge": merged.get("merge"),
    }


def _gate(result: GateResult) -> Json:
    return {
        "name": result.name,
        "ok": result.ok,
        "tree": result.tree,
        "seconds": result.seconds,
        "log": result.log,
        "exit_code": result.exit_code,
    }


def _usage(parts: Parts, tx: Tx, bead: Bead) -> Json:
    totals = tx.usage_totals(bead.id)
    clis = sorted({row.cli for row in tx.usage(bead_id=bead.id) if row.cli})
    silent = {cli: unreported(parts.clis, cli) for cli in clis}
    missing = [f"{cli} does not report: {', '.join(names)}" for cli, names in silent.items() if names]
    missing += [f"no price is known for {model}" for model in _without_price(tx, bead) if model]
    figures = usage_document(totals)
    del figures["turns"]
    return {**figures, "source": "; ".join([*totals.sources, *missing])}


def _uncounted(tx: Tx, bead: Bead, budgets: Sequence[Budget]) -> Iterator[str]:
    """That a limit of dollars cannot hold back models without a price."""
    silent = _without_price(tx, bead) if any(each.unit is Unit.USD for each in budgets) else {}
    if any(silent.values()):
        models = ", ".join(f"{model or 'an unnamed model'}" for model, tokens in silent.items() if tokens)
        yield (
            f"its budget of dollars does not count {sum(silent.values()):,} tokens, because no price is known for "
            f"{models}: a limit of tokens would (at budget {str(bead.id)[:8]} AMOUNTtokens)"
        )


def _without_price(tx: Tx, bead: Bead) -> dict[str, int]:
    """Tokens by model, those only that no price is to be expected for: a look-up under way is none of them."""
    found: dict[str, int] = {}
    for row in tx.usage(bead_id=bead.id):
        key = price_key(row.cli, row.model)
        if row.cost_usd is None and (key is None or tx.price(key) is not None):
            found[row.model] = found.get(row.model, 0) + row.input_tokens + row.output_tokens
    return dict(sorted(found.items()))


def status_document(
    parts: Parts, tx: Tx, rig: Rig | None, kpi: KpiSnapshot, daemon: Mapping[str, Any]
) -> Json:
    """Daemon, counts, agents and what wants a person; `rig` limits agents and wants to one repository."""
    rig_id = str(rig.id) if rig else None
    wants: list[Json] = []
    ended = tx.beads(status={BeadStatus.FAILED, BeadStatus.ESCALATED}, rig=rig_id, limit=MOST_ENDED)
    for bead in [*tx.beads(status=AT_WORK, rig=rig_id), *ended]:
        if bead.agent_id is not None:
            wants.extend(
                attention_document(each) for each in wants_of(parts, parts.ledger.worlds.of(tx, bead))
            )
    return {
        "daemon": dict(daemon),
        "rig": rig.path if rig else None,
        "rig_name": rig.name if rig else None,
        "kpi": kpi.to_json(),
        "agents": agents_document(parts, tx, rig_id, past=0)["agents"],
        "attention": wants,
    }
