"""What a crash left without a record: sessions that nothing accounts for, slots that nobody has any more."""

from __future__ import annotations

import logging
from uuid import UUID

from at_agents.decisions import IntentKind
from at_core.store import Tx
from at_core.vocabulary import BeadFact
from at_daemon.acts.commands import GATE_PREFIX
from at_daemon.acts.proof import gate_session_id
from at_daemon.acts.set_up import session_of, teardown_sessions
from at_daemon.endings import let_go
from at_daemon.parts import Parts
from at_daemon.sessions import session_id_for
from at_session.errors import SessionError
from at_session.session import Session, list_sessions, open_session

log = logging.getLogger(__name__)


async def end_strays(parts: Parts) -> list[str]:
    """End every held session that nothing on record accounts for; their ids."""
    held = [name for name in list_sessions(parts.home.holders) if not parts.sessions.contact(name)]
    if not held:
        return []
    awaited = await parts.ledger.read(sessions_awaited)
    ended = []
    for name in held:
        if name in awaited:
            continue
        try:
            session = await open_session(name, run_dir=parts.home.holders, journal_dir=parts.home.journal)
            if isinstance(session, Session):
                await session.stop(1.0)
                await session.wait()
                await let_go(session)
                ended.append(name)
        except (SessionError, OSError) as error:
            log.warning("session %s was left behind and could not be ended: %s", name, error)
    return ended


def sessions_awaited(tx: Tx) -> set[str]:
    """Ids of the sessions that open intents will look for, or that are an agent's, be their holder silent just now."""
    names = {record.id for record in tx.sessions(live=True)}
    for intent in tx.open_intents():
        if intent.kind == IntentKind.SPAWN and intent.agent_id is not None:
            names.add(session_id_for(intent.agent_id, int(intent.payload["attempt"])))
        if intent.kind == IntentKind.GATE:
            names.add(gate_session_id(intent))
        if intent.kind == IntentKind.COMMAND:
            names.add(session_of(intent))
        if intent.kind == IntentKind.REMOVE and intent.bead_id is not None:
            plan = tx.fact(intent.bead_id, BeadFact.TEARDOWN.value)
            names.update(teardown_sessions(plan.value if plan else None))
    return names


def free_stale_slots(tx: Tx) -> None:
    """Give back the slots of beads that are gone, and of gates that no intent will look for."""
    awaited = sessions_awaited(tx)
    for held in tx.slots():
        gate = held.owner.startswith(GATE_PREFIX)
        if held.owner not in awaited if gate else tx.bead(UUID(held.owner)) is None:
            tx.free_slot(held.owner)
