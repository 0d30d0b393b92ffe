"""`CacheDb`: beads, agents and KPI over the embedded store, for programs without an event loop.

It is the same file that the daemon writes, so only one of the two can have it open at a time (`StoreError`).
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self
from uuid import UUID

from at_core.store import Store, local_day_start
from at_core.types import Agent, Bead, BeadStatus, KpiSnapshot, utc_now


class CacheDb:
    """The store with blocking calls. Upserts check no transition; the daemon's commands do."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def new(cls, path: str | Path) -> Self:
        """Over the file at `path`, made if need be. Raises `StoreError`."""
        return cls(Store.open(Path(path)))

    @classmethod
    def new_in_memory(cls) -> Self:
        """Over memory; gone when closed."""
        return cls(Store.open(None))

    def upsert_bead(self, bead: Bead) -> None:
        """Add the bead, or replace the one of its id."""
        self.store.write_now(lambda tx: tx.put_bead(bead))

    def get_bead(self, id: UUID | str) -> Bead | None:
        """The bead of that id."""
        identity = id if isinstance(id, UUID) else UUID(id)
        return self.store.read_now(lambda tx: tx.bead(identity))

    def list_beads_by_status(self, status: BeadStatus) -> list[Bead]:
        """Beads in that state by priority, highest first, then by age."""
        beads = self.store.read_now(lambda tx: tx.beads(status))
        return sorted(beads, key=lambda bead: (-bead.priority, bead.created_at))

    def upsert_agent(self, agent: Agent) -> None:
        """Add the agent, or replace the one of its id. Raises `Duplicate` when another agent has its name."""
        self.store.write_now(lambda tx: tx.put_agent(agent))

    def get_agent_by_name(self, name: str) -> Agent | None:
        """The agent of exactly that name."""
        return self.store.read_now(lambda tx: tx.agent_by_name(name))

    def compute_kpi_snapshot(self, now: datetime | None = None, zone: tzinfo | None = None) -> KpiSnapshot:
        """Counts of `now`, with cost and tokens since midnight in `zone` (None: the machine's own)."""
        moment = now or utc_now()
        return self.store.read_now(lambda tx: tx.kpi(moment, local_day_start(moment, zone)))

    def close(self) -> None:
        """Let go of the file."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
