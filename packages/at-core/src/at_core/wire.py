"""HTTP/1.1 over a Unix socket, the side that asks: one request on each connection.

`http.client` would do, but it loads the mail package: measured 45 ms of imports against 6 ms here, more than
a verb of the command line may take altogether. Bodies end by their length, by chunks, or with the connection
(RFC 9112, section 6.3); a body that stops early is an error, never a shorter body.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from at_core.paths import short_socket_path

_MAX_HEAD_LINES = 100
_MAX_LINE = 65536


class WireError(Exception):
    """The other side ended early, took too long, or does not speak HTTP."""


class WireTimeout(WireError):
    """The other side took too long."""


@dataclass(slots=True)
class Response:
    """Status and headers (names in lower case); the body is still to be read. Close it."""

    status: int
    headers: dict[str, str]
    _source: BufferedReader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._source.close()

    def read(self) -> bytes:
        """The whole body; raises WireError if it is cut short."""
        return b"".join(self.parts())

    def lines(self) -> Iterator[bytes]:
        """The body's lines without their ends, each as soon as it is there; raises WireError if it is cut short."""
        rest = b""
        for part in self.parts():
            *whole, rest = (rest + part).split(b"\n")
            yield from whole

    def parts(self) -> Iterator[bytes]:
        """The body as it comes; raises WireError if it is cut short."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            elif "content-length" in self.headers:
                yield self._exactly(int(self.headers["content-length"]))
            else:
                while part := self._source.read1(_MAX_LINE):
                    yield part
        except (OSError, ValueError) as error:
            raise _wire_error(error) from error

    def _chunks(self) -> Iterator[bytes]:
        while size := int(_line(self._source).partition(b";")[0], 16):
            yield self._exactly(size)
            _line(self._source)
        while _line(self._source):
            pass

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise WireError(f"the answer broke off after {len(data)} of {size} bytes")
        return data


def connect(path: Path, timeout_seconds: float) -> socket.socket:
    """A connection to the socket at `path`, however long that is; raises OSError, surely before anything was sent."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_socket_path(path) as address:
            connection.connect(address)  # blocking: with a time-out, a full queue would be an error at once
        connection.settimeout(timeout_seconds)
    except BaseException:  # whatever ends it, no socket is left open
        connection.close()
        raise
    return connection


def exchange(
    connection: socket.socket, method: str, target: str, headers: dict[str, str], body: bytes | None
) -> Response:
    """Send one request and read the head of its response; raises WireError. The connection is closed with either."""
    with connection:  # the descriptor stays open until its reader is closed too
        source = connection.makefile("rb")
        try:
            _send(connection, _head(method, target, headers, body), body or b"")
            return Response(*_read_head(source), source)
        except (OSError, ValueError) as error:
            source.close()
            raise _wire_error(error) from error
        except BaseException:  # whatever ends it, no socket is left open
            source.close()
            raise


def _send(connection: socket.socket, head: bytes, body: bytes) -> None:
    try:
        connection.sendall(head)
        connection.sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a server that refuses a body answers before it has read it all


def _wire_error(error: Exception) -> WireError:
    if isinstance(error, TimeoutError):
        return WireTimeout("nothing came for too long")
    return WireError(f"the connection broke off: {error}")


def _head(method: str, target: str, headers: dict[str, str], body: bytes | None) -> bytes:
    fields = {"host": "at", "connection": "close", **headers}
    if body is not None:
        fields |= {"content-type": "application/json", "content-length": str(len(body))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")


def _read_head(source: BufferedReader) -> tuple[int, dict[str, str]]:
    version, _, rest = _line(source).partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise WireError("what answers does not speak HTTP")
    fields: dict[str, str] = {}
    for _ in range(_MAX_HEAD_LINES):
        line = _line(source)
        if not line:
            return int(rest[:3]), fields
        name, _, value = line.partition(b":")
        fields[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    raise WireError("the answer has too many headers")


def _line(source: BufferedReader) -> bytes:
    line = source.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise WireError("the connection ended before the answer did")
    return line.rstrip(b"\r\n")
