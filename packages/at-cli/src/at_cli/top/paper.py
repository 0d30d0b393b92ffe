"""What is drawn on, and how much of a page it shows at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from at_cli.style import cells
from at_core.text import cell_width, visible

LEAST_COLUMNS, LEAST_LINES = 60, 8
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Paper:
    """What is drawn on: its size, and which colours it bears."""

    columns: int
    lines: int
    colour: bool = True
    light: bool = False

    @property
    def too_small(self) -> bool:
        """Whether nothing is shown on it but that it is."""
        return self.columns < LEAST_COLUMNS or self.lines < LEAST_LINES

    @property
    def page_lines(self) -> int:
        """How many lines of a page are seen at once, between head, title and foot."""
        return max(1, self.lines - 3)

    def paint(self, style: str, text: str) -> str:
        """`text` in a style of the palette; on a light ground a need is magenta, for yellow is not read there."""
        code = _CODES.get(("magenta" if self.light else "yellow") if style == "need" else style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text else text


def clip(text: str, columns: int) -> str:
    """The beginning of `text` that fits; unlike `one_line` it keeps its blanks."""
    line = shown(text)
    return line if cells(line) <= columns else next(_pieces(line, columns - 1), "") + "…"


@lru_cache(maxsize=2)
def wrapped(page: tuple[str, ...], columns: int) -> tuple[tuple[str, str], ...]:
    """All of a page in pieces that fit, each with the line that it is of."""
    return tuple((line, piece) for line in page for piece in _pieces(shown(line), columns))


def shown(text: str) -> str:
    """A line as it is drawn, whatever is in it."""
    return visible(text.expandtabs(4))


def _pieces(line: str, columns: int) -> Iterator[str]:
    if line.isascii():
        yield from (line[begin : begin + columns] for begin in range(0, len(line) or 1, max(columns, 1)))
        return
    kept: list[str] = []
    used = 0
    for character in line:
        width = cell_width(character)
        if used + width > columns and kept:
            yield "".join(kept)
            kept, used = [], 0
        kept.append(character)
        used += width
    yield "".join(kept)
