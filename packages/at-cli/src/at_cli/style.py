"""Plain output: colours, columns, and text of users and agents made harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Look:
    """How lines look. Without `colour` no escape sequence is ever printed."""

    colour: bool = False
    width: int = 80

    def paint(self, colour: str, text: str) -> str:
        """`text` in a colour of the small palette, or as it is."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and text else text

    def plain(self, text: object) -> str:
        """Text of users and agents on one line, its control characters made visible."""
        line = str(text)
        if is_harmless(line):
            return line
        from at_core.text import visible

        return visible(line)

    def block(self, text: str, indent: str = "  ") -> list[str]:
        """Text of users and agents with its lines kept, each of them indented."""
        from at_core.text import visible

        return [f"{indent}{line}" for line in visible(text, keep_lines=True).split("\n")]

    def fit(self, text: str, columns: int) -> str:
        """`text`, cut with `...` where it is wider than `columns`."""
        if cells(text) <= columns:
            return text
        kept = ""
        for character in text:
            if cells(kept + character) > max(columns - 3, 0):
                break
            kept += character
        return kept + "..."

    def table(self, rows: Sequence[Sequence[TableCell]]) -> list[str]:
        """Rows of cells with their columns aligned; the last column takes what is left of the width."""
        if not rows:
            return []
        columns = range(len(rows[0]) - 1)
        widths = [max(cells(row[column].text) for row in rows) for column in columns]
        left = max(self.width - sum(widths) - 2 * len(widths), 20)
        lines = []
        for row in rows:
            parts = [
                self.paint(cell.colour, cell.text) + " " * (width - cells(cell.text))
                if cell.colour
                else cell.text + " " * (width - cells(cell.text))
                for cell, width in zip(row, widths, strict=False)
            ]
            last = row[-1]
            text = self.fit(last.text, left)
            parts.append(self.paint(last.colour, text) if last.colour else text)
            lines.append("  ".join(parts).rstrip())
        return lines


@dataclass(frozen=True, eq=False, repr=False)
class TableCell:
    """One field of a table: harmless text, and a colour of the palette or none."""

    text: str
    colour: str = ""


def is_harmless(text: str) -> bool:
    """Whether nothing in `text` can act on a terminal, told without loading what would make it visible."""
    return text.isascii() and text.isprintable()


def cells(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    from at_core.text import cell_width

    return sum(map(cell_width, text))
