"""A client of the holder's socket that blocks, for programs without an event loop and for `attach`."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from at_session import holder_wire as wire
from at_session import protocol
from at_session.protocol import Frame, FrameParser, socket_address


class BlockingClient:
    """One connection that has said hello. Raises OSError when no holder answers, then or later."""

    def __init__(self, run_dir: Path, session_id: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        self._requests = 0
        try:
            with socket_address(run_dir, session_id) as address:
                self.socket.connect(address)
            self.status = self.request(wire.HELLO, protocol.hello())
        except BaseException:  # whatever ends the greeting must not leave a socket open
            self.socket.close()
            raise

    def post(self, kind: int, payload: bytes) -> None:
        """Send a request that is answered only when it is refused, by a frame of request 0."""
        self.socket.sendall(wire.frame(kind, 0, payload))

    def send(self, kind: int, payload: bytes = b"", passed: tuple[int, ...] = ()) -> int:
        """Send a request, and open files with it, and return its number; its answer comes through `frames`."""
        self._requests += 1
        frame = wire.frame(kind, self._requests, payload)
        sent = socket.send_fds(self.socket, [frame], passed) if passed else 0
        self.socket.sendall(frame[sent:])
        return self._requests

    def request(self, kind: int, payload: bytes = b"", passed: tuple[int, ...] = ()) -> dict[str, str]:
        """Send a request and wait for its answer. Raises RequestRefused. Other frames stay for `frames`."""
        number = self.send(kind, payload, passed)
        while True:
            for at, frame in enumerate(self._frames):
                if frame.request == number and frame.kind != wire.NEWS:
                    del self._frames[at]
                    return frame.fields()
            self._frames += self._receive()

    @property
    def waiting(self) -> bool:
        """True when `frames` has some without reading the socket."""
        return bool(self._frames)

    def frames(self) -> list[Frame]:
        """The frames that have arrived, or wait for some. Raises ConnectionError when the holder is gone."""
        found, self._frames = self._frames, []
        return found or self._receive()

    def _receive(self) -> list[Frame]:
        data = self.socket.recv(1 << 16)
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
