"""Tells waiters that something was committed."""

from __future__ import annotations

import anyio


class News:
    """An event that is set anew at every commit that wrote to the audit log. Used on the event loop's thread only."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.last_seq = 0

    def tell(self, seq: int) -> None:
        """The log reaches up to `seq` now."""
        self.last_seq = max(seq, self.last_seq)
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait_beyond(self, seq: int) -> int:
        """Return once the log reaches beyond `seq`; the newest seq."""
        while self.last_seq <= seq:
            await self._event.wait()
        return self.last_seq
