"""The terminal of a live screen: raw, on its alternate screen, and always given back as it was.

Signals only wake the loop (`signal.set_wakeup_fd`), which restores the terminal before it does what they are for.
"""

from __future__ import annotations

import os
import signal
import socket
import termios
import tty
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from at_cli import terminal_title

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
_HOLD, _SHOW = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: a picture is shown whole. Terminals that do not know it ignore it."""
SIGNALS = (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTSTP, signal.SIGCONT)


class LiveScreen:
    """The terminal on descriptors 0 and 1. A context manager."""

    def __init__(self, encode: Callable[[str], bytes], *, titled: bool) -> None:
        self._encode = encode
        self._titled = titled
        self._title = ""
        self._shown: list[str] = []
        self._before: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}
        self.waker, self._woken = socket.socketpair()
        self.waker.setblocking(False)
        self._woken.setblocking(False)
        self._old_wakeup = -1

    def fileno(self) -> int:
        """Readable when a signal came, or when somebody wrote a zero byte to `waker`."""
        return self._woken.fileno()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = os.get_terminal_size(1)
        return found.columns or 80, found.lines or 24

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(0)
        self._old_wakeup = signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _only_wake) for number in SIGNALS}
        try:
            self._take()
        except BaseException:  # whatever it is, the terminal is given back first
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.waker.close()
        self._woken.close()

    def signals(self) -> list[int]:
        """The signals that came; empty if only somebody else woke the loop."""
        try:
            return [number for number in self._woken.recv(4096) if number]
        except BlockingIOError:
            return []

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, writing only those that are others than before."""
        changed = [
            f"\x1b[{place};1H{line}\x1b[0m\x1b[K"
            for place, line in enumerate(lines, 1)
            if place > len(self._shown) or line != self._shown[place - 1]
        ]
        if changed:
            self._write(_HOLD + "".join(changed) + _SHOW)
        self._shown = list(lines)

    def clear(self) -> None:
        """Forget what is shown: the next picture is written whole."""
        self._shown = []
        self._write("\x1b[2J")

    def name(self, title: str) -> None:
        """Have the terminal bear this title, if it has one."""
        if self._titled and title != self._title:
            self._write(terminal_title.sequence(title))
            self._title = title

    def notify(self, sequence: str) -> None:
        """Send a sequence that leaves no mark on the screen."""
        self._write(sequence)

    def suspend(self) -> None:
        """Give the terminal back and stop, as ctrl-z does; returns when the shell lets it go on."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, _only_wake)
        self._take()

    def _take(self) -> None:
        tty.setraw(0, termios.TCSADRAIN)
        self._shown, self._title = [], ""
        self._write((terminal_title.KEEP if self._titled else "") + ENTER)

    def _give_back(self) -> None:
        try:
            self._write((terminal_title.GIVE_BACK if self._titled else "") + LEAVE)
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)
        except (OSError, termios.error):
            pass  # the terminal is gone, and nobody looks at it

    def _write(self, text: str) -> None:
        rest = memoryview(self._encode(text))
        while rest:
            rest = rest[os.write(1, rest) :]


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """The byte that Python writes to the wakeup descriptor is all that is wanted."""
