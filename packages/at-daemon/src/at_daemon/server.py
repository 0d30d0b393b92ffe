"""The API's server: an app made from the route table, and uvicorn on our own Unix socket inside our own loop.

HTTP is parsed by h11. httptools takes less of the processor for a small GET (0.35 against 0.7 ms on a fresh
connection, on a slow two-core machine), but is a compiled part more to install, has no bound on the size of a
request's head, and the difference is 1 % of what starting a command takes. WebSockets need h11 anyway.
uvicorn's own loop, signal handlers, access log and headers are not used.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any, Final, cast

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as HttpRoute
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from at_core.api import MAX_BODY_BYTES, PROTOCOL, ROUTES, Answer, Route
from at_core.errors import AtError, NoSpaceLeft, NotFound, TooLarge, UsageError
from at_core.paths import Home
from at_daemon.__about__ import __version__
from at_daemon.edge import (
    Call,
    Handler,
    Internal,
    Stopping,
    body,
    encode,
    error_document,
    path_parameters,
    query_parameters,
    status_of,
)
from at_daemon.event_stream import EventStream
from at_daemon.sockets import BACKLOG, Peer, listen, peer_of
from at_daemon.terminal_socket import bridge

GRACE_SECONDS: Final = 5
_KEEP_ALIVE_SECONDS: Final = 30
_HEAD_BYTES: Final = 65536
_SOCKET_MESSAGE_BYTES: Final = 1024 * 1024
_FAREWELL_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class Api:
    """The ASGI app of a set of routes."""

    def __init__(
        self, handlers: Mapping[str, Handler], stopping: anyio.Event, routes: Sequence[Route]
    ) -> None:
        known = {"health": _health, "openapi": _openapi, **handlers}
        if missing := [route.name for route in routes if route.name not in known]:
            raise LookupError(f"routes without a handler: {', '.join(missing)}")
        self._questions: set[anyio.CancelScope] = set()
        endpoints = [_Endpoint(route, known[route.name], stopping, self._questions) for route in routes]
        self._app = Starlette(
            routes=[endpoint.mounted() for endpoint in endpoints],
            exception_handlers={HTTPException: _no_such_route},
        )
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        # Routed while still percent-encoded: a bead may be named by a title, and a title may have slashes.
        if "raw_path" in scope:
            scope["path"] = scope["raw_path"].decode("ascii", "replace")
        await self._app(scope, receive, send)

    def cut_questions_short(self) -> None:
        """End the GETs that still wait for something; they answer that the daemon is ending."""
        for scope in list(self._questions):
            scope.cancel()


def make_app(handlers: Mapping[str, Handler], stopping: anyio.Event, routes: Sequence[Route] = ROUTES) -> Api:
    """The app that serves `routes`, each by the handler of its name; `health` and `openapi` have one built in.

    Once `stopping` is set streams end and new requests are refused. Raises LookupError for a route without a handler.
    """
    return Api(handlers, stopping, routes)


async def serve(
    home: Home,
    handlers: Mapping[str, Handler],
    stopping: anyio.Event,
    *,
    grace_seconds: int = GRACE_SECONDS,
    owner_uid: int | None = None,
    routes: Sequence[Route] = ROUTES,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the API of `home` until `stopping` is set, or until cancelled; started when it listens.

    Orders in flight have `grace_seconds` to end. Connections of users other than `owner_uid` (this process's) are
    dropped unread. Raises AlreadyRunning if this process does not hold the home's lock, OSError if the socket
    cannot be made. Needs anyio's asyncio backend.
    """
    listener = listen(home)
    try:
        app = make_app(handlers, stopping, routes)
        config = _Config(app, os.geteuid() if owner_uid is None else owner_uid, grace_seconds)
        await _Server(config).run_until(stopping, app, listener, task_status)
    finally:
        listener.close()
        home.socket.unlink(missing_ok=True)


class _Endpoint:
    """One route as an ASGI app."""

    def __init__(
        self, route: Route, handler: Handler, stopping: anyio.Event, questions: set[anyio.CancelScope]
    ) -> None:
        self._route = route
        self._handler = handler
        self._stopping = stopping
        self._questions = questions

    def mounted(self) -> HttpRoute | WebSocketRoute:
        if self._route.answer is Answer.SOCKET:
            return WebSocketRoute(self._route.path, self._serve_socket, name=self._route.name)
        return HttpRoute(self._route.path, self, methods=[self._route.method], name=self._route.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = self._answer(await self._carry_out(await self._read(scope, receive)))
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the edge of the process: a client gets one line, the log the rest
            answer = _failure(self._known(error))
        await answer(scope, receive, send)

    async def _serve_socket(self, websocket: WebSocket) -> None:
        try:
            feed = await self._carry_out(self._call(websocket.scope))
        except Exception as error:  # noqa: BLE001 - the edge of the process: a client gets one line, the log the rest
            await websocket.send_denial_response(_failure(self._known(error)))
            return
        await bridge(websocket, feed)

    def _call(self, scope: Scope, content: bytes = b"") -> Call:
        route = self._route
        uid, pid = scope["client"]
        return Call(
            route=route,
            peer=Peer(uid=int(uid), pid=pid or None),
            path=path_parameters(scope["path_params"]),
            query=query_parameters(route, scope["query_string"], _header(scope, b"last-event-id")),
            body=body(route, content),
        )

    async def _read(self, scope: Scope, receive: Receive) -> Call:
        sends_body = _header(scope, b"content-length") or _header(scope, b"transfer-encoding")
        return self._call(scope, await _content(scope, receive) if sends_body else b"")

    async def _carry_out(self, call: Call) -> Any:
        if self._stopping.is_set():
            raise Stopping
        if self._route.method != "GET":
            return await self._handler(call)
        with anyio.CancelScope() as scope:
            self._questions.add(scope)
            try:
                return await self._handler(call)
            finally:
                self._questions.discard(scope)
        raise Stopping

    def _answer(self, result: Any) -> ASGIApp:
        answer = self._route.answer
        if answer is Answer.EVENTS:
            return EventStream(result, self._stopping)
        if answer is Answer.JSON:
            return Response(encode(result), media_type=answer.value)
        if answer is Answer.TEXT:
            return Response(cast(str, result).encode("utf-8", "backslashreplace"), media_type=answer.value)
        if isinstance(result, AsyncIterable):
            return StreamingResponse(result, media_type=answer.value)
        return Response(result, media_type=answer.value)

    def _known(self, error: Exception) -> AtError:
        if isinstance(error, AtError):
            return error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NoSpaceLeft(str(error.filename or "the home folder"))
        internal = Internal(os.urandom(4).hex())
        _log.error("%s: %s", self._route.name, internal.message, exc_info=error)
        return internal


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return cast(bytes, value).decode("latin-1")
    return None


async def _content(scope: Scope, receive: Receive) -> bytes:
    """The request's body; raises TooLarge as soon as it is known to be."""
    length = _header(scope, b"content-length")
    if length is not None and int(length) > MAX_BODY_BYTES:
        raise TooLarge("the request", int(length), MAX_BODY_BYTES)
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLarge("the request", None, MAX_BODY_BYTES)
        more = message.get("more_body", False)
    return b"".join(parts)


def _failure(error: AtError) -> Response:
    # A body that nobody reads ends with its connection.
    headers = {"connection": "close"} if isinstance(error, TooLarge) else None
    return Response(
        encode(error_document(error)),
        status_code=status_of(error),
        media_type=Answer.JSON.value,
        headers=headers,
    )


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    what = f"{request.method} {request.url.path}"
    failure: AtError = NotFound("route", what, "GET /v1/openapi.json")
    if status == 405:
        failure = UsageError(f"{what}: the method is not allowed", "GET /v1/openapi.json")
    answer = _failure(failure)
    answer.status_code = status
    return answer


async def _health(_call: Call) -> dict[str, Any]:
    return {"ok": True, "pid": os.getpid(), "version": __version__, "protocol": PROTOCOL}


async def _openapi(_call: Call) -> dict[str, Any]:
    from at_core.openapi import openapi_document

    return openapi_document(__version__)


class _Config(uvicorn.Config):
    """uvicorn as a part: everything that it would do on its own account is off."""

    def __init__(self, app: Api, owner_uid: int, grace_seconds: int) -> None:
        super().__init__(
            app,
            http=_Http,
            ws=_WebSocket,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            workers=1,
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=grace_seconds,
            h11_max_incomplete_event_size=_HEAD_BYTES,
            ws_max_size=_SOCKET_MESSAGE_BYTES,
            ws_ping_interval=None,  # the kernel says when a local peer is gone
            ws_per_message_deflate=False,
        )
        self.owner_uid = owner_uid
        self.grace_seconds = grace_seconds
        self.lost = asyncio.Event()
        """Set when a connection has ended."""


class _Http(H11Protocol):
    """A connection, whose peer is known before a byte is read from it."""

    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = _peer(transport)
        if not isinstance(self.config, _Config) or peer.uid != self.config.owner_uid:
            _log.warning("refused a connection of uid %d (pid %s)", peer.uid, peer.pid)
            self._refused = True
            transport.abort()
            return
        super().connection_made(transport)
        self.client = (str(peer.uid), peer.pid or 0)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._refused:
            super().connection_lost(exc)
            _tell_of_end(self.config)


class _WebSocket(WSProtocol):
    """What a connection becomes after an upgrade; its peer was checked before."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _tell_of_end(self.config)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = _peer(transport)
        self.client = (str(peer.uid), peer.pid or 0)


def _tell_of_end(config: uvicorn.Config) -> None:
    cast(_Config, config).lost.set()


def _peer(transport: asyncio.Transport) -> Peer:
    return peer_of(transport.get_extra_info("socket"))


class _Server(uvicorn.Server):
    """Start and end of serving. uvicorn's own main loop and shutdown wake ten times a second to look at flags."""

    config: _Config

    async def run_until(
        self, stopping: anyio.Event, app: Api, listener: socket.socket, task_status: TaskStatus[None]
    ) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        try:
            task_status.started()
            await stopping.wait()
        finally:
            with anyio.CancelScope(shield=True):
                app.cut_questions_short()
                await self._end()

    async def _end(self) -> None:
        """Take no more connections, close the idle ones, and give the others the grace."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self.config.grace_seconds):
            await self._all_done()
        if left := set(self.server_state.tasks):
            _log.warning("gave up %d requests that did not end", len(left))
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=_FAREWELL_SECONDS)

    async def _all_done(self) -> None:
        state = self.server_state
        while state.tasks or state.connections:
            self.config.lost.clear()
            if state.tasks:
                await asyncio.wait(set(state.tasks))
            else:
                await self.config.lost.wait()
