"""What is looked at from time to time although nothing was heard: signs of life, waits for a checkout, the counts.

Nothing here starts a process, and a round in which nothing changed writes nothing.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable
from uuid import UUID

import anyio

from at_core.store import Tx, local_day_start
from at_core.types import Agent, BeadStatus, KpiSnapshot
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.clock import Clock
from at_daemon.ledger import Change, Ledger, let_queues_go_on
from at_daemon.vitals import cpu_ticks


async def every(seconds: float, round_: Callable[[], Awaitable[None]]) -> None:
    """One round each so many seconds, until cancelled."""
    while True:
        await anyio.sleep(seconds)
        await round_()


BUSY_SHARE = 0.1
"""Of a core. The four CLIs use up to 0.02 while they wait for a model."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Patrol:
    """The rounds, with what they remember of the last one.

    CPU time is a sign of life while a tool is at work, for the commands of an agent say nothing to us. Without one
    only real work is: a CLI that waits for a model uses a little all the time.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ticks: dict[str, int] = {}
        self._beat = 0.0
        self._counts: tuple[object, ...] = ()

    @property
    def _clock(self) -> Clock:
        return self._ledger.worlds.clock

    async def heartbeat(self) -> None:
        """An agent at work whose processes used CPU time since the last beat has given a sign of life."""
        working = await self._ledger.read(in_turn)
        if not working:
            self._ticks.clear()
            return
        ticks = await anyio.to_thread.run_sync(cpu_ticks, [each.pid for each in working])
        beat = self._clock.awake().seconds
        busy = (beat - self._beat) * BUSY_SHARE * TICKS_PER_SECOND
        lively = [
            (each.agent, each.session)
            for each in working
            if ticks[each.pid] - self._ticks.get(each.session, ticks[each.pid]) > (0 if each.tool else busy)
        ]
        self._ticks, self._beat = {each.session: ticks[each.pid] for each in working}, beat
        if lively:
            await self._ledger.record(lambda change: self._alive(change, lively))

    async def round(self) -> None:
        """Look again at work, and at the targets of beads that wait for the person's checkout."""
        if await self._ledger.read(_anything_open):
            await self._ledger.record(look_again_at_waits)

    async def snapshot(self) -> None:
        """Keep the counts, if they are others than the last ones kept."""
        now = self._clock.now()
        snapshot = await self._ledger.read(lambda tx: tx.kpi(now, local_day_start(now)))
        counts = _counts(snapshot)
        if counts != self._counts:
            self._counts = counts
            await self._ledger.record(lambda change: change.tx.save_kpi(snapshot))

    def _alive(self, change: Change, lively: list[tuple[Agent, str]]) -> None:
        awake = self._clock.awake()
        for agent, session in lively:
            sign = {"awake": awake.seconds, "boot": awake.boot, "session": session}
            change.put(agent.id, AgentFact.SIGN_OF_LIFE, sign, "proc")


def look_again_at_waits(change: Change) -> None:
    """Reconcile what is at work or in review; a bead that waits for a checkout looks whether it is free now.

    So what a person is to decide is asked in the end, whatever made it wanted and was not heard of.
    """
    change.touch_waiting()
    change.touch_resting()
    for bead in change.tx.beads(status={BeadStatus.REVIEW}):
        change.touch(bead.id)
        blocked = change.fact(bead.id, BeadFact.BLOCKED)
        if blocked and blocked["kind"] == "checkout":
            change.look_at_target(bead, "it waits for the checkout")
            let_queues_go_on(change, bead.rig)


def _anything_open(tx: Tx) -> bool:
    return bool(tx.beads(status={BeadStatus.SLUNG, BeadStatus.REVIEW}, limit=1))


@dataclasses.dataclass(frozen=True, slots=True)
class _AtWork:
    """A process in a turn; `tool`: a call of a tool is under way."""

    agent: Agent
    session: str
    pid: int
    tool: bool


def in_turn(tx: Tx) -> list[_AtWork]:
    """The agents that are in a turn, each with its process."""
    found: list[_AtWork] = []
    seen: set[UUID] = set()
    for record in tx.sessions(live=True):
        agent = tx.agent(record.agent_id)
        if agent is None or agent.id in seen:
            continue
        seen.add(agent.id)
        turn, process = tx.fact(agent.id, AgentFact.TURN.value), tx.fact(agent.id, AgentFact.PROCESS.value)
        pid = process.value.get("pid") if process else None
        if turn and turn.value.get("state") == "working" and pid:
            tools = tx.fact(agent.id, AgentFact.TOOLS.value)
            found.append(_AtWork(agent, record.id, int(pid), bool(tools and tools.value.get("open"))))
    return found


def _counts(snapshot: KpiSnapshot) -> tuple[object, ...]:
    return tuple(v for k, v in dataclasses.asdict(snapshot).items() if k not in ("id", "created_at"))
