"""For tests: a ledger with the few steps that they begin with, and a clock that they set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

import anyio

from at_agents.decisions import Awake
from at_core.config import Config
from at_core.errors import NoSpaceLeft
from at_core.paths import Home
from at_core.store import Store
from at_core.types import Agent, AgentRole, Bead, BeadStatus, CliType, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.clis import Clis
from at_daemon.ledger import Change, Ledger
from at_daemon.news import News
from at_daemon.parts import Parts
from at_daemon.sessions import LiveSessions
from at_daemon.sweeper import Sweeper
from at_daemon.world import Worlds

T = TypeVar("T")
TARGET = "a" * 40
"""The commit of the branch that proved work is to land on."""


@dataclass
class FakeClock:
    """Time passes when a test says so."""

    moment: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    awake_seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def awake(self) -> Awake:
        return Awake(self.awake_seconds, "boot")

    def pass_time(self, seconds: float) -> None:
        """Let it be later."""
        self.moment += timedelta(seconds=seconds)
        self.awake_seconds += seconds


class LedgerOnFullDisk(Ledger):
    """Refuses so many changes before there is room."""

    def __init__(self, store: Store, worlds: Worlds, refusals: int) -> None:
        super().__init__(store, worlds)
        self._refusals = refusals

    async def change(self, fn: Callable[[Change], T]) -> T:
        if self._refusals:
            self._refusals -= 1
            raise NoSpaceLeft("the store")
        return await super().change(fn)


def head_of(bead: Bead) -> str:
    """The commit that `Desk.proved` gives it unless told otherwise."""
    return bead.id.hex + "0" * 8


@dataclass
class Desk:
    """A ledger with the few steps that tests begin with."""

    ledger: Ledger
    clock: FakeClock
    wakes: list[datetime] = field(default_factory=list)

    def do(self, fn: Callable[[Change], T]) -> T:
        """One change, with all that follows from it."""
        return anyio.run(partial(self.ledger.change, fn))

    def agent(self, name: str) -> Agent:
        """An agent that was never started."""
        agent = Agent.new(name, AgentRole.CREW, CliType.DEMO)
        self.do(lambda change: change.tx.add_agent(agent))
        return agent

    def bead(self, agent: Agent, status: BeadStatus = BeadStatus.SLUNG, title: str = "work") -> Bead:
        """A bead on the agent, its folder made."""
        bead = dataclasses.replace(Bead.new(title), agent_id=agent.id, status=status)

        def add(change: Change) -> None:
            change.tx.add_bead(bead)
            change.put(bead.id, BeadFact.FOLDER, {"path": "/f", "branch": "at/b", "target": "main"})
            change.put(bead.id, BeadFact.ORDER, {"generation": 0, "land": None})

        self.do(add)
        return bead

    def proved(
        self,
        title: str,
        rig: UUID,
        age: timedelta,
        *,
        head: str = "",
        tree: str = "",
        land: bool | None = None,
    ) -> Bead:
        """A bead in review on an agent of its own, which only a person's word (`land`) keeps from landing on TARGET.

        `age` is how much later than others it was made; its head and tree are of its id's letters unless given.
        """
        bead = dataclasses.replace(
            Bead.new(title),
            rig=str(rig),
            agent_id=self.agent(f"on-{title}").id,
            status=BeadStatus.REVIEW,
            created_at=self.clock.now() + age,
        )
        head = head or head_of(bead)
        tree = tree or head
        facts: dict[BeadFact, Any] = {
            BeadFact.FOLDER: {"path": "/f", "branch": "at/b", "target": "main", "base_sha": "0" * 40},
            BeadFact.ORDER: {"generation": 0, "land": land},
            BeadFact.HANDED_IN: {"by": "agent", "round": 1},
            BeadFact.BRANCH: {
                "head": head,
                "tree": tree,
                "commits": ["c"],
                "settings_changed": False,
                "round": 1,
            },
            BeadFact.RULES: {"state": "absent", "gates": [], "landing": "manual"},
            BeadFact.FORECAST: {
                "head": head,
                "target": TARGET,
                "target_name": "main",
                "clean": True,
                "tree": tree,
                "contained": False,
                "conflicts": [],
                "look": 0,
            },
        }

        def add(change: Change) -> None:
            change.tx.add_bead(bead)
            for name, value in facts.items():
                change.put(bead.id, name, value)

        self.do(add)
        return bead

    def start(self, agent: Agent, bead: Bead) -> SessionRecord:
        """A running process of the agent on the bead."""
        session = SessionRecord(
            id=f"s-{uuid4().hex[:8]}",
            agent_id=agent.id,
            bead_id=bead.id,
            cli="demo",
            attempt=1,
            started_at=self.clock.now(),
        )

        def add(change: Change) -> None:
            change.tx.add_session(session)
            process = {"state": "running", "session": session.id, "attempt": 1, "bead": str(bead.id)}
            change.put(agent.id, AgentFact.PROCESS, process)
            change.tell(EventType.AGENT_STARTED, bead, agent)

        self.do(add)
        return session

    def parts(self, home: Home) -> Parts:
        """What the daemon's acts are handed, over this ledger and with the default settings; nothing runs yet."""
        clis = Clis()
        return Parts(
            home=home,
            config=Config(),
            ledger=self.ledger,
            sessions=LiveSessions(self.ledger, home, clis),
            clis=clis,
            gate_slots=anyio.CapacityLimiter(1),
            forecasts=anyio.CapacityLimiter(1),
            news=News(),
            stopping=anyio.Event(),
            sweeper=Sweeper(home.worktrees, home.warm),
            started_at=self.clock.now(),
        )
