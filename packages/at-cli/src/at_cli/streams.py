"""What a call reads from and writes to: bytes, with the facts of the terminal at the other end, if there is one."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from at_cli import fast


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Streams:
    """Standard input, output and error. `encoding` is that of plain text; JSON is UTF-8 whatever the locale."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO
    encoding: str = "utf-8"
    interactive: bool = False
    """Whether both input and output are a terminal, so that a person can be asked."""
    terminal: bool = False
    error_terminal: bool = False
    colour: bool = False
    width: int = 80

    @classmethod
    def of_process(cls) -> Streams:
        """Those of this process. A stream that the caller closed is like one to the null device."""
        fill_closed_descriptors()
        # In their places, because click and the interpreter's own end write there too.
        sys.stdin = sys.stdin or _opened(0, "r")
        sys.stdout = sys.stdout or _opened(1, "w")
        sys.stderr = sys.stderr or _opened(2, "w")
        return cls(
            stdin=sys.stdin.buffer,
            stdout=sys.stdout.buffer,
            stderr=sys.stderr.buffer,
            encoding=sys.stdout.encoding or "utf-8",
            interactive=os.isatty(0) and os.isatty(1),
            terminal=os.isatty(1),
            error_terminal=os.isatty(2),
            colour=fast.wants_colour(),
            width=fast.width(),
        )

    def encode(self, text: str) -> bytes:
        """`text` in the locale's encoding; what that cannot say becomes a backslash escape."""
        return text.encode(self.encoding, "backslashreplace")


def _opened(descriptor: int, mode: str) -> TextIO:
    stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as we do
    assert isinstance(stream, io.TextIOWrapper)  # what a text mode gives
    return stream


def fill_closed_descriptors() -> None:
    """Open the null device on each of 0, 1, 2 that is closed, so that no socket or file takes its number."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)
