"""A client of the holder's socket that blocks, for programs without an event loop and for `attach`."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType

from at_session import holder_wire as wire
from at_session import protocol
from at_session.errors import HolderSilent
from at_session.protocol import Frame, FrameParser, socket_address
from at_session.silence import AGAIN_SECONDS, ANSWER_SECONDS, NOBODY, NOTHING, Unheard


class BlockingClient:
    """One connection that has said hello.

    Raises one of NOBODY where no process holds the session, HolderSilent after five seconds without an answer, then or
    later, and ConnectionError when the holder closes the connection.
    """

    socket: socket.socket

    def __init__(self, run_dir: Path, session_id: str) -> None:
        self.session_id = session_id
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        self._requests = 0
        self._reach(run_dir)

    def _reach(self, run_dir: Path) -> None:
        unheard = Unheard(run_dir, self.session_id)
        trouble: str | None = None
        for _ in range(round(ANSWER_SECONDS / AGAIN_SECONDS)):
            try:
                self._connect(run_dir)
                return
            except NOBODY:
                if (trouble := unheard.reason()) is None:
                    raise
            except OSError as error:
                trouble = str(error)
            time.sleep(AGAIN_SECONDS)
        raise HolderSilent(self.session_id, trouble or NOTHING % ANSWER_SECONDS)

    def _connect(self, run_dir: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(ANSWER_SECONDS)
            with socket_address(run_dir, self.session_id) as address:
                self.socket.connect(address)
            self.status = self.request(wire.HELLO, protocol.hello())
        except BaseException:  # whatever ends the greeting must not leave a socket open
            self.socket.close()
            raise

    def post(self, kind: int, payload: bytes) -> None:
        """Send a request that is answered only when it is refused, by a frame of request 0."""
        self._send(wire.frame(kind, 0, payload))

    def send(self, kind: int, payload: bytes = b"", passed: tuple[int, ...] = ()) -> int:
        """Send a request, and open files with it, and return its number; its answer comes through `frames`."""
        self._requests += 1
        self._send(wire.frame(kind, self._requests, payload), passed)
        return self._requests

    def _send(self, frame: bytes, passed: tuple[int, ...] = ()) -> None:
        self.socket.settimeout(ANSWER_SECONDS)
        try:
            sent = socket.send_fds(self.socket, [frame], passed) if passed else 0
            self.socket.sendall(frame[sent:])
        except TimeoutError:
            raise HolderSilent(self.session_id, f"it takes {NOTHING}" % ANSWER_SECONDS) from None

    def request(self, kind: int, payload: bytes = b"", passed: tuple[int, ...] = ()) -> dict[str, str]:
        """Send a request and wait for its answer. Raises RequestRefused. Other frames stay for `frames`."""
        number = self.send(kind, payload, passed)
        while True:
            for at, frame in enumerate(self._frames):
                if frame.request == number and frame.kind != wire.NEWS:
                    del self._frames[at]
                    return frame.fields()
            self._frames += self._receive(ANSWER_SECONDS)

    @property
    def waiting(self) -> bool:
        """True when `frames` has some without reading the socket."""
        return bool(self._frames)

    def frames(self, limit: float | None = None) -> list[Frame]:
        """The frames that have arrived, or wait for some: `limit` seconds, or as long as it takes."""
        found, self._frames = self._frames, []
        return found or self._receive(limit)

    def _receive(self, limit: float | None) -> list[Frame]:
        self.socket.settimeout(limit)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise HolderSilent(self.session_id, NOTHING % (limit or 0)) from None
        if not data:
            raise ConnectionResetError("the holder has closed the connection")
        return self._parser.feed(data)

    def close(self) -> None:
        """Close the connection, which ends a lease it holds."""
        self.socket.close()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
