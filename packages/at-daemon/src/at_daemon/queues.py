"""The landing queues of a repository: read from the store as one value, and what they decide written back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from at_agents.landing_queue import Line, Queue, Ready
from at_core.store import Tx
from at_core.types import Bead, BeadStatus, GateResult
from at_core.vocabulary import BeadFact, RigFact


def queues_of(tx: Tx, rig: str, most: int) -> list[Queue]:
    """One for each target branch that something is ready for, or was."""
    lines = lines_of(tx, rig)
    ready: dict[str, list[Ready]] = {name: [] for name in lines}
    coming: set[str] = set()
    for bead in tx.beads(status=BeadStatus.REVIEW, rig=rig):
        fact = tx.fact(bead.id, BeadFact.READY.value)
        if fact is None:
            continue
        name = fact.value["target_name"]
        standing = ready.setdefault(name, [])
        if fact.value.get("coming"):
            coming.add(name)
            continue
        standing.append(_ready(bead, fact.value))
    return [
        Queue(
            rig=rig,
            target_name=name,
            ready=tuple(sorted(standing, key=lambda each: each.place)),
            coming=name in coming,
            line=lines.get(name, Line()),
            most=most,
            results=lambda tree: gate_results(tx, rig, tree),
            intent=tx.intent,
        )
        for name, standing in ready.items()
    ]


def lines_of(tx: Tx, rig: str) -> dict[str, Line]:
    """What is on record of each target's queue."""
    fact = tx.fact(UUID(rig), RigFact.QUEUES.value)
    return {name: Line.from_json(value) for name, value in fact.value.items()} if fact is not None else {}


def queue_with(tx: Tx, bead: Bead, most: int) -> Queue | None:
    """The queue that the bead stands in."""
    for queue in queues_of(tx, bead.rig, most) if bead.rig else ():
        if any(each.bead.id == bead.id for each in queue.ready):
            return queue
    return None


def gate_results(tx: Tx, rig: str, tree: str) -> dict[tuple[str, str], GateResult]:
    """Newest results of the gates that ran on a tree, by name and command."""
    return {(result.name, result.command): result for result in tx.gate_results(rig, tree)}


def _ready(bead: Bead, value: Mapping[str, Any]) -> Ready:
    known = {name: value[name] for name in ("head", "target", "tree", "by", "look", "single", "size")}
    return Ready(bead=bead, gates=tuple(value["gates"]), **known)
