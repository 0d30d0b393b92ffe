"""A terminal over a WebSocket, asked by a client made of wsproto."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from at_core.errors import NotFound, Refused, UsageError
from at_core.paths import Home, short_socket_path
from at_daemon.edge import Call
from at_daemon.terminal_socket import size_in


class Echo:
    """A terminal that shows what is typed and its own size, refuses `!`, and ends at `q`."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](100)
        self._send.send_nowait(b"\x1b[2Jhello")
        self.closed = threading.Event()

    async def output(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._receive:
                if data == b"q":
                    return
                yield data
        finally:
            self.closed.set()
            self._send.close()
            self._receive.close()

    async def write(self, data: bytes) -> None:
        if data == b"!":
            raise Refused("somebody else types", "at attach --take")
        await self._send.send(data)

    async def resize(self, rows: int, columns: int) -> None:
        await self._send.send(b"%dx%d" % (rows, columns))


class Window:
    """A client of one WebSocket."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._connection = connection
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self.say(Request(host="at", target=path))

    def say(self, event: Event) -> None:
        self._connection.sendall(self._protocol.send(event))

    def type(self, data: bytes) -> None:
        self.say(BytesMessage(data=data))

    def resize(self, rows: object, columns: object) -> None:
        self.say(TextMessage(data=json.dumps({"resize": {"rows": rows, "columns": columns}})))

    def next(self) -> Event:
        while not self._events:
            self._protocol.receive_data(self._connection.recv(65536) or None)
            self._events.extend(self._protocol.events())
        return self._events.pop(0)

    def bytes(self) -> bytes:
        event = self.next()
        assert isinstance(event, BytesMessage), event
        return bytes(event.data)


@contextmanager
def window(home: Home, agent: str = "a") -> Iterator[Window]:
    """A window on the terminal of `agent`."""
    with socket.socket(socket.AF_UNIX) as connection, short_socket_path(home.socket) as address:
        connection.settimeout(10)
        connection.connect(address)
        yield Window(connection, f"/v1/agents/{agent}/terminal")


@pytest.fixture
def feeds() -> list[Echo]:
    """Every terminal that was opened."""
    return []


@pytest.fixture
def served(serving: Any, feeds: list[Echo]) -> Iterator[Any]:
    """A server with a terminal for every agent but `none`."""

    async def terminal(call: Call) -> Echo:
        if call.path["agent"] == "none":
            raise NotFound("agent", "none")
        if call.path["agent"] == "crash":
            raise ValueError("secret")
        feeds.append(Echo())
        return feeds[-1]

    with serving({"terminal": terminal}) as served:
        yield served


def test_keys_go_in_and_the_screen_comes_out(served: Any, feeds: list[Echo]) -> None:
    with window(served.home) as person:
        assert isinstance(person.next(), AcceptConnection)
        assert person.bytes() == b"\x1b[2Jhello"
        person.type(b"\xff\x00 not text")
        assert person.bytes() == b"\xff\x00 not text"
        person.resize(24, 80)
        assert person.bytes() == b"24x80"
        person.type(b"q")
        end = person.next()
        assert isinstance(end, CloseConnection)
        assert end.code == 1000
    assert feeds[0].closed.wait(10)


def test_two_windows_are_two_views(served: Any, feeds: list[Echo]) -> None:
    with window(served.home) as one, window(served.home) as other:
        for person in (one, other):
            assert isinstance(person.next(), AcceptConnection)
            assert person.bytes() == b"\x1b[2Jhello"
        one.type(b"1")
        other.type(b"2")
        assert (one.bytes(), other.bytes()) == (b"1", b"2")
    assert len(feeds) == 2


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (BytesMessage(data=b"!"), "refused"),
        (TextMessage(data="ls\n"), "usage"),
        (TextMessage(data='{"resize": {"rows": 0, "columns": 80}}'), "usage"),
    ],
)
def test_a_refusal_is_said_before_the_end(served: Any, message: Event, code: str) -> None:
    with window(served.home) as person:
        person.next()
        person.bytes()
        person.say(message)
        told = person.next()
        assert isinstance(told, TextMessage)
        assert json.loads(told.data)["error"]["code"] == code
        end = person.next()
        assert isinstance(end, CloseConnection)
        assert end.code == 1008


@pytest.mark.parametrize(
    ("agent", "status", "code"), [("none", 404, "not_found"), ("crash", 500, "internal")]
)
def test_what_cannot_be_opened_is_refused_with_an_error_document(
    served: Any, agent: str, status: int, code: str
) -> None:
    with window(served.home, agent) as person:
        refusal = person.next()
        assert isinstance(refusal, RejectConnection)
        assert refusal.status_code == status
        content = person.next()
        assert isinstance(content, RejectData)
        document = json.loads(bytes(content.data))
        assert document["error"]["code"] == code
        assert "secret" not in str(document)


def test_a_person_who_leaves_closes_the_view(served: Any, feeds: list[Echo]) -> None:
    with window(served.home) as person:
        person.next()
        person.bytes()
    assert feeds[0].closed.wait(10)


def test_an_orderly_end_of_the_daemon_closes_the_window(served: Any, feeds: list[Echo]) -> None:
    with window(served.home) as person:
        person.next()
        person.bytes()
        served.stop()
        end = person.next()
        assert isinstance(end, CloseConnection)
        assert end.code == 1012


def test_a_terminal_is_no_page(served: Any) -> None:
    with socket.socket(socket.AF_UNIX) as connection, short_socket_path(served.home.socket) as address:
        connection.connect(address)
        connection.sendall(b"GET /v1/agents/a/terminal HTTP/1.0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "null", '"resize"', "{}", '{"resize": 1}', '{"resize": {}}', '{"resize": {"rows": 1}}',
        '{"resize": {"rows": 1.5, "columns": 1}}', '{"resize": {"rows": true, "columns": 1}}',
        '{"resize": {"rows": "1", "columns": 1}}', '{"resize": {"rows": -1, "columns": 1}}',
        '{"resize": {"rows": 1, "columns": 10001}}', '{"resize": {"rows": null, "columns": 1}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_any_other_message_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        size_in(text)
    assert "\n" not in caught.value.message


def test_a_size_is_read() -> None:
    assert size_in('{"resize": {"rows": 24, "columns": 80}}') == (24, 80)
