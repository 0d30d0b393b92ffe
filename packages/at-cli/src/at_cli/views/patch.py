"""A patch on a terminal: our own colours, comments under their lines, and nothing that acts on the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from at_cli.style import Look
from at_cli.views.comment import comment_lines, under_line
from at_cli.views.words import short

Document = dict[str, Any]

_COLOURS = (
    ("diff ", "bold"),
    ("index ", "dim"),
    ("--- ", "bold"),
    ("+++ ", "bold"),
    ("@@", "cyan"),
    ("+", "green"),
    ("-", "red"),
)
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

_SINCE = {
    "never": "you had not looked, so this is the whole change",
    "grown": "what was added to {seen}",
    "rewritten": "the commits of {seen} were rewritten; these are the files of then and now",
    "rebased": "{seen} as it would be on the new base, and what is there now",
    "gone": "{seen} is no longer in the repository, so this is the whole change",
}


def patch_lines(patch: bytes, style: Look, comments: Sequence[Document] = ()) -> list[str]:
    """The lines of `patch`, coloured by what they begin with; bytes that are no UTF-8 become U+FFFD.

    Comments stand under the lines that they are about; those whose line is not shown come at the end.
    """
    shown: set[int] = set()
    lines: list[str] = []
    counter = _NewSide()
    for line in patch.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        lines.append(_coloured(style.plain(line.replace("\t", "    ")), style))
        place = counter.after(line) if comments else None
        for comment in comments:
            if place is not None and place == (comment["file"], comment["now_line"]):
                lines += under_line(comment, style)
                shown.add(comment["number"])
    others = [comment for comment in comments if comment["number"] not in shown]
    return [*lines, *_elsewhere(others, style)]


def _elsewhere(comments: list[Document], style: Look) -> list[str]:
    if not comments:
        return []
    return ["", "Comments on lines that are not shown here:", *comment_lines(comments, style, "  ")]


class _NewSide:
    """Which line of which new file each line of a patch is."""

    def __init__(self) -> None:
        self._file: str | None = None
        self._line = self._old_left = self._new_left = 0

    def after(self, line: str) -> tuple[str | None, int] | None:
        """Take the next line; its place on the new side, None where it has none."""
        if self._old_left <= 0 and self._new_left <= 0:
            self._heading(line)
            return None
        if line.startswith("\\"):
            return None
        self._old_left -= not line.startswith("+")
        if line.startswith("-"):
            return None
        self._new_left -= 1
        self._line += 1
        return self._file, self._line - 1

    def _heading(self, line: str) -> None:
        if found := _HUNK.match(line):
            before, first, after = found.groups()
            self._old_left, self._new_left = int(before or 1), int(after or 1)
            self._line = int(first)
        elif line.startswith("+++ b/"):
            self._file = line.removeprefix("+++ b/").removesuffix("\t")


def _coloured(line: str, style: Look) -> str:
    for beginning, colour in _COLOURS:
        if line.startswith(beginning):
            return style.paint(colour, line)
    return line


def since_words(since: Document | None, style: Look) -> Iterable[str]:
    """Above a patch that begins at the last look: what that is compared with."""
    if not since:
        return []
    words = _SINCE[since["how"]].format(seen=short(since["seen"] or ""))
    lines = [f"since your last look: {words}"]
    if since["conflicts"]:
        listed = ", ".join(style.plain(path) for path in since["conflicts"])
        lines.append(f"conflict markers on the old side show what was resolved in {listed}")
    return [style.paint("dim", line) for line in lines]
