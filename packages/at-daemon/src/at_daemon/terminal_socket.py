"""A terminal over a WebSocket.

Binary messages are bytes of the terminal, both ways. A text message from the client is `{"resize": {"rows",
"columns"}}`; one to it is `{"error": {…}}` before the socket closes with 1008 for a message that is none of these.
The socket closes with 1000 when the terminal has ended.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Protocol

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from at_core.errors import AtError, UsageError
from at_daemon.edge import encode, error_document

_LARGEST = 10_000
"""Rows or columns; larger ones would only cost memory."""


class TerminalFeed(Protocol):
    """One person's view of one terminal."""

    def output(self) -> AsyncIterator[bytes]:
        """What the terminal shows, from a redrawn screen on; ends with the terminal."""
        ...

    async def write(self, data: bytes) -> None:
        """Keys, in order; raises AtError if this view may not write."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """The size of the person's window."""
        ...


async def bridge(socket: WebSocket, feed: TerminalFeed) -> None:
    """Carry both directions until either side ends; `socket` is not accepted yet."""
    await socket.accept()
    async with anyio.create_task_group() as group:
        group.start_soon(_keys, socket, feed, group.cancel_scope)
        try:
            async for data in feed.output():
                await socket.send_bytes(data)
            await socket.close(1000)
        except WebSocketDisconnect:
            pass  # the reader sees it too
        group.cancel_scope.cancel()


async def _keys(socket: WebSocket, feed: TerminalFeed, scope: anyio.CancelScope) -> None:
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            data = message.get("bytes")
            if data is not None:
                await feed.write(data)
            else:
                await feed.resize(*size_in(message["text"]))
    except AtError as error:
        await socket.send_text(encode(error_document(error)).decode("ascii"))
        await socket.close(1008)
    except WebSocketDisconnect:
        pass
    scope.cancel()


def size_in(text: str) -> tuple[int, int]:
    """Rows and columns of a resize message; raises UsageError."""
    try:
        size = json.loads(text)["resize"]
        rows, columns = size["rows"], size["columns"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError('a text message is to be {"resize": {"rows", "columns"}}') from None
    if not all(type(number) is int and 0 < number <= _LARGEST for number in (rows, columns)):
        raise UsageError(f"rows and columns are to be from 1 to {_LARGEST}")
    return rows, columns
