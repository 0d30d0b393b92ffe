"""The demo agent's side of its JSON-lines protocol: requests on stdin, reports on stdout, one object per line."""

from __future__ import annotations

import json
import os
import select
import time

STDIN = 0
STDOUT = 1
_READ_SIZE = 1 << 16


class Interrupted(Exception):
    """A person or the daemon asked the turn to stop."""


class Disconnected(Exception):
    """Standard input was closed while the agent needed an answer."""


class Channel:
    """Reads and writes the protocol on file descriptors 0 and 1 in one thread."""

    def __init__(self) -> None:
        self._partial = b""
        self.requests: list[dict[str, object]] = []
        self.closed = False

    def send(self, report: str, **fields: object) -> None:
        self.put({"type": report, **fields})

    def put(self, message: dict[str, object]) -> None:
        """Write one line."""
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(STDOUT, data) :]

    def wait(self, seconds: float | None, also: int | None = None) -> bool:
        """Wait for input, at most `seconds`; true once the descriptor `also` is readable."""
        watched = [] if self.closed else [STDIN]
        if also is not None:
            watched.append(also)
        ready, _, _ = select.select(watched, [], [], seconds)
        if STDIN in ready:
            self._read()
        return also in ready

    def deadline(self, seconds: float) -> float:
        return time.monotonic() + seconds

    def remaining(self, deadline: float) -> float:
        return max(0.0, deadline - time.monotonic())

    def _read(self) -> None:
        data = os.read(STDIN, _READ_SIZE)
        if not data:
            self.closed = True
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            request = json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            request = None
        if isinstance(request, dict) and isinstance(request.get("type"), str):
            self.requests.append(request)
        else:
            self.send("error", message="not a request", line=line[:200].decode("utf-8", "replace"))
