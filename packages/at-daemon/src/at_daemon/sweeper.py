"""Removes the folders that were set aside, in the background: nobody waits until a big one is gone."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import anyio

from at_daemon import git

AGAIN_SECONDS = 600
log = logging.getLogger(__name__)


class Sweeper:
    """One for the folders that work folders lie in."""

    def __init__(self, *roots: Path) -> None:
        self._roots = roots
        self._wanted = anyio.Event()

    def notify(self) -> None:
        """A folder was set aside."""
        self._wanted.set()

    async def run(self) -> None:
        """Remove what is there, also what an earlier daemon left, and whatever is set aside from then on."""
        troubles: list[str] = []
        while True:
            self._wanted = anyio.Event()
            before, troubles = troubles, [str(each) for each in await self._sweep()]
            if troubles and troubles != before:
                log.warning("what was removed could not all be cleared away: %s", "; ".join(troubles))
            with anyio.move_on_after(AGAIN_SECONDS if troubles else math.inf):
                await self._wanted.wait()

    async def _sweep(self) -> list[OSError]:
        troubles: list[OSError] = []
        for root in self._roots:
            try:
                troubles += await git.remove_set_aside(root)
            except OSError as error:
                troubles.append(error)
        return troubles
