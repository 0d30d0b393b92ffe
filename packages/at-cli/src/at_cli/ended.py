"""A demo that is ended from outside: three signals become one exception, which never comes while it cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndedBySignal(BaseException):
    """The process was told to end by the signal `number`. No `Exception`: no handler of failures is to catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


class Ending:
    """The first signal that came, and whether one may interrupt now. It interrupts once at most."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._interrupts = False

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise `EndedBySignal` for a signal that comes meanwhile or came before; outside of this it is only noted.

        What is to be cleaned up needs one `try` around this context: the exception can also come while it is left.
        """
        self._interrupts = True
        try:
            if self.number is not None:
                raise EndedBySignal(self.number)
            yield
        finally:
            self._interrupts = False

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """The handler of the signals."""
        if self.number is None:
            self.number = number
        if self._interrupts:
            self._interrupts = False
            raise EndedBySignal(number)


@contextmanager
def ended_by_signals() -> Iterator[Ending]:
    """Hear SIGINT, SIGTERM and SIGHUP until the context is left; see `Ending.interrupting`.

    One that was ignored before (`nohup`) stays so. Child processes do not inherit this.
    """
    ending = Ending()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, ending.hear)
        yield ending
    finally:
        for number in heard:
            signal.signal(number, before[number])
