"""The daemon itself."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from at_core.api import DownRequest
from at_core.vocabulary import EventType
from at_daemon.acts.commands import disown, is_command
from at_daemon.edge import Call
from at_daemon.endings import GONE_SECONDS, let_go, process_gone
from at_daemon.handlers.agents import stop_agents
from at_daemon.parts import Parts
from at_daemon.vitals import processes_naming
from at_session.errors import SessionError
from at_session.processes import kill_session
from at_session.session import EndedSession, list_sessions, open_session

Json = dict[str, Any]
STOP_SECONDS = 14.0
STOP_SECONDS_OF_THE_REST = 5.0
FORCE_SECONDS = 5.0
"""In all, with the grace that requests in flight have, it is less than the 30 s that `at down` may take."""
log = logging.getLogger(__name__)


async def down(parts: Parts, call: Call) -> Json:
    """Stop what runs, resumably, unless it is to be kept; the daemon ends once this is answered."""
    request: DownRequest = call.body
    stopped: list[str] = []
    # On record first: on a full disk this is refused here, while nothing is stopped yet.
    asked = request.keep_agents
    await parts.ledger.change(
        lambda change: change.tell(EventType.DAEMON_DOWN_ASKED, actor="person", keep_agents=asked)
    )
    try:
        if not request.keep_agents:
            with anyio.move_on_after(STOP_SECONDS):
                await parts.starts.close()
                running = await parts.ledger.read(lambda tx: {s.agent_id for s in tx.sessions(live=True)})
                stopped = await stop_agents(parts, running, "down", "at down")
            with anyio.move_on_after(STOP_SECONDS_OF_THE_REST):
                await _stop_the_rest(parts)
                for pid in processes_naming(parts.home.holders):
                    await process_gone(pid)  # a holder that answers nobody any more lingers for a moment
            with anyio.move_on_after(FORCE_SECONDS):
                await _end_by_force(parts)
    finally:
        parts.stopping.set()
        parts.news.close()
    return {"stopped": stopped}


async def _stop_the_rest(parts: Parts) -> None:
    """Sessions that belong to no agent: gates, commands around folders, and anything that a crash left behind.

    They are stopped side by side: one that takes no word has its process ended only after seconds.
    """
    async with anyio.create_task_group() as tasks:
        for session_id in list_sessions(parts.home.holders):
            if is_command(session_id):
                disown(parts.home.journal / session_id)
            tasks.start_soon(_stop_one, parts, session_id)


async def _stop_one(parts: Parts, session_id: str) -> None:
    try:
        held = await open_session(session_id, run_dir=parts.home.holders, journal_dir=parts.home.journal)
    except FileNotFoundError:
        return
    except (SessionError, OSError) as error:
        log.warning("session %s could not be ended: %s", session_id, error)
        return
    if isinstance(held, EndedSession):
        held.kill_processes()
        return
    try:
        await held.stop(1.0)
        await held.wait()
    except (SessionError, OSError) as error:
        log.info("session %s: %s", session_id, error)  # it ended at that very moment, or is ended by force
    await let_go(held)


async def _end_by_force(parts: Parts) -> None:
    """Whatever is held still has had its time: it is frozen, or cannot be reached."""
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    live = await parts.ledger.read(lambda tx: {record.id for record in tx.sessions(live=True)})
    ended: set[int] = set()
    for session_id in sorted(live | set(list_sessions(parts.home.holders))):
        killed = await anyio.to_thread.run_sync(functools.partial(kill_session, session_id, **folders))
        if killed:
            log.warning("session %s was ended by force: %s", session_id, killed)
        ended.update(killed)
    with anyio.move_on_after(GONE_SECONDS):
        for pid in ended:
            await process_gone(pid)


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"down": down}
