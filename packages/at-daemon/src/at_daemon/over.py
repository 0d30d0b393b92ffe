"""What the store tells of what is over, and of what still is wanted: for judging what is left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from at_agents.decisions import IntentKind
from at_agents.tidy import AgentSeen
from at_agents.warm import last_use
from at_core.store import DestructiveAct, Tx
from at_core.types import Bead, BeadStatus, Rig, SessionRecord
from at_core.vocabulary import BeadFact
from at_daemon.destructive import REMOVAL
from at_daemon.leftovers import sessions_awaited
from at_daemon.parts import Parts

FOLDER_NAME = 12
"""Digits of its bead's id in the name of a folder, and of its logs."""


@dataclass(frozen=True, slots=True)
class Over:
    """`known_folders` and `busy_folders` are names of folders: those of beads with their states, those that acts are
    about. `newest` are sessions of beads that are not at their end, `evidence` logs of gates that judge such beads.
    `gone` are removals of beads that nobody took back; `before`: what is older may go."""

    before: datetime
    rigs: list[Rig]
    agents: dict[UUID, AgentSeen]
    sessions: dict[str, SessionRecord]
    awaited: set[str]
    newest: set[str]
    evidence: set[str]
    known_folders: dict[str, BeadStatus]
    busy_folders: set[str]
    gone: list[DestructiveAct]
    done: list[tuple[Bead, bool]]
    used: dict[str, datetime]
    """When each repository was last used, by the first digits of its id."""

    def landed(self, rig: Rig) -> Iterator[tuple[Bead, bool]]:
        """The beads of a repository that are done, and whether each was merged."""
        return ((bead, merged) for bead, merged in self.done if bead.rig == str(rig.id) and bead.git_branch)

    def id_of_gone(self, name: str) -> str:
        """The id of the removed bead whose folder was called so; the name itself if no record tells."""
        return next((str(act.bead_id) for act in self.gone if act.bead_id.hex.startswith(name)), name)


def look_over(parts: Parts, tx: Tx) -> Over:
    """All of it, as it is now."""
    beads, sessions, rigs = tx.beads(), tx.sessions(), tx.rigs()
    there = {bead.id for bead in beads}
    removals = [act for act in tx.destructive_acts() if act.kind == REMOVAL and act.undone_at is None]
    gone = [act for act in removals if act.bead_id not in there]
    open_beads = {bead.id for bead in beads if bead.status is not BeadStatus.DONE}
    return Over(
        before=parts.now() - timedelta(days=parts.clis.config().general.tidy_days),
        rigs=rigs,
        agents=_agents(tx, beads, sessions, gone),
        sessions={record.id: record for record in sessions},
        awaited=sessions_awaited(tx),
        newest=set(
            {record.bead_id: record.id for record in sessions if record.bead_id in open_beads}.values()
        ),
        evidence=set(_evidence(tx, [bead for bead in beads if bead.id in open_beads])),
        known_folders={bead.id.hex[:FOLDER_NAME]: bead.status for bead in beads},
        busy_folders=set(_busy(tx)),
        gone=gone,
        done=[(bead, _is_merged(tx, bead)) for bead in beads if bead.status is BeadStatus.DONE],
        used={rig.id.hex[:FOLDER_NAME]: last_use(rig, beads) for rig in rigs},
    )


def _is_merged(tx: Tx, bead: Bead) -> bool:
    return bool(bead.git_branch) and tx.fact(bead.id, BeadFact.MERGED.value) is not None


def _agents(
    tx: Tx, beads: list[Bead], sessions: list[SessionRecord], gone: list[DestructiveAct]
) -> dict[UUID, AgentSeen]:
    of: dict[UUID, list[BeadStatus]] = {}
    last: dict[UUID, datetime] = {}
    held = {record.agent_id for record in sessions if record.ended_at is None}
    removed = [Bead.from_json(act.record["bead"]) for act in gone if "bead" in act.record]
    for bead in [*beads, *removed]:
        if bead.agent_id is not None:
            of.setdefault(bead.agent_id, []).append(bead.status)
            last[bead.agent_id] = max(bead.updated_at, last.get(bead.agent_id, bead.updated_at))
    for record in sessions:
        if record.ended_at is not None:
            last[record.agent_id] = max(record.ended_at, last.get(record.agent_id, record.ended_at))
    return {
        agent.id: AgentSeen(
            agent.role, tuple(of.get(agent.id, ())), None if agent.id in held else last.get(agent.id)
        )
        for agent in tx.agents()
    }


def _evidence(tx: Tx, beads: list[Bead]) -> Iterator[str]:
    for bead in beads:
        for name in (BeadFact.BRANCH, BeadFact.FORECAST):
            tree = ((fact.value if (fact := tx.fact(bead.id, name.value)) else None) or {}).get("tree")
            if tree and bead.rig:
                yield from (result.log for result in tx.gate_results(bead.rig, tree))


def _busy(tx: Tx) -> Iterator[str]:
    for intent in tx.open_intents():
        if intent.bead_id is not None:
            yield intent.bead_id.hex[:FOLDER_NAME]
        if intent.kind == IntentKind.RESTORE:
            act = tx.destructive_act(UUID(str(intent.payload["act"])))
            if act is not None:
                yield act.bead_id.hex[:FOLDER_NAME]
