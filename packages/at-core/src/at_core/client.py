"""The client of the API, from the same route table as the server. Standard library only, and quick to import.

Each call is one connection: a Unix socket costs less than keeping track of one. What is retried: a request that
could not be sent at all (nobody listens) after the daemon was started, if the client may start it; and a question
(GET) whose answer broke off, because asking twice does nothing, or an order that names what it makes. No other order is
sent twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from at_core import errors
from at_core.api import BY_NAME, MAX_BODY_BYTES, Answer, Route
from at_core.errors import AtError, DaemonUnreachable, TryLater, UsageError
from at_core.paths import Home
from at_core.wire import Response, WireError, WireTimeout, connect, exchange

if TYPE_CHECKING:
    from socket import socket

STREAM_TIMEOUT_SECONDS = 60.0
"""Twice the longest silence of a stream that is well: the server sends a comment at least every 30 s."""

_STARTS = 3
"""How often in a row a stream or a question may find nobody, and have the daemon started, before it gives up."""


class Client:
    """Calls to the daemon of `home`; `start` brings one up when none answers (see `at_core.start`)."""

    def __init__(self, home: Home, start: Callable[[], object] | None = None) -> None:
        self._home = home
        self._start = start

    def call(
        self,
        name: str,
        /,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout_seconds: float = 60.0,
        **parameters: str,
    ) -> Any:
        """The answer of the route `name`: an object for JSON, `str` for text, `bytes` for bytes.

        `body` is the route's dataclass or a mapping, `query` its named parameters (None is left out), `parameters`
        the names in its path. Raises the error that the daemon answered with, of its own class where at-core has
        it, else of the class of its exit code; DaemonUnreachable if there is no answer; UsageError for a wrong call.
        """
        route = BY_NAME[name]
        if route.answer in (Answer.EVENTS, Answer.SOCKET):
            raise UsageError(f"{name} is no single answer", "use stream_events, or talk to the holder")
        target, data = target_of(route, parameters, query), body_of(route, body)
        attempts = _STARTS if route.method == "GET" or route.takes_id else 1
        for attempt in range(1, attempts + 1):
            try:
                with self._ask(route, target, data, {}, timeout_seconds) as response:
                    return _answer(route, response.read())
            except WireError as error:
                if attempt == attempts or isinstance(error, WireTimeout):
                    raise DaemonUnreachable(
                        f"the daemon took the request and did not answer: {error}", "at doctor"
                    ) from error
        raise AssertionError("the loop above returns or raises")

    def stream_events(self, after: int | None = None) -> Iterator[dict[str, Any]]:
        """Events as they happen, from the one behind `after` on (None: from now on), each once and in order.

        A stream that breaks off is taken up behind the last event that was seen. Raises TryLater when the daemon
        was told to end, DaemonUnreachable when it cannot be had back.
        """
        route, failures = BY_NAME["event_stream"], 0
        seen = self.call("events", query={"limit": 1})["last_seq"] if after is None else after
        while True:
            headers = {"last-event-id": str(seen)}
            try:
                with self._ask(
                    route, target_of(route, {}, None), None, headers, STREAM_TIMEOUT_SECONDS
                ) as response:
                    for event in _events(response):
                        seen, failures = int(event["seq"]), 0
                        yield event
            except WireError as error:
                failures += 1
                if failures == _STARTS:
                    raise DaemonUnreachable(
                        f"the stream of events broke off: {error}", "at doctor"
                    ) from error

    def _ask(
        self, route: Route, target: str, body: bytes | None, headers: dict[str, str], timeout_seconds: float
    ) -> Response:
        try:
            connection = connect(self._home.socket, timeout_seconds)
        except OSError as error:
            if self._start is None:
                raise DaemonUnreachable("no daemon answers", "at up") from error
            self._start()
            connection = self._connect_again(timeout_seconds)
        response = exchange(connection, route.method, target, headers, body)
        if response.status < 400:
            return response
        with response:
            raise error_of(response.status, response.read())

    def _connect_again(self, timeout_seconds: float) -> socket:
        try:
            return connect(self._home.socket, timeout_seconds)
        except OSError as error:
            raise DaemonUnreachable(f"the daemon was started and is gone: {error}", "at doctor") from error


def target_of(route: Route, parameters: Mapping[str, str], query: Mapping[str, object] | None) -> str:
    """Path and query of a request; raises UsageError for names that the route does not have, or lacks."""
    if set(parameters) != set(route.parameters):
        raise UsageError(f"{route.name} takes {list(route.parameters)}, not {sorted(parameters)}")
    for name, value in parameters.items():
        if not value:
            raise UsageError(f"the {name} is empty")
    path = "/".join(
        _quote(parameters[part[1:-1]]) if part.startswith("{") else part for part in route.path.split("/")
    )
    allowed = [name for name, _ in route.query]
    given = {name: value for name, value in (query or {}).items() if value is not None}
    if unknown := sorted(set(given) - set(allowed)):
        raise UsageError(
            f"{route.name} has no parameter {unknown[0]!r} (allowed: {', '.join(allowed) or 'none'})"
        )
    pairs = [
        f"{name}={_quote(str(int(value) if isinstance(value, bool) else value))}"
        for name, value in given.items()
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def body_of(route: Route, body: object) -> bytes | None:
    """The request's body as JSON; raises UsageError for one that the route does not take, or that is too large."""
    if route.request is None:
        if body is not None:
            raise UsageError(f"{route.name} takes no body")
        return None
    if body is None:
        body = {}
    if dataclasses.is_dataclass(body) and not isinstance(body, type):
        body = dataclasses.asdict(body)
    if route.takes_id and isinstance(body, dict) and body.get("id") is None:
        body = {**body, "id": str(uuid4())}
    data = json.dumps(body, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_BODY_BYTES:
        raise errors.TooLarge("the request", len(data), MAX_BODY_BYTES)
    return data


def error_of(status: int, document: bytes) -> AtError:
    """The error in an answer, with the same code, message, hint and exit code as where it was raised."""
    try:
        given = json.loads(document)["error"]
        code, message = str(given["code"]), str(given["message"])
        hint, exit_code = str(given.get("hint", "")), int(given.get("exit_code", 1))
    except (ValueError, KeyError, TypeError, AttributeError):
        return AtError(f"the daemon answered with status {status} and no reason", "at logs daemon")
    kinds = _by_code()
    kind = kinds.get(code) or _BY_EXIT_CODE.get(exit_code, AtError)
    error = kind.__new__(kind)  # the constructors of kinds build the message from what is not on the wire
    AtError.__init__(error, message, hint)
    error.code, error.exit_code = code, exit_code
    return error


def _by_code() -> dict[str, type[AtError]]:
    kinds: dict[str, type[AtError]] = {}
    waiting = [AtError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        kinds.setdefault(kind.code, kind)
    return kinds


_BY_EXIT_CODE: dict[int, type[AtError]] = {
    2: UsageError,
    3: errors.NeedsPerson,
    4: errors.NotFound,
    69: DaemonUnreachable,
    75: TryLater,
}


def _answer(route: Route, data: bytes) -> Any:
    if route.answer is Answer.BYTES:
        return data
    return data.decode("utf-8", "replace") if route.answer is Answer.TEXT else json.loads(data)


def _events(response: Response) -> Iterator[dict[str, Any]]:
    """The `data:` of each event (WHATWG HTML, section 9.2.6). Ours are one line; an `end` event closes the stream."""
    kind = ""
    for line in response.lines():
        field, _, value = line.partition(b":")
        if field == b"event":
            kind = value.strip().decode("ascii", "replace")
        elif field == b"data" and kind == "end":
            raise TryLater("the daemon was told to end", "at up")
        elif field == b"data":
            yield json.loads(value)
        elif not line:
            kind = ""
    raise WireError("the stream ended")


def _quote(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")
