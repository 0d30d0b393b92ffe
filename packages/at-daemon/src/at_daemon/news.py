"""Tells waiters that something was committed."""

from __future__ import annotations

import anyio


class News:
    """An event that is set anew at every commit that wrote to the audit log. Used on the event loop's thread only."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.last_seq = 0
        self.closed = False

    def tell(self, seq: int) -> None:
        """The log reaches up to `seq` now."""
        self.last_seq = max(seq, self.last_seq)
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait_beyond(self, seq: int) -> int:
        """Return once the log reaches beyond `seq`, or once it is closed; the newest seq."""
        while self.last_seq <= seq and not self.closed:
            await self._event.wait()
        return self.last_seq

    def close(self) -> None:
        """Nobody is to wait any longer: the daemon ends."""
        self.closed = True
        self._event.set()
