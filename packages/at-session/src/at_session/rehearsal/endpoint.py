"""The scripted model endpoint: serves on loopback, records every request and what was answered.

It is the test's witness: how often a prompt was delivered, and which figures were sent.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from at_session.rehearsal.replies import (
    MARKER,
    Cut,
    Drop,
    Hang,
    Held,
    Refuse,
    RefuseFor,
    Reply,
    Say,
    Script,
    Tokens,
)
from at_session.rehearsal.wires import ModelRequest, Pause, Wire
from at_session.rehearsal.wires.anthropic import AnthropicMessages
from at_session.rehearsal.wires.chat import ChatCompletions
from at_session.rehearsal.wires.gemini import GenerateContent
from at_session.rehearsal.wires.responses import Responses

WIRES: tuple[Wire, ...] = (AnthropicMessages(), GenerateContent(), ChatCompletions(), Responses())

NO_SCRIPT = Say("There is no script for this prompt.")
AUXILIARY = "Rehearsal"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One model request and what was answered. `tokens` are None where an error was sent."""

    number: int
    path: str
    key: str
    request: ModelRequest
    marker: str | None
    reply: Reply
    tokens: Tokens | None
    body: dict[str, Any]
    held: str | None = None
    """The name that holds the answer back."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a request of a script came and when its answer was over, on the clock that only grows; None if it is not."""

    marker: str | None
    began: float
    ended: float | None


class Endpoint:
    """A context manager; `url` is its base address. Scripts are added by marker name."""

    def __init__(self) -> None:
        self._scripts: dict[str, Script] = {}
        self._exchanges: list[Exchange] = []
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._released: set[str] = set()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def script(self, name: str, *replies: Reply | RefuseFor) -> str:
        """Say what the model does with a prompt that holds the returned marker word."""
        with self._changed:
            self._scripts[name] = Script(replies)
        return f"rehearse:{name}"

    def exchanges(self, *, auxiliary: bool = False) -> list[Exchange]:
        """The turns' exchanges so far, or with `auxiliary` the CLI's own ones."""
        with self._changed:
            return [exchange for exchange in self._exchanges if exchange.request.auxiliary is auxiliary]

    def of(self, name: str) -> list[Exchange]:
        """The exchanges of one script."""
        return [exchange for exchange in self.exchanges() if exchange.marker == name]

    def spans(self) -> list[Span]:
        """When the turns' requests were under way."""
        with self._changed:
            return [
                Span(each.marker, self._began[each.number], self._ended.get(each.number))
                for each in self._exchanges
                if not each.request.auxiliary
            ]

    def sent(self, exchanges: Iterable[Exchange]) -> Tokens:
        """The sum of the figures that were sent."""
        return sum((exchange.tokens for exchange in exchanges if exchange.tokens is not None), Tokens())

    def deliveries(self, name: str) -> int:
        """How often a prompt stands in the conversation as the model saw it last."""
        seen = self.exchanges()
        texts = seen[-1].request.texts if seen else ()
        return sum(f"rehearse:{name}" in text for text in texts)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 90) -> bool:
        """Wait until a condition on the records holds; it is looked at after every exchange."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def release(self, name: str) -> None:
        """Let the answers go that were held back under a name, now and from now on."""
        with self._changed:
            self._released.add(name)
            self._changed.notify_all()

    # --- for the handler -----------------------------------------------------------------------------------------

    def take(self, path: str, key: str, request: ModelRequest, body: dict[str, Any]) -> Exchange:
        """Choose the reply of a request and record both, before anything is sent."""
        marker = _marker(request) or _marker_in(body)
        with self._changed:
            if request.auxiliary:
                # A summary keeps the word, so that what follows it belongs to the same script.
                reply: Reply = Say(f"{AUXILIARY} rehearse:{marker}" if marker else AUXILIARY)
            else:
                script = self._scripts.get(marker or "")
                reply = script.next(time.time()) if script else NO_SCRIPT
            held, reply = (reply.until, reply.reply) if isinstance(reply, Held) else (None, reply)
            number = len(self._exchanges) + 1
            tokens = None if isinstance(reply, Refuse | Hang | Drop) else Tokens.of_response(number)
            exchange = Exchange(number, path, key, request, marker, reply, tokens, body, held)
            self._exchanges.append(exchange)
            self._began[number] = time.monotonic()
            self._changed.notify_all()
        return exchange

    def finished(self, exchange: Exchange) -> None:
        """The answer is over, or the client went away."""
        with self._changed:
            self._ended[exchange.number] = time.monotonic()
            self._changed.notify_all()

    def hold(self, name: str) -> bool:
        """Wait for a release; true when the endpoint closes meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._released or self._closing.is_set())
        return self._closing.is_set()

    def pause(self, seconds: float | None) -> bool:
        """Let time pass; true when the endpoint closes meanwhile."""
        return self._closing.wait(seconds)


def _marker(request: ModelRequest) -> str | None:
    for text in reversed(request.texts):
        found = MARKER.findall(text)
        if found:
            return str(found[-1])
    return None


def _marker_in(body: dict[str, Any]) -> str | None:
    """The last marker anywhere: a conversation that was summarised has it in the summary alone."""
    found = MARKER.findall(json.dumps(body))
    return str(found[-1]) if found else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; its exchange is on record."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(200, {})

    def do_GET(self) -> None:
        self._answer(404, {"error": "not part of the rehearsal"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
        for wire in WIRES:
            aside = wire.aside(self.path)
            if aside is not None:
                self._answer(200, aside)
                return
            if wire.accepts(self.path):
                self._reply(wire, body)
                return
        self.do_GET()

    def _reply(self, wire: Wire, body: dict[str, Any]) -> None:
        key = self.headers.get("x-api-key") or self.headers.get("authorization") or ""
        exchange = self.server.endpoint.take(self.path, key, wire.read(self.path, body), body)
        try:
            self._say(wire, exchange)
        finally:
            self.server.endpoint.finished(exchange)

    def _say(self, wire: Wire, exchange: Exchange) -> None:
        request, reply, tokens = exchange.request, exchange.reply, exchange.tokens or Tokens()
        if exchange.held is not None and self.server.endpoint.hold(exchange.held):
            return
        if isinstance(reply, Drop) or (isinstance(reply, Hang) and not reply.headers):
            self._drop(patient=isinstance(reply, Hang))
        elif isinstance(reply, Refuse):
            headers = dict(reply.headers)
            if reply.retry_after is not None:
                headers["retry-after"] = str(reply.retry_after)
            self._answer(reply.status, wire.error(reply), headers)
        elif request.streams:
            self._stream(wire.stream(request, reply, tokens, exchange.number))
        else:
            cut = isinstance(reply, Cut)
            self._answer(200, wire.whole(request, reply, tokens, exchange.number), cut=cut)

    def _drop(self, *, patient: bool) -> None:
        self.close_connection = True
        if patient:
            self.server.endpoint.pause(None)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded, not printed."""

    def _answer(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        data = json.dumps(body).encode() if body else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if cut:
            self.close_connection = True
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def _stream(self, pieces: Iterator[bytes | Pause]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for piece in pieces:
            if isinstance(piece, Pause):
                if self.server.endpoint.pause(piece.seconds):
                    return
            else:
                self.wfile.write(piece)
                self.wfile.flush()
