"""A person's view of an agent's PTY through the daemon. `at attach` does not come here: it talks to the holder."""

from __future__ import annotations

from collections.abc import AsyncIterator

from at_session.journal import RecordKind
from at_session.session import Lease, Session
from at_session.terminal import Terminal


class PtyFeed:
    """What the terminal shows, redrawn first; keys go out under a lease that is taken with the first of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lease: Lease | None = None

    async def output(self) -> AsyncIterator[bytes]:
        """A redrawn screen, then the bytes of the terminal as they come; ends with it."""
        status = await self._session.status()
        screen, drawn = Terminal(status.rows, status.cols), False
        async with self._session.follow(status.first) as follower:
            while batch := await follower.batch():
                data = b"".join(record.data for record in batch if record.kind is RecordKind.OUTPUT)
                if drawn:
                    yield data
                    continue
                screen.feed(data)
                if batch[-1].next >= status.end:
                    drawn = True
                    yield screen.repaint()

    async def write(self, data: bytes) -> None:
        """Keys, in order."""
        if self._lease is None:
            self._lease = await self._session.take_lease("browser")
        await self._session.write("", data, lease=self._lease)

    async def resize(self, rows: int, columns: int) -> None:
        """The size of the person's window."""
        await self._session.resize(rows, columns, lease=self._lease)
