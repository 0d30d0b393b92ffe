"""Ends of sessions: why the daemon ended one, and waiting until nothing of it is left."""

from __future__ import annotations

import logging
import os

import anyio

from at_daemon.ledger import Change
from at_session.errors import SessionError
from at_session.session import Session

GONE_SECONDS = 3.0
log = logging.getLogger(__name__)


async def let_go(session: Session) -> None:
    """Let the holder end now that its journal is taken in, and see it gone: it lingers for readers otherwise."""
    try:
        await session.close()
    except (SessionError, OSError) as error:
        log.info("the holder of %s: %s", session.id, error)
    with anyio.move_on_after(GONE_SECONDS):
        await process_gone(session.holder_pid)


async def process_gone(pid: int) -> None:
    """Return once there is no process of this id (which may be a zombie of another parent), or if that cannot be told."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # it is gone; or there is no descriptor left to look through
        return
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def stop_was_asked(change: Change, session_id: str) -> bool:
    """Whether somebody wanted this session to end; one that was ended for its silence counts as a crash."""
    intent = change.tx.intent(f"stop:{session_id}")
    return intent is not None and not intent.payload.get("crash")


def ended_for(change: Change, session_id: str) -> str:
    """Why the daemon itself ended this session as if it had crashed; empty if it did not."""
    intent = change.tx.intent(f"stop:{session_id}")
    return str(intent.payload["reason"]) if intent is not None and intent.payload.get("crash") else ""
