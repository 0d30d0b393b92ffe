"""A demo that is ended from outside: SIGTERM and SIGHUP become an exception, so that it cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class EndedBySignal(BaseException):
    """The process was told to end by the signal `number`. No `Exception`: no handler of failures is to catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `EndedBySignal` at the first SIGTERM or SIGHUP that comes meanwhile.

    Further ones are ignored until the context is left: cleaning up is what they ask for. One that was ignored before
    (`nohup`) stays so.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]

    def end(number: int, _frame: FrameType | None) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)
        raise EndedBySignal(number)

    try:
        for number in heard:
            signal.signal(number, end)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
