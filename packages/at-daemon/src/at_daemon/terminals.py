"""A person's view of an agent's PTY through the daemon. `at attach` does not come here: it talks to the holder."""

from __future__ import annotations

from collections.abc import AsyncIterator

from at_session.journal import RecordKind
from at_session.session import Lease, Session


class PtyFeed:
    """What the terminal shows, from what is kept of its journal on; keys go out under a lease taken at the first."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lease: Lease | None = None

    async def output(self) -> AsyncIterator[bytes]:
        """The bytes of the terminal; ends with it."""
        async with self._session.follow(0) as follower:
            async for record in follower:
                if record.kind is RecordKind.OUTPUT:
                    yield record.data

    async def write(self, data: bytes) -> None:
        """Keys, in order."""
        if self._lease is None:
            self._lease = await self._session.take_lease("browser")
        await self._session.write("", data, lease=self._lease)

    async def resize(self, rows: int, columns: int) -> None:
        """The size of the person's window."""
        await self._session.resize(rows, columns, lease=self._lease)
