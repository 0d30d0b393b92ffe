"""Trouble with one session is that session's alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from at_agents.decisions import Policy
from at_core.paths import Home
from at_core.vocabulary import AgentFact
from at_daemon.clis import Cli, Clis
from at_daemon.sessions import LiveSessions
from at_daemon.testing import Desk
from at_daemon.wiring import note_started
from at_session.drivers.demo import DemoDriver
from at_session.vocabulary import DriverEvent, Usage, UsageReported

CLIS = Clis()


def test_a_session_that_cannot_be_taken_up_is_left_alone_and_the_others_are_not(
    desk: Desk, tmp_path: Path
) -> None:
    odd, lost = desk.agent("wren"), desk.agent("teal")
    gone = desk.start(lost, desk.bead(lost))
    strange = dataclasses.replace(gone, id="strange", agent_id=odd.id, cli="a CLI of a later version")
    desk.do(lambda change: change.tx.add_session(strange))
    sessions = LiveSessions(desk.ledger, Home(tmp_path), CLIS)

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


class RecordedDriver(DemoDriver):
    """Its CLI keeps figures that its stream does not tell, or a record that cannot be read."""

    broken = False

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        told = self.state.values.setdefault("told", [])
        if self.broken:
            told.append("half of it")
            raise OSError("the record is locked")
        if cwd in told:
            return []
        told.append(cwd)
        return [UsageReported(Usage(input_tokens=7, output_tokens=5), "its own record")]


class Recorded(Clis):
    """Every CLI is that one."""

    def find(self, name: str) -> Cli:
        return dataclasses.replace(CLIS.find("demo"), driver=RecordedDriver)


@pytest.mark.parametrize("broken", [False, True], ids=["readable", "broken"])
def test_what_only_the_cli_itself_kept_is_taken_in_before_the_end_is_settled(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(RecordedDriver, "broken", broken)
    agent = desk.agent("wren")
    gone = desk.start(agent, bead := desk.bead(agent))

    async def adopt_twice() -> None:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                await LiveSessions(desk.ledger, Home(tmp_path), Recorded()).adopt_all(tasks)
                tasks.cancel_scope.cancel()

    anyio.run(adopt_twice)
    rows = desk.do(lambda change: change.tx.usage(bead_id=bead.id))
    assert [(row.input_tokens, row.source) for row in rows] == ([] if broken else [(7, "its own record")])
    record = desk.do(lambda change: change.tx.session(gone.id))
    assert record is not None and record.ended_at is not None
    assert record.driver_state == ({} if broken else {"told": [record.launch.get("cwd", "")]})


def test_a_daemon_that_was_away_takes_its_own_absence_for_nobodys_silence(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    before = desk.clock.awake()
    sign = {"awake": before.seconds, "boot": before.boot, "session": session.id}
    turn = {"state": "working", "number": 1, "session": session.id}
    desk.do(lambda change: change.put(agent.id, AgentFact.SIGN_OF_LIFE, sign))
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, turn))
    desk.clock.pass_time(2 * Policy().silence_seconds)
    desk.do(lambda change: note_started(change, 1, desk.clock.awake()))
    assert desk.do(lambda change: change.tx.intent(f"stop:{session.id}")) is None
    desk.clock.pass_time(Policy().silence_seconds + 1)
    desk.do(lambda change: change.touch(bead.id))
    assert desk.do(lambda change: change.tx.intent(f"stop:{session.id}")) is not None


def test_a_process_that_was_just_started_is_in_reach_before_it_is_followed(
    desk: Desk, tmp_path: Path
) -> None:
    sessions = LiveSessions(desk.ledger, Home(tmp_path), CLIS)
    assert not sessions.contact("s-1")
    sessions.expect("s-1")
    assert sessions.contact("s-1") and not sessions.contact("s-2")
