"""Server-sent events (WHATWG HTML, section 9.2): `id:` is the event's seq, `data:` its JSON on one line."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import Receive, Scope, Send

from at_daemon.edge import EventIterator, encode

HEARTBEAT_SECONDS = 15.0
_FAREWELL_SECONDS = 1.0


class EventStream:
    """A response that ends when the client leaves, the events end, or `stopping` is set.

    A comment is sent at its beginning and after each whole `heartbeat_seconds` without an event, so nothing is silent
    for twice as long. On `stopping` the last thing sent is `event: end`, which tells the client not to come back.
    """

    def __init__(
        self, events: EventIterator, stopping: anyio.Event, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._events = events
        self._stopping = stopping
        self._heartbeat_seconds = heartbeat_seconds
        self._quiet = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it (ASGI)."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send(send, b": ok\n\n")
        async with anyio.create_task_group() as group:
            group.start_soon(self._leave_with_client, receive, group.cancel_scope)
            group.start_soon(self._leave_with_daemon, group.cancel_scope)
            group.start_soon(self._beat, send)
            await self._pump(send)
            group.cancel_scope.cancel()
        with anyio.move_on_after(_FAREWELL_SECONDS, shield=True):
            await _send(send, b"event: end\ndata: {}\n\n" if self._stopping.is_set() else b"", more=False)

    async def _pump(self, send: Send) -> None:
        try:
            async for seq, document in self._events:
                self._quiet = False
                await _send(send, b"id: %d\ndata: %b\n\n" % (seq, encode(document)))
                await checkpoint()  # a send that need not wait never lets the end of the client be seen
        finally:
            if isinstance(self._events, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await self._events.aclose()

    async def _beat(self, send: Send) -> None:
        while True:
            await anyio.sleep(self._heartbeat_seconds)
            if self._quiet:
                await _send(send, b": still here\n\n")
            self._quiet = True

    async def _leave_with_client(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _leave_with_daemon(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()


async def _send(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
