"""The title of the terminal's window or tab while `at` shows one thing in it: OSC 2. The title of before comes back by
the terminal's own stack of titles (XTWINOPS 22 and 23), where it has one; others ignore both.

What is shown has no control character left, so nothing of it can end the sequence or begin another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from at_cli.errors import UnwritableOutput
from at_cli.face import Document, Face
from at_cli.views.words import short
from at_core.text import one_line

KEEP, GIVE_BACK = "\x1b[22;0t", "\x1b[23;0t"
COLUMNS = 120
_HAVE_NONE = ("", "dumb", "linux")
"""Values of TERM; the Linux console shows what it does not know."""


def has_title(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is one of those that have a title."""
    return environ.get("TERM", "") not in _HAVE_NONE


def sequence(text: str) -> str:
    """The bytes, as text, that make `text` the title."""
    return f"\x1b]2;{one_line(text, COLUMNS)}\x1b\\"


def of_work(about: Document) -> str:
    """`{agent, bead, title}` in words, such as `furiosa: Fix the flaky test (3f2a9c1e)`; empty if all are null."""
    bead = f"{about['title']} ({short(about['bead'])})" if about.get("bead") else ""
    return ": ".join(each for each in (about.get("agent") or "", bead) if each)


@contextmanager
def title_of(face: Face) -> Iterator[Callable[[str], None]]:
    """A function that sets the title, for the block; off a terminal it does nothing."""
    shown = ""

    def show(text: str) -> None:
        nonlocal shown
        if text and text != shown and face.streams.terminal and not face.json and has_title(face.environ):
            face.raw(face.streams.encode(("" if shown else KEEP) + sequence(text)))
            shown = text

    try:
        yield show
    finally:
        if shown:
            with suppress(OSError, UnwritableOutput):  # nobody is left to see it
                face.raw(GIVE_BACK.encode())
