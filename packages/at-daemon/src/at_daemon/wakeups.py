"""Moments at which beads at work are looked at again though nothing happened: limits that end, patience that runs out."""

from __future__ import annotations

import heapq
from datetime import datetime

import anyio

from at_daemon.ledger import Change, Ledger


class Wakeups:
    """A heap of moments; memory only, since every moment follows from facts and is found again by looking."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._due: list[datetime] = []
        self._news = anyio.Event()

    def add(self, moments: list[datetime]) -> None:
        """Look again at each of these."""
        for moment in moments:
            if moment not in self._due:
                heapq.heappush(self._due, moment)
        self._news.set()

    async def run(self) -> None:
        """Wait for the next moment, look at everything at work, and so on until cancelled."""
        while True:
            self._news = anyio.Event()
            with anyio.move_on_after(self._seconds_left()):
                await self._news.wait()
            if self._pop_due():
                await self._ledger.record(look_at_work)

    def _seconds_left(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, (self._due[0] - self._ledger.worlds.clock.now()).total_seconds())

    def _pop_due(self) -> bool:
        now, found = self._ledger.worlds.clock.now(), False
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
            found = True
        return found


def look_at_work(change: Change) -> None:
    """Reconcile every bead that is at work."""
    change.touch_waiting()
