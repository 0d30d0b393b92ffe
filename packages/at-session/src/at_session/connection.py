"""Connections to a holder's socket, for asyncio."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio

from at_session import holder_wire as wire
from at_session import protocol
from at_session.errors import HolderSilent
from at_session.protocol import Frame, FrameParser, socket_address
from at_session.silence import AGAIN_SECONDS, ANSWER_SECONDS, NOBODY, NOTHING, Unheard

RECEIVE = 1 << 16


def answered_by() -> float:
    """The time, of the event loop's clock, until which a request that begins now is answered."""
    return anyio.move_on_after(ANSWER_SECONDS).deadline


class Connection:
    """One connection to a holder: requests in order, one at a time. Raises OSError when the holder is gone."""

    def __init__(self, connected: socket.socket, session_id: str) -> None:
        self.session_id = session_id
        self.status: dict[str, str] = {}
        """What the holder said of itself in its greeting."""
        self._socket = connected
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        self._requests = 0

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)

    async def receive(self) -> list[Frame]:
        """The frames that have arrived, or wait for some, as long as it takes."""
        found, self._frames = self._frames, []
        while not found:
            try:
                data = self._socket.recv(RECEIVE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            if not data:
                raise ConnectionResetError("the holder has closed the connection")
            found = self._parser.feed(data)
        return found

    async def request(self, kind: int, payload: bytes = b"", *, until: float | None = None) -> dict[str, str]:
        """Send and wait for the answer. Raises RequestRefused.

        Without an answer `until` then (of the event loop's clock; None: in ANSWER_SECONDS) raises HolderSilent, and the
        connection is closed, as half a frame may have left.
        """
        self._requests += 1
        with anyio.CancelScope(deadline=answered_by() if until is None else until):
            await self._send(wire.frame(kind, self._requests, payload))
            return await self._answer(self._requests)
        self.close()
        raise HolderSilent(self.session_id, NOTHING % ANSWER_SECONDS)

    async def _answer(self, number: int) -> dict[str, str]:
        while True:
            found = await self.receive()
            for at, frame in enumerate(found):
                if frame.request == number:
                    self._frames = found[at + 1 :]
                    return frame.fields()

    def close(self, *, waited_on: bool = True) -> None:
        """Close the socket; whoever waits on it gets ClosedResourceError. Telling them needs the event loop."""
        if waited_on and self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
        self._socket.close()


async def connect(run_dir: Path, session_id: str) -> Connection:
    """A connection that has said hello. Raises OSError, one of NOBODY where nobody listens."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection = Connection(opened, session_id)
    try:
        opened.setblocking(False)
        with socket_address(run_dir, session_id) as address:
            opened.connect(address)  # to a local socket: at once, or EAGAIN when too many wait to be accepted
        connection.status = await connection.request(wire.HELLO, protocol.hello())
    except BaseException:  # whatever ends the greeting, cancellation included, must not leave a socket open
        connection.close()
        raise
    return connection


async def reach(
    run_dir: Path, session_id: str, *, starting: bool = False, until: float | None = None
) -> Connection:
    """A connection that has said hello. Raises one of NOBODY where no process holds the session, else HolderSilent
    after trying `until` then, of the event loop's clock (None: for ANSWER_SECONDS).

    A holder that lives without its socket is called once: it binds it anew, unless another file is in the way. With
    `starting` there may be neither yet, and one of NOBODY is raised without a look at the processes.
    """
    trouble: str | None = None
    unheard = Unheard(run_dir, session_id)
    with anyio.CancelScope(deadline=answered_by() if until is None else until):
        while True:
            try:
                return await connect(run_dir, session_id)
            except NOBODY:
                if starting or (trouble := unheard.reason()) is None:
                    raise
            except OSError as error:
                trouble = str(error)
            await anyio.sleep(AGAIN_SECONDS)
    raise HolderSilent(session_id, trouble or NOTHING % ANSWER_SECONDS)
