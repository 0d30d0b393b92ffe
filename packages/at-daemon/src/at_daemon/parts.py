"""What the daemon is made of, handed to acts and handlers as one value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import anyio

from at_agents.set_up import AT_ONCE
from at_core.config import Config
from at_core.errors import NotFound, TryLater
from at_core.paths import Home
from at_core.store import Tx
from at_core.types import Agent, Bead, Rig
from at_daemon.clis import Clis
from at_daemon.fetches import Fetches
from at_daemon.ledger import Ledger
from at_daemon.news import News
from at_daemon.sessions import LiveSessions
from at_daemon.sweeper import Sweeper

T = TypeVar("T")
TEARDOWNS_AT_ONCE = 4


class Starts:
    """Starts of processes: let through until they are closed. What comes later is left to the next daemon."""

    def __init__(self) -> None:
        self._under_way = 0
        self._closed = anyio.Event()
        self._quiet = anyio.Event()

    @property
    def closed(self) -> bool:
        """Whether everything is about to be stopped."""
        return self._closed.is_set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Around one start; never returns once they are closed."""
        if self.closed:
            await anyio.sleep_forever()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if self.closed and not self._under_way:
                self._quiet.set()

    async def close(self) -> None:
        """Let none begin any more, and wait for those under way."""
        self._closed.set()
        if self._under_way:
            await self._quiet.wait()


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that know of each other through this and nothing else."""

    home: Home
    config: Config
    ledger: Ledger
    sessions: LiveSessions
    clis: Clis
    gate_slots: anyio.CapacityLimiter
    forecasts: anyio.CapacityLimiter
    """Each landing makes every other bead in review look at its target anew."""
    news: News
    stopping: anyio.Event
    sweeper: Sweeper
    started_at: datetime
    starts: Starts = field(default_factory=Starts)
    set_ups: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))
    """Commands that set up folders: no gate waits for one, nor one for a gate."""
    teardowns: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(TEARDOWNS_AT_ONCE))
    """Commands before folders go: no removal waits for the set-up of another bead."""
    rig_locks: defaultdict[str, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))
    """Git acts that write to a person's repository are done one at a time for each repository."""
    tidying: anyio.Lock = field(default_factory=anyio.Lock)
    """What is left over is removed by one call at a time."""
    removals: defaultdict[UUID, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))
    """A folder is torn down and removed by one act at a time, by bead."""

    keeping: anyio.Lock = field(default_factory=anyio.Lock)
    """Around the cache of folders: one entry is made at a time."""
    fetches: Fetches = field(default_factory=Fetches)

    def now(self) -> datetime:
        """The present."""
        return self.ledger.worlds.clock.now()

    def awake_seconds(self) -> float:
        """A reading of the clock that stands still while the machine sleeps."""
        return self.ledger.worlds.clock.awake().seconds

    async def until(self, look: Callable[[Tx], T | None]) -> T:
        """What `look` finds, as soon as it finds something; it is asked again after each commit.

        Raises `TryLater` when the daemon ends meanwhile.
        """
        while not self.news.closed:
            seq = self.news.last_seq
            if (found := await self.ledger.read(look)) is not None:
                return found
            await self.news.wait_beyond(seq)
        raise TryLater("the daemon is ending", "at up")

    def folder(self, bead: Bead) -> Path:
        """Where a bead's clone is."""
        return self.home.worktrees / bead.id.hex[:12]


def rig_of(tx: Tx, bead: Bead) -> Rig:
    """The repository that a bead belongs to."""
    rig = tx.rig(UUID(bead.rig)) if bead.rig else None
    if rig is None:
        raise NotFound("repository", bead.rig or "", "at init")
    return rig


def bead_named(tx: Tx, bead_id: UUID | None) -> Bead:
    """The bead of an intent; raises NotFound when it was removed meanwhile."""
    bead = tx.bead(bead_id) if bead_id else None
    if bead is None:
        raise NotFound("bead", str(bead_id))
    return bead


def agent_named(tx: Tx, agent_id: UUID | None) -> Agent:
    """The agent of an intent; raises NotFound when it was removed meanwhile."""
    agent = tx.agent(agent_id) if agent_id else None
    if agent is None:
        raise NotFound("agent", str(agent_id))
    return agent
