"""What a terminal shows, as plain values: cells, rows, cursor, modes. The same for every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Color: TypeAlias = int | tuple[int, int, int] | None
"""`None` is the default colour, an `int` a palette index (0–255), a tuple red, green, blue (0–255 each)."""

CursorShape: TypeAlias = Literal["block", "underline", "bar"]
MouseTracking: TypeAlias = Literal["off", "press", "buttons", "drag", "motion"]
"""What the program wants to hear of the mouse: DEC modes 9, 1000, 1002 and 1003, in this order."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and columns, each 1 or more."""

    rows: int
    cols: int


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell is drawn (SGR)."""

    fg: Color = None
    bg: Color = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    blink: bool = False
    inverse: bool = False
    hidden: bool = False
    strike: bool = False


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Cell:
    """One character as a person counts them (a grapheme) and the columns it takes: 1 or 2.

    A two-column character is one cell; the column it covers on its right has no cell of its own.
    """

    text: str = " "
    width: int = 1
    style: Style = PLAIN


BLANK = Cell()


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring cells of one style; `col` is the first cell's column, `width` the columns of all."""

    col: int
    text: str
    width: int
    style: Style


@dataclass(frozen=True, slots=True)
class Row:
    """One row of cells from the left. Plain blank cells at its end are left out."""

    cells: tuple[Cell, ...] = ()
    wrapped: bool = False
    """The line goes on in the next row because it reached the right edge (only ghostty tells)."""

    @property
    def text(self) -> str:
        return "".join(cell.text for cell in self.cells).rstrip(" ")

    def runs(self) -> Iterator[Run]:
        """The cells, joined where the style stays the same."""
        col = start = 0
        texts: list[str] = []
        style = PLAIN
        for cell in self.cells:
            if texts and cell.style != style:
                yield Run(start, "".join(texts), col - start, style)
                texts, start = [], col
            texts.append(cell.text)
            style = cell.style
            col += cell.width
        if texts:
            yield Run(start, "".join(texts), col - start, style)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next character goes; row and column count from 0 and always lie on the screen."""

    row: int = 0
    col: int = 0
    visible: bool = True
    shape: CursorShape = "block"


@dataclass(frozen=True, slots=True)
class Modes:
    """What a face must know to encode keys, pastes and mouse for the program. avt tells only some of them."""

    alternate_screen: bool = False
    application_cursor: bool = False
    application_keypad: bool = False
    bracketed_paste: bool = False
    focus_events: bool = False
    mouse: MouseTracking = "off"
    mouse_sgr: bool = False
    kitty_keyboard: int = 0


@dataclass(frozen=True, slots=True)
class RenderableContent:
    """The whole visible state after `offset` bytes of the stream."""

    rows: tuple[Row, ...]
    cursor: Cursor
    size: Size
    title: str
    modes: Modes
    scrollback_length: int
    offset: int

    @property
    def alternate_screen(self) -> bool:
        return self.modes.alternate_screen

    @property
    def text(self) -> str:
        return "\n".join(row.text for row in self.rows)


def printable(text: str) -> str:
    """`text` with every control character replaced, so that it can be shown anywhere as data."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if is_control(character) else character for character in text)


def is_control(character: str) -> bool:
    """C0, DEL and C1 control characters: what a terminal could take for a command."""
    return character < " " or "\x7f" <= character <= "\x9f"


def trimmed(cells: list[Cell], wrapped: bool = False) -> Row:
    """A row without the plain blanks at its end."""
    length = len(cells)
    while length and (cells[length - 1] is BLANK or cells[length - 1] == BLANK):
        length -= 1
    return Row(tuple(cells[:length]), wrapped)
