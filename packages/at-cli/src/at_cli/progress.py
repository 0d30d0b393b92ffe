"""A line that says what is waited for: on a terminal, on stderr, and only once it takes a while."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from at_cli.streams import Streams
from at_cli.style import Look

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """A context. `text` may be changed while it lasts; nothing stays on the screen afterwards.

    rich is loaded only once there is something to show: a quick call never pays for it.
    """

    def __init__(self, streams: Streams, *, enabled: bool, text: str, after: float) -> None:
        self._enabled = enabled and streams.error_terminal
        self._width = streams.width
        self._colour = streams.colour
        self._text = text
        self._timer = threading.Timer(after, self._show)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._over = False

    def __enter__(self) -> Self:
        if self._enabled:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._bar is not None:
                self._bar.stop()

    def say(self, text: str) -> None:
        """Change the line."""
        with self._lock:
            self._text = text
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], description=self._line())

    def _line(self) -> str:
        from rich.markup import escape

        return escape(Look(width=self._width).fit(self._text, max(self._width - 14, 20)))

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bar
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._over:
                return
            console = Console(stderr=True, no_color=not self._colour, highlight=False)
            columns = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Bar(*columns, console=console, transient=True)
            self._bar.add_task(self._line(), total=None)
            self._bar.start()
