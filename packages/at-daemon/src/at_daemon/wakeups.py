"""Moments at which beads at work are looked at again though nothing happened: limits that end, patience that runs out."""

from __future__ import annotations

from datetime import datetime

import anyio

from at_daemon.ledger import Change, Ledger


class Wakeups:
    """The next of these moments; memory only, since every moment follows from facts and is found again by looking.

    At it everything at work is looked at and asks anew, so later moments need not be kept meanwhile: a busy agent
    asks for one with each thing that it does.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._due: datetime | None = None
        self._news = anyio.Event()

    @property
    def due(self) -> datetime | None:
        """The moment that is awaited."""
        return self._due

    def add(self, moments: list[datetime]) -> None:
        """Look again at the first of these, if that is before the one that is awaited."""
        first = min(moments, default=self._due)
        if first is not None and (self._due is None or first < self._due):
            self._due = first
            self._news.set()

    async def run(self) -> None:
        """Wait for the next moment, look at everything at work, and so on until cancelled."""
        while True:
            self._news = anyio.Event()
            with anyio.move_on_after(self._seconds_left()):
                await self._news.wait()
            if self._due is not None and self._due <= self._ledger.worlds.clock.now():
                self._due = None
                await self._ledger.record(look_at_work)

    def _seconds_left(self) -> float | None:
        if self._due is None:
            return None
        return max(0.0, (self._due - self._ledger.worlds.clock.now()).total_seconds())


def look_at_work(change: Change) -> None:
    """Reconcile every bead that is at work, or whose agent holds a process."""
    change.touch_waiting()
    change.touch_resting()
