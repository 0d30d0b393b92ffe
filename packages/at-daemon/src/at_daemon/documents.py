"""The documents of the command contract, made from worlds. Labels are computed here, at the moment of reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from at_agents.attention import Attention, attention, reasons, settled
from at_agents.decisions import Budget, Unit, World
from at_agents.label import AgentLabel, Label, label
from at_agents.landing import evidence_gates, is_proved
from at_agents.needs import Need, needs, ordered
from at_agents.set_up import under_way
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
from at_core.vocabulary import BeadFact
from at_daemon.costs import budget_document, unreported, usage_document
from at_daemon.parts import Parts
from at_daemon.prices import price_key
from at_daemon.slots import slot_document
from at_daemon.world import beads_of

Json = dict[str, Any]
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
        "agent": agent_document(parts, world) if world.agent else None,
        "proved": is_proved(world),
        "evidence": _evidence(world),
        "usage": _usage(parts, tx, bead),
        "budgets": [budget_document(each, bead) for each in left],
        "turns": sum(1 for m in world.messages if m.answered_at),
        "reasons": reasons(world),
        "attention": [attention_document(entry) for entry in wants_of(parts, world)],
        "slot": slot_document(tx.slot(str(bead.id)), parts.config.general.first_port),
        "set_up": _set_up(world),
        "notes": [*_notes(world), *_uncounted(tx, bead, left)],
        "messages": [message_document(message) for message in world.messages],
        "settled": verdict.settled,
        "exit_code": verdict.exit_code,
        "seq": tx.last_seq(),
    }


def bead_rows(tx: Tx, beads: Sequence[Bead]) -> list[Json]:
    """Beads in a list, each with its agent's name."""
    names = {agent.id: agent.name for agent in tx.agents()}
    return [
        {**bead.to_json(), "agent": names.get(bead.agent_id) if bead.agent_id else None} for bead in beads
    ]


def agent_document(parts: Parts, world: World) -> Json:
    """The agent with its label as the facts give it now."""
    assert world.agent is not None
    return agent_only(world.agent, label_of(parts, world), world.bead)


def agents_document(parts: Parts, tx: Tx, rig: str | None = None, *, past: int | None) -> Json:
    """Agents (of one repository), each with the bead that it is on; at most so many polecats whose work is over.

    `not_shown` says how many were left out.
    """
    open_beads = tx.beads(status=AT_WORK, rig=rig)
    busy = {bead.agent_id for bead in open_beads} | {record.agent_id for record in tx.sessions(live=True)}
    agents = tx.agents(rig=rig)
    over = [agent for agent in agents if agent.id not in busy and agent.role is AgentRole.POLECAT]
    over.sort(key=lambda agent: agent.created_at)
    left_out = {agent.id for agent in over[: max(0, len(over) - past)]} if past is not None else set()
    shown = _agents(parts, tx, [agent for agent in agents if agent.id not in left_out])
    return {"agents": shown, "not_shown": len(left_out)}


def _agents(parts: Parts, tx: Tx, agents: Sequence[Agent]) -> list[Json]:
    found = []
    on = beads_of(tx, agents)
    for agent in agents:
        bead = on[agent.id]
        if bead is None:
            found.append(agent_only(agent, NO_BEAD, None))
        else:
            found.append(agent_document(parts, parts.ledger.worlds.of(tx, bead)))
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


def needs_document(parts: Parts, tx: Tx, rig: Rig | None) -> Json:
    """What only a person can decide, in the order in which it keeps others from going on."""
    rig_id = str(rig.id) if rig else None
    ended = tx.beads(status={BeadStatus.FAILED, BeadStatus.ESCALATED}, rig=rig_id, limit=MOST_ENDED)
    waiting = _waiting_for(tx, rig_id)
    found = [
        need
        for bead in [*tx.beads(status=AT_WORK, rig=rig_id), *ended]
        if bead.agent_id is not None
        for need in needs(parts.ledger.worlds.of(tx, bead), len(_followers(bead.id, waiting)))
    ]
    return {"needs": [_need(each) for each in ordered(found)]}


def _waiting_for(tx: Tx, rig: str | None) -> dict[UUID, list[UUID]]:
    """The beads that wait for each bead to land, directly."""
    found: dict[UUID, list[UUID]] = {}
    for bead in tx.beads(status={BeadStatus.BACKLOG, *AT_WORK}, rig=rig):
        if first := (bead.metadata or {}).get("after"):
            found.setdefault(UUID(first), []).append(bead.id)
    return found


def _followers(bead: UUID, waiting: Mapping[UUID, Sequence[UUID]]) -> set[UUID]:
    """All that wait for it, and for those that do."""
    found: set[UUID] = set()
    left = [bead]
    while left:
        fresh = [each for each in waiting.get(left.pop(), ()) if each not in found]
        found.update(fresh)
        left += fresh
    return found


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
    }


def _notes(world: World) -> list[str]:
    """What a person should know about how the folder was made and the work was collected."""
    of = (world.facts.get(fact) or {} for fact in (BeadFact.FOLDER, BeadFact.BRANCH))
    return [*(str(note) for fact in of for note in fact.get("notes", ())), *_held_back(world)]


def _held_back(world: World) -> Iterator[str]:
    """Why the commands around its folder did not run."""
    commands = world.facts.get(BeadFact.COMMANDS) or {}
    target = (world.facts.get(BeadFact.FOLDER) or {}).get("target", "the target branch")
    if commands.get("state") == "untrusted" and commands["held_back"]:
        yield f"{FILE_NAME} on {target} is not trusted, so its set-up did not run: at trust"
    if commands.get("state") == "broken":
        yield f"no set-up ran: {commands['error']}"


def _set_up(world: World) -> Json | None:
    """The commands that ran in the folder, those of the newest start, and the one that runs; None if there are none."""
    phases = (world.facts.get(BeadFact.SET_UP) or {}).values()
    commands = [result for phase in phases for result in phase["results"]]
    running = under_way(world) if world.bead.status is BeadStatus.SLUNG and not world.running else None
    if not commands and running is None:
        return None
    seconds = round(sum(result["seconds"] for result in commands), 3)
    return {"commands": commands, "seconds": seconds, "under_way": running}


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
