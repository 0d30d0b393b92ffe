"""The daemon of a live screen: its document whenever something happened, and orders, each in a thread.

News are put into a queue; `wake` tells the loop. Nothing is asked for while nothing happens. How soon after one
another documents are asked for depends on how long one takes, so that many busy agents cost the daemon a twentieth of
a core, and more only where one takes more than a quarter of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from at_cli.clock import monotonic
from at_cli.daemon import Daemon
from at_cli.top.model import Document, Errand
from at_core.errors import AtError

LEAST_PAUSE_SECONDS = 0.1
MOST_PAUSE_SECONDS = 5.0
SHARE = 20
"""A pause is so many times as long as the answer before it took, within these bounds."""
RETRY_SECONDS = 1.0
WAIT_SECONDS = 20.0
ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The newest document, or None while no daemon answers."""

    document: Document | None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an order: words for the person."""

    notice: str


@dataclass(frozen=True, slots=True)
class Page:
    """Something to read, with the number under which it was asked for."""

    number: int
    title: str
    lines: list[str]


class Feed:
    """Follows the daemon until the process ends; its threads hold nothing that would have to be closed."""

    def __init__(self, daemon: Daemon, path: str, wake: Callable[[], None]) -> None:
        self.queue: SimpleQueue[Refreshed | Answered | Page] = SimpleQueue()
        self._daemon = daemon
        self._path = path
        self._wake = wake

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, daemon=True).start()

    def order(self, order: Errand, env: dict[str, str]) -> None:
        """Have it done; the queue tells what came of it."""
        values = {**order.values, **({"env": env} if order.route in ("nudge", "retry") else {})}
        threading.Thread(target=self._order, args=(order, values), daemon=True).start()

    def read(self, make: Callable[[Daemon], Page]) -> None:
        """Have something to read made; the queue gets it."""

        def work() -> None:
            try:
                self._put(make(self._daemon))
            except AtError as error:
                self._put(Answered(_words(error)))

        threading.Thread(target=work, daemon=True).start()

    def _order(self, order: Errand, values: dict[str, Any]) -> None:
        try:
            self._daemon.call(order.route, **values)
        except AtError as error:
            self._put(Answered(_words(error)))
        else:
            self._put(Answered(order.said))

    def _follow(self) -> None:
        while True:
            began = monotonic()
            try:
                document = self._daemon.call_running("top", path=self._path)
                took = monotonic() - began
                self._put(Refreshed(document))
                threading.Event().wait(max(LEAST_PAUSE_SECONDS, min(SHARE * took, MOST_PAUSE_SECONDS)))
                while not self._anything_since(document["seq"]):
                    pass
            except (AtError, OSError):
                self._put(Refreshed(None))
                threading.Event().wait(RETRY_SECONDS)

    def _anything_since(self, seq: int) -> bool:
        """Wait for a while until something happens behind this event; whether something did."""
        waits = {"after": seq, "limit": 1, "seconds": WAIT_SECONDS}
        timeout_seconds = WAIT_SECONDS + ANSWER_SECONDS
        return bool(self._daemon.call_running("events", timeout_seconds=timeout_seconds, **waits)["events"])

    def _put(self, news: Refreshed | Answered | Page) -> None:
        self.queue.put(news)
        self._wake()


def _words(error: AtError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
