"""LiveSessions that a crash left without a record: neither an agent's nor one that an open intent will look for."""

from __future__ import annotations

import logging

from at_agents.decisions import IntentKind
from at_core.store import Tx
from at_daemon.parts import Parts
from at_daemon.sessions import let_go
from at_session.errors import SessionError
from at_session.session import Session, list_sessions, open_session

log = logging.getLogger(__name__)


async def end_strays(parts: Parts) -> list[str]:
    """End every held session that nothing on record accounts for; their ids."""
    held = [name for name in list_sessions(parts.home.holders) if not parts.sessions.contact(name)]
    if not held or await parts.ledger.read(_will_be_looked_for):
        return []
    ended = []
    for name in held:
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


def _will_be_looked_for(tx: Tx) -> bool:
    return any(intent.kind in (IntentKind.SPAWN, IntentKind.GATE) for intent in tx.open_intents())
