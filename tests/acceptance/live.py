"""A program on a terminal that a test reads as a person does: what stands on the screen, drawn by a terminal emulator."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyte
from acceptance.product import PATIENCE_SECONDS, Product


class Live:
    """The program, its terminal, and what it has drawn so far."""

    def __init__(self, master: int, process: subprocess.Popen[bytes], columns: int, lines: int) -> None:
        self.master = master
        self.process = process
        self.screen = pyte.Screen(columns, lines)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """The screen, line by line."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, wanted: str | Callable[[str], bool]) -> str:
        """Read until the screen shows it."""
        shows = wanted if callable(wanted) else lambda text: wanted in text
        while not shows(self.text):
            assert self._read(), f"it ended before it showed {wanted}:\n{self.text}"
        return self.text

    def until_written(self, sequence: bytes) -> None:
        """Read until the program has written this."""
        while sequence not in self.raw:
            assert self._read(), f"it ended before it wrote {sequence!r}"

    def press(self, *keys: str) -> None:
        """Type them."""
        for key in keys:
            os.write(self.master, key.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait()

    def modes(self) -> list[Any]:
        """How the terminal is set now."""
        return termios.tcgetattr(self.master)[:4]

    def _read(self) -> bool:
        assert select.select([self.master], [], [], PATIENCE_SECONDS)[0], f"nothing came:\n{self.text}"
        try:
            data = os.read(self.master, 65536)
        except OSError:  # what Linux says once nobody has the other end any more
            return False
        self.raw += data
        # pyte takes the private modes of synchronized output for something else.
        self._stream.feed(data.replace(b"\x1b[?2026h", b"").replace(b"\x1b[?2026l", b""))
        return bool(data)


def _take_terminal() -> None:
    """Standard input becomes the terminal that controls the new session, as it is in a window."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def live(product: Product, *command: str, columns: int = 80, lines: int = 24, **env: str) -> Iterator[Live]:
    """A command on a terminal of that size; it is ended at last if it has not ended itself."""
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=product.repo,
        env=product.env | {"TERM": "xterm-256color"} | env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    try:
        yield Live(master, process, columns, lines)
    finally:
        os.close(master)
        process.send_signal(signal.SIGKILL)
        process.wait()
