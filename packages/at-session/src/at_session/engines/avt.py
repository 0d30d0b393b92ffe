"""avt (asciinema's terminal) through pyavt: the second opinion of the conformance suite, never chosen for users.

It keeps no title, tells no mode but DECCKM, and its saved state leaves out the scrollback.
"""

from __future__ import annotations

import codecs
from importlib import import_module
from importlib.metadata import version
from typing import Any, ClassVar, Self

from at_session.engines import SCROLLBACK_ROWS
from at_session.engines.screen import Cell, Color, Cursor, Modes, Row, Style, printable, trimmed
from at_session.errors import EngineMissing

try:
    # Its type stubs do not export what the module does.
    avt: Any = import_module("avt")
except ModuleNotFoundError as error:
    raise EngineMissing("avt", "pyavt") from error

# avt reads U+0080–U+009F as control sequences; in UTF-8 the terminals people use do not.
C1 = dict.fromkeys(range(0x80, 0xA0))


class AvtEngine:
    """`Engine` over `avt.Vt`."""

    name: ClassVar[str] = "avt"
    version: ClassVar[str] = f"pyavt {version('pyavt')}"
    limitation: ClassVar[str | None] = (
        "screens are emulated by avt: no title, no modes, snapshots without scrollback"
    )
    slow: ClassVar[bool] = False

    def __init__(self, rows: int, cols: int, scrollback: int = SCROLLBACK_ROWS) -> None:
        self._vt = avt.Vt(cols, rows, scrollback)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @classmethod
    def restore(cls, state: bytes, rows: int, cols: int, scrollback: int) -> Self:
        engine = cls(rows, cols, scrollback)
        length = state[0]
        engine._decoder.setstate((state[1 : 1 + length], 0))
        engine._vt.feed_str(state[1 + length :].decode())
        return engine

    def save(self) -> bytes:
        undecoded = self._decoder.getstate()[0]
        dump: str = self._vt.dump()
        return bytes([len(undecoded)]) + undecoded + dump.encode()

    def feed(self, data: bytes) -> None:
        self._vt.feed_str(self._decoder.decode(data).translate(C1))

    def resize(self, rows: int, cols: int) -> None:
        self._vt.resize(cols, rows)

    def screen(self) -> tuple[Row, ...]:
        return tuple(_row(line) for line in self._vt.view())

    def scrollback_length(self) -> int:
        return len(self._vt.lines()) - int(self._vt.size[1])

    def scrollback(self, start: int, count: int) -> tuple[Row, ...]:
        kept = self._vt.lines()[: self.scrollback_length()]
        return tuple(_row(line) for line in kept[start : start + count])

    def cursor(self) -> Cursor:
        cursor, cols = self._vt.cursor, self._vt.size[0]
        return Cursor(cursor.row, min(cursor.col, cols - 1), cursor.visible)

    def modes(self) -> Modes:
        return Modes(application_cursor=self._vt.cursor_key_app_mode)

    def title(self) -> str:
        return ""

    def close(self) -> None:
        """The object frees itself."""


def _row(line: Any) -> Row:
    return trimmed([_cell(cell) for cell in line.cells if cell.width])


def _cell(cell: Any) -> Cell:
    pen = cell.pen
    style = Style(
        fg=_color(pen.foreground),
        bg=_color(pen.background),
        bold=pen.bold,
        dim=pen.faint,
        italic=pen.italic,
        underline=pen.underline,
        blink=pen.blink,
        inverse=pen.inverse,
        strike=pen.strikethrough,
    )
    return Cell(printable(cell.char), cell.width, style)


def _color(color: Any) -> Color:
    match color:
        case avt.Color.Indexed():
            return int(color._0)
        case avt.Color.RGB():
            return (color._0, color._1, color._2)
    return None
