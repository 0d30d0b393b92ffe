"""Text of users and agents: how long it may be, and how it is shown. It is stored as given.

`visible` is at-telemetry's, so that a log line and a list show the same. Its escapes: `\\xNN`, `\\uNNNN`,
`\\UNNNNNNNN`, and `\\n`, `\\r`, `\\t`.
"""

from __future__ import annotations

import unicodedata

from at_core.errors import UsageError
from at_telemetry.visible import visible

__all__ = [
    "CUT_DIFF",
    "MAX_DESCRIPTION",
    "MAX_MESSAGE",
    "MAX_PROMPT",
    "MAX_TITLE",
    "cell_width",
    "is_cut",
    "one_line",
    "plain_title",
    "require_prompt",
    "require_title",
    "visible",
]

MAX_TITLE = 500
"""Characters of a title."""

MAX_PROMPT = 8 << 20
"""Bytes of a prompt in UTF-8; well above the two megabytes that must pass, below what one line of a protocol bears."""

MAX_DESCRIPTION = MAX_PROMPT
"""Bytes of a bead's description in UTF-8: it is what the agent is prompted with."""

MAX_MESSAGE = MAX_PROMPT
"""Bytes of a nudge or an answer in UTF-8."""

CUT_DIFF = b"(cut here: the whole difference is larger)\n"
"""The last line of a difference that was too large to be shown whole. No line of git's own begins with a bracket."""

_TITLE_COLUMNS = 72
_ELLIPSIS = "…"
_ZERO_WIDTH = ("Mn", "Me", "Cf")


def is_cut(difference: bytes) -> bool:
    """Whether there is more of a difference than this."""
    return (difference[-len(CUT_DIFF) - 1 :]).removeprefix(b"\n") == CUT_DIFF


def cell_width(character: str) -> int:
    """Columns that a terminal gives one character: 0, 1 or 2 (Unicode Standard Annex 11, ambiguous as narrow)."""
    if character.isascii():
        return 1
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def one_line(text: str, width: int) -> str:
    """`text` on one line of at most `width` columns: runs of white space as one space, the rest made visible.

    What does not fit is replaced by an ellipsis. A width below 1 gives an empty line.
    """
    line = visible(" ".join(text.split()))
    used = 0
    fits = 0
    for position, character in enumerate(line):
        used += cell_width(character)
        if used > width:
            return line[:fits] + _ELLIPSIS if width > 0 else ""
        if used <= width - 1:
            fits = position + 1
    return line


def plain_title(text: str) -> str:
    """A title made from a prompt: its first line that says anything, in at most 72 columns; `untitled` if none does."""
    for line in text.splitlines():
        if title := one_line(line, _TITLE_COLUMNS):
            return title
    return "untitled"


def require_title(text: str) -> str:
    """`text` as it is, if it can be a title. Raises `UsageError`: it is empty or too long."""
    if not text.strip():
        raise UsageError("a title cannot be empty", "at add TITLE")
    if len(text) > MAX_TITLE:
        raise UsageError(
            f"the title has {len(text)} characters, at most {MAX_TITLE} are taken",
            "put the rest into -d TEXT",
        )
    return text


def require_prompt(text: str, kind: str = "prompt") -> str:
    """`text` as it is, if it can be a prompt or message. Raises `UsageError`: it is empty or too long."""
    if not text.strip():
        raise UsageError(f"the {kind} is empty", "say what is to be done")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_PROMPT:
        raise UsageError(
            f"the {kind} has {size} bytes, at most {MAX_PROMPT} are taken",
            "put it into a file and name the file",
        )
    return text
