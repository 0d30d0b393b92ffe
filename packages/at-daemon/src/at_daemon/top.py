"""The document of the live screen: agents with what they last did and cost, and the queue of what needs a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from at_agents.decisions import World
from at_core.record import format_time
from at_core.store import Tx
from at_core.text import one_line
from at_core.types import Bead, Rig
from at_core.vocabulary import IN_TURN, EventType
from at_daemon.documents import agents_document, needs_document
from at_daemon.parts import Parts
from at_daemon.transcript import line_of

Json = dict[str, Any]
LAST_COLUMNS = 200
_TELLING = (
    *IN_TURN,
    EventType.AGENT_STARTED,
    EventType.AGENT_EXITED,
    EventType.AGENT_LOST,
    EventType.BEAD_SENT_BACK,
    EventType.GATE_FINISHED,
)
_TYPES = tuple(kind.value for kind in _TELLING)


def top_document(parts: Parts, tx: Tx, rig: Rig | None) -> Json:
    """Agents with work and the needs, both of one repository or of all."""
    worlds: dict[UUID, World] = {}

    def world_of(bead: Bead) -> World:
        """Read once: most beads are on an agent, and may want something too."""
        if bead.id not in worlds:
            worlds[bead.id] = parts.ledger.worlds.of(tx, bead)
        return worlds[bead.id]

    agents = agents_document(parts, tx, str(rig.id) if rig else None, past=0, world_of=world_of)["agents"]
    return {
        "rig": rig.path if rig else None,
        "rig_name": rig.name if rig else None,
        "agents": [{**agent, **_work(tx, agent)} for agent in agents],
        "needs": needs_document(parts, tx, rig, world_of)["needs"],
        "seq": tx.last_seq(),
    }


def _work(tx: Tx, agent: Json) -> Json:
    bead = tx.bead(UUID(agent["bead_id"])) if agent["bead_id"] else None
    usage = tx.usage_totals(bead.id) if bead else None
    began = (bead.slung_at or bead.created_at) if bead else None
    return {
        "bead_status": bead.status.value if bead else None,
        "began_at": format_time(began) if began else None,
        "ended_at": format_time(bead.done_at) if bead and bead.done_at else None,
        "cost_usd": usage.cost_usd if usage else None,
        "cost_estimated": usage.estimated if usage else False,
        "last": _last(tx, UUID(agent["id"])),
    }


def _last(tx: Tx, agent_id: UUID) -> Json | None:
    event = tx.last_event(agent_id, _TYPES)
    if event is None:
        return None
    line = line_of(tx, event)
    return {"at": line["at"], "kind": line["kind"], "text": one_line(line["text"], LAST_COLUMNS)}
