"""The loop of the live screen: keys, news and signals in, pictures and orders out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
from queue import Empty

from at_cli.clock import now
from at_cli.daemon import Daemon
from at_cli.face import Face
from at_cli.style import Look
from at_cli.terminal_notice import of_need
from at_cli.top.draw import picture, window_title
from at_cli.top.feed import Answered, Feed, Page, Refreshed
from at_cli.top.keys import Keys
from at_cli.top.model import (
    Document,
    Effect,
    Errand,
    Fetch,
    Leave,
    State,
    newly_wanted,
    press,
    with_document,
    with_fetched,
    with_notice,
)
from at_cli.top.paper import Paper
from at_cli.top.screen import LiveScreen
from at_cli.views.bead import bead_lines
from at_core.text import is_cut

ESCAPE_SECONDS = 0.05
"""A sequence that does not go on within this was the escape key alone."""
TICK_SECONDS = 30.0
"""Ages are shown in minutes."""
_ENDS = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


class Top:
    """One live screen."""

    def __init__(self, face: Face, screen: LiveScreen, *, light: bool, notifies: bool) -> None:
        self._face = face
        self._screen = screen
        self._light = light
        self._notifies = notifies
        self._known: frozenset[str] | None = None
        self._keys = Keys()
        self._state = State()
        self._feed = Feed(face.daemon, face.folder, self._wake)

    def run(self) -> int:
        """Until the person leaves or a signal ends it; the exit code."""
        self._feed.start()
        while True:
            self._draw()
            wait = ESCAPE_SECONDS if self._keys.waits else TICK_SECONDS
            signals = self._screen.fileno()
            ready, _, _ = select.select([0, signals], [], [], wait)
            if signals in ready and (code := self._signals()) is not None:
                return code
            self._take_news()
            for key in self._read(0 in ready):
                self._state, effect = press(self._state, key, self._paper)
                if effect is Leave.QUIT:
                    return 0
                self._carry_out(effect)

    def _read(self, ready: bool) -> list[str]:
        if not ready:
            return self._keys.flush() if self._keys.waits else []
        data = os.read(0, 4096)
        return self._keys.feed(data) if data else ["interrupt"]

    def _signals(self) -> int | None:
        for number in self._screen.signals():
            if number in _ENDS:
                return 128 + number
            if number == signal.SIGTSTP:
                self._screen.suspend()
            elif number in (signal.SIGWINCH, signal.SIGCONT):
                self._screen.clear()
        return None

    def _take_news(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                news = self._feed.queue.get_nowait()
                if isinstance(news, Page):
                    self._state = with_fetched(self._state, news.number, news.title, news.lines)
                elif isinstance(news, Answered):
                    self._state = with_notice(self._state, news.notice)
                elif news.document is None:
                    self._state = dataclasses.replace(self._state, lost=True)
                else:
                    self._state = with_document(self._state, news.document)
                    self._tell(news)

    def _tell(self, news: Refreshed) -> None:
        """Have the terminal notify of needs that are new since the document before."""
        needs = news.document["needs"] if news.document else []
        self._known, wanted = newly_wanted(self._known, needs)
        for need in wanted if self._notifies else ():
            self._screen.notify(of_need(need, self._face.environ))

    def _carry_out(self, effect: Effect | None) -> None:
        if isinstance(effect, Errand):
            self._feed.order(effect, self._face.caller_environment())
        elif isinstance(effect, Fetch):
            need = self._state.row.need if self._state.row else None
            width = self._screen.size[0]
            make = _diff if effect.kind == "diff" else _story
            self._feed.read(lambda daemon: make(daemon, effect, need, width))
        elif effect is Leave.SUSPEND:
            self._screen.suspend()
        elif effect is Leave.REDRAW:
            self._screen.clear()

    @property
    def _paper(self) -> Paper:
        columns, lines = self._screen.size
        return Paper(columns, lines, colour=self._face.streams.colour, light=self._light)

    def _draw(self) -> None:
        self._screen.draw(picture(self._state, self._paper, now()))
        self._screen.name(window_title(self._state))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it is over
            self._screen.waker.send(b"\0")


def _story(daemon: Daemon, what: Fetch, need: Document | None, width: int) -> Page:
    """What is asked, whole, and the work item's page."""
    document = daemon.call("show", bead=what.bead)
    asked = [*str(need["reason"]).split("\n"), "", *(f"  {act}" for act in need["acts"]), ""] if need else []
    return Page(what.number, what.title, [*asked, *bead_lines(document, Look(width=width))])


def _diff(daemon: Daemon, what: Fetch, _need: Document | None, _width: int) -> Page:
    """The change as a patch, which counts as a look like that of `at diff`, unless it was cut."""
    change = daemon.call("change", bead=what.bead)
    patch: bytes = daemon.call("diff", bead=what.bead, head=change["head"])
    if not is_cut(patch):
        daemon.call("looked", bead=what.bead, head=change["head"])
    return Page(
        what.number, what.title, patch.decode("utf-8", "replace").split("\n") if patch else ["no change"]
    )
