"""The scripted model endpoint: serves on loopback, records every request and what was answered.

It is the test's witness: how often a prompt was delivered, and which figures were sent.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from clis.rehearsal.anthropic import Messages
from clis.rehearsal.replies import MARKER, Hang, Refuse, Reply, Say, Script, Tokens
from clis.rehearsal.wire import ModelRequest, Pause, Wire

WIRES: tuple[Wire, ...] = (Messages(),)

NO_SCRIPT = Say("There is no script for this prompt.")
AUXILIARY = Say("Rehearsal")


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


class Endpoint:
    """A context manager; `url` is its base address. Scripts are added by marker name."""

    def __init__(self) -> None:
        self._scripts: dict[str, Script] = {}
        self._exchanges: list[Exchange] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def script(self, name: str, *replies: Reply) -> str:
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

    # --- for the handler -----------------------------------------------------------------------------------------

    def take(self, path: str, key: str, request: ModelRequest, body: dict[str, Any]) -> Exchange:
        """Choose the reply of a request and record both, before anything is sent."""
        marker = _marker(request)
        with self._changed:
            if request.auxiliary:
                reply: Reply = AUXILIARY
            else:
                script = self._scripts.get(marker or "")
                reply = script.next() if script else NO_SCRIPT
            number = len(self._exchanges) + 1
            tokens = None if isinstance(reply, Refuse | Hang) else Tokens.of_response(number)
            exchange = Exchange(number, path, key, request, marker, reply, tokens, body)
            self._exchanges.append(exchange)
            self._changed.notify_all()
        return exchange

    def pause(self, seconds: float | None) -> bool:
        """Let time pass; true when the endpoint closes meanwhile."""
        return self._closing.wait(seconds)


def _marker(request: ModelRequest) -> str | None:
    for text in reversed(request.texts):
        found = MARKER.findall(text)
        if found:
            return str(found[-1])
    return None


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
        exchange = self.server.endpoint.take(self.path, key, wire.read(body), body)
        request, reply, tokens = exchange.request, exchange.reply, exchange.tokens or Tokens()
        if isinstance(reply, Refuse):
            headers = dict(reply.headers)
            if reply.retry_after is not None:
                headers["retry-after"] = str(reply.retry_after)
            self._answer(reply.status, wire.error(reply), headers)
        elif request.streams:
            self._stream(wire.stream(request, reply, tokens, exchange.number))
        else:
            self._answer(200, wire.whole(request, reply, tokens, exchange.number))

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded, not printed."""

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode() if body else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

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
