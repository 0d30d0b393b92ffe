"""The transcript of an agent, printed page by page and followed while it grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.terminal_title import of_work, title_of
from at_cli.views.words import clock_time
from at_core.errors import DaemonUnreachable

_PAGE = 500
_ROUND_SECONDS = 25.0
_PAUSE_SECONDS = 0.2
_LOST_IN_A_ROW = 5


def print_transcript(face: Face, agent: str, *, follow: bool, after: int | None) -> None:
    """Lines of the agent's transcript behind `after`; with `follow` until the person leaves, under its own title."""
    with title_of(face) as show_title:
        for page in _pages(face, agent, follow=follow, after=after):
            if follow:
                show_title(of_work(page))
            for line in page["lines"]:
                if face.json:
                    face.line(line)
                else:
                    face.text(_shown(line, face.style))


def _pages(face: Face, agent: str, *, follow: bool, after: int | None) -> Iterator[Document]:
    """The lines, a page at a time. A daemon that dies meanwhile is started again; raises `DaemonUnreachable`."""
    place, lost = after or 0, 0
    while True:
        wait: Document = {"follow": 1, "seconds": _ROUND_SECONDS} if follow else {}
        try:
            page = face.daemon.call("logs", agent=agent, after=place, limit=_PAGE, **wait)
        except DaemonUnreachable:
            lost += 1
            if not follow or lost == _LOST_IN_A_ROW:
                raise
            threading.Event().wait(_PAUSE_SECONDS)
            continue
        lost = 0
        yield page
        if not follow and not page["lines"]:
            return
        place = page["next"]


def _shown(line: Document, style: Look) -> list[str]:
    first, *rest = style.block(str(line.get("text", "")).rstrip("\n"), "")
    head = f"{clock_time(line.get('at'))} {style.plain(line.get('kind', '')):<9}"
    return [f"{style.paint('dim', head)} {first}", *(f"{'':{len(head) + 1}}{each}" for each in rest)]
