"""What counts as a sign of life of an agent that says nothing."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import pytest

from at_core.types import Agent
from at_core.vocabulary import AgentFact
from at_daemon import patrol
from at_daemon.patrol import BUSY_SHARE, TICKS_PER_SECOND, Patrol
from at_daemon.testing import Desk

PID = 4321
BEAT_SECONDS = 30.0
BUSY = int(BEAT_SECONDS * BUSY_SHARE * TICKS_PER_SECOND)
"""Ticks between two beats that are still taken for idling."""


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """CPU time of processes as a test sets it."""
    found = {PID: 1_000_000}

    def cpu_ticks(roots: Iterable[int]) -> dict[int, int]:
        return {root: found.get(root, 0) for root in roots}

    monkeypatch.setattr(patrol, "cpu_ticks", cpu_ticks)
    return found


def working(desk: Desk, *, tool: bool, state: str = "working") -> Agent:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    process = {"state": "running", "session": session.id, "attempt": 1, "pid": PID}
    desk.do(lambda change: change.put(agent.id, AgentFact.PROCESS, process))
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, {"state": state, "number": 1}))
    desk.do(lambda change: change.put(agent.id, AgentFact.TOOLS, {"open": ["call"] if tool else []}))
    return agent


def last_sign(desk: Desk, agent: Agent) -> float | None:
    sign = desk.do(lambda change: change.fact(agent.id, AgentFact.SIGN_OF_LIFE))
    return sign and float(sign["awake"])


@pytest.mark.parametrize(
    ("tool", "state", "spent", "alive"),
    [
        (False, "working", 0, False),
        (False, "working", BUSY, False),
        (False, "working", BUSY + 1, True),
        (True, "working", 0, False),
        (True, "working", 1, True),
        (True, "idle", BUSY * 9, False),
        (False, "working", -BUSY * 9, False),
    ],
)
def test_cpu_time_is_a_sign_of_life_of_a_tool_or_of_real_work(
    desk: Desk, ticks: dict[int, int], tool: bool, state: str, spent: int, alive: bool
) -> None:
    agent, patrol_ = working(desk, tool=tool, state=state), Patrol(desk.ledger)
    anyio.run(patrol_.heartbeat)
    assert last_sign(desk, agent) is None  # nothing to compare with yet
    desk.clock.pass_time(BEAT_SECONDS)
    ticks[PID] += spent
    anyio.run(patrol_.heartbeat)
    assert last_sign(desk, agent) == (desk.clock.awake_seconds if alive else None)


def test_what_was_used_before_a_turn_says_nothing_of_it(desk: Desk, ticks: dict[int, int]) -> None:
    agent, patrol_ = working(desk, tool=True), Patrol(desk.ledger)
    anyio.run(patrol_.heartbeat)
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, {"state": "idle", "number": 1}))
    anyio.run(patrol_.heartbeat)
    ticks[PID] += BUSY * 9
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, {"state": "working", "number": 2}))
    desk.clock.pass_time(BEAT_SECONDS)
    anyio.run(patrol_.heartbeat)
    assert last_sign(desk, agent) is None
