"""The client's side of the holder's socket protocol, without I/O: requests to bytes, bytes to replies.

Numbers and layouts are defined in `at_session.holder`; docs/protocol.md describes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from at_session import holder_wire as wire
from at_session.errors import (
    DiskFull,
    InputClosed,
    InputFull,
    LeaseEnded,
    LeaseHeld,
    ProtocolBroken,
    RequestRefused,
)
from at_session.journal import text_fields

REFUSALS = {
    "busy": LeaseHeld,
    "fence": LeaseEnded,
    "disk": DiskFull,
    "input-full": InputFull,
    "ended": InputClosed,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the protocol, either way."""

    kind: int
    request: int
    payload: bytes

    def fields(self) -> dict[str, str]:
        """Of an OK or NEWS frame. Raises what the holder refused with, or ProtocolBroken."""
        if self.kind not in (wire.OK, wire.ERROR, wire.NEWS):
            raise ProtocolBroken(f"frame type {self.kind} in place of a reply")
        try:
            found = text_fields(self.payload)
        except ValueError:
            raise ProtocolBroken("a reply that is no list of fields") from None
        if self.kind == wire.ERROR:
            code, reason = found.get("code", "?"), found.get("message", "")
            raise REFUSALS.get(code, RequestRefused)(code, reason)
        return found


class FrameParser:
    """Bytes of the socket in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by `data`. Raises ProtocolBroken on one larger than any holder sends."""
        self._buffer += data
        found: list[Frame] = []
        at, head = 0, wire.FRAME.size
        while len(self._buffer) - at >= head:
            size, kind, request = wire.FRAME.unpack_from(self._buffer, at)
            if size > wire.MAX_FRAME:
                raise ProtocolBroken(f"a frame of {size} bytes")
            if len(self._buffer) - at - head < size:
                break
            found.append(Frame(kind, request, bytes(self._buffer[at + head : at + head + size])))
            at += head + size
        del self._buffer[:at]
        return found


def hello() -> bytes:
    """The range of protocol versions this client speaks."""
    return wire.pack_fields(("min", 1), ("max", wire.PROTOCOL))


def write(write_id: str, data: bytes, fence: int) -> bytes:
    """Payload of WRITE."""
    encoded = write_id.encode("ascii")
    return wire.WRITE_HEAD.pack(fence, len(encoded)) + encoded + data


@contextmanager
def socket_address(run_dir: Path, session_id: str) -> Iterator[str]:
    """An address of the session's socket that fits sun_path however long the folder's path is.

    Needs /proc for folders whose path is too long; it is valid inside the block.
    """
    direct = run_dir / f"{session_id}.sock"
    if len(os.fsencode(direct)) < 100:
        yield str(direct)
        return
    folder = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{session_id}.sock"
    finally:
        os.close(folder)
