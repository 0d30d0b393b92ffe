"""Trouble with one session is that session's alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import anyio

from at_core.paths import Home
from at_core.vocabulary import AgentFact
from at_daemon.sessions import LiveSessions
from at_daemon.testing import Desk


def test_a_session_that_cannot_be_taken_up_is_left_alone_and_the_others_are_not(
    desk: Desk, tmp_path: Path
) -> None:
    odd, lost = desk.agent("wren"), desk.agent("teal")
    gone = desk.start(lost, desk.bead(lost))
    strange = dataclasses.replace(gone, id="strange", agent_id=odd.id, cli="a CLI of a later version")
    desk.do(lambda change: change.tx.add_session(strange))
    sessions = LiveSessions(desk.ledger, Home(tmp_path))

    async def start() -> int:
        async with anyio.create_task_group() as tasks:
            found = await sessions.adopt_all(tasks)
            tasks.cancel_scope.cancel()
        return found

    sessions._stumbles[strange.id] = 5000  # it has been so for weeks
    assert anyio.run(start) == 0
    assert not sessions.contact(strange.id)
    assert "a CLI of a later version" in (sessions.trouble(strange.id) or "")
    assert sessions.trouble(gone.id) is None
    records = desk.do(lambda change: {record.id: record for record in change.tx.sessions()})
    assert (records[strange.id].ended_at is None, records[gone.id].ended_at is None) == (True, False)
    assert desk.do(lambda change: change.fact(lost.id, AgentFact.PROCESS))["state"] == "lost"
