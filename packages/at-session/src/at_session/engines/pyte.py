"""pyte: the stand-in where pyghostty has no wheel. Slow, and approximate where programs go beyond a VT102.

pyte raises on sequences it does not know and prints the inside of others; only what it understands gets through.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Self

from at_session.engines import SCROLLBACK_ROWS
from at_session.engines.screen import (
    BLANK,
    PLAIN,
    Cell,
    Color,
    Cursor,
    Modes,
    MouseTracking,
    Row,
    Style,
    printable,
    trimmed,
)
from at_session.engines.sequences import SequenceCutter
from at_session.errors import EngineMissing, SnapshotRejected

try:
    import pyte
    from pyte import charsets, graphics
    from pyte.screens import Char, Margins, Savepoint, StaticDefaultDict, wcwidth
except ModuleNotFoundError as error:
    raise EngineMissing("pyte", "pyte") from error

PRIVATE = 5
"""pyte keeps a DEC private mode shifted left by this many bits, an ANSI mode as it is."""

ALTERNATE = frozenset(number << PRIVATE for number in (47, 1047, 1049))
COLUMN_MODE = 3 << PRIVATE
KNOWN_CSI = frozenset("@ABCDEFGHJKLMPSTX`abdefghlmr")
PRIVATE_CSI = frozenset("hlJK")
KNOWN_ESCAPES = frozenset(("c", "D", "E", "M", "H", "7", "8", "#8"))
KNOWN_CONTROLS = frozenset("\x07\x08\t\n\x0b\x0c\r\x0e\x0f")
LONGEST_CSI = 256
# pyte composes a cell anew for every mark put on it; ghostty stops at 64 as well.
MARKS_PER_CELL = 64
MOUSE_MODES: tuple[tuple[int, MouseTracking], ...] = (
    (1003, "motion"),
    (1002, "drag"),
    (1000, "buttons"),
    (9, "press"),
)
PALETTE = {name: code - 30 for code, name in graphics.FG.items() if name != "default"} | {
    name: code - 82 for code, name in graphics.FG_AIXTERM.items()
}
CHARSETS = {code: name for name, code in charsets.MAPS.items()}

Line = StaticDefaultDict[int, Char]


@dataclass
class _Primary:
    """The primary screen while the alternate one is shown."""

    buffer: dict[int, Line]
    row: int
    col: int


class _Screen(pyte.Screen):
    """pyte's screen with scrollback, an alternate screen and SU, SD."""

    def __init__(self, columns: int, lines: int, scrollback: int) -> None:
        self.history: deque[Line] = deque(maxlen=scrollback)
        self.primary: _Primary | None = None
        super().__init__(columns, lines)

    def reset(self) -> None:
        self.primary = None
        super().reset()

    def index(self) -> None:
        if self.cursor.y == self.lines - 1 and self.margins is None and self.primary is None:
            self.history.append(copy.copy(self.buffer[0]))
        super().index()

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        wanted = [mode for mode in modes if not (kwargs.get("private") and mode << PRIVATE == COLUMN_MODE)]
        super().set_mode(*wanted, **kwargs)
        if self.primary is None and self.mode & ALTERNATE:
            self.primary = _Primary(dict(self.buffer), self.cursor.y, self.cursor.x)
            self.buffer.clear()

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        wanted = [mode for mode in modes if not (kwargs.get("private") and mode << PRIVATE == COLUMN_MODE)]
        super().reset_mode(*wanted, **kwargs)
        if self.primary is not None and not self.mode & ALTERNATE:
            primary, self.primary = self.primary, None
            self.buffer.clear()
            self.buffer.update(primary.buffer)
            self.cursor.y, self.cursor.x = min(primary.row, self.lines - 1), primary.col
            self.ensure_hbounds()

    def scroll_up(self, count: int | None = None) -> None:
        self._scroll(count, self.margins.bottom if self.margins else self.lines - 1, self.index)

    def scroll_down(self, count: int | None = None) -> None:
        self._scroll(count, self.margins.top if self.margins else 0, self.reverse_index)

    def _scroll(self, count: int | None, row: int, step: Callable[[], None]) -> None:
        here, self.cursor.y = self.cursor.y, row
        for _ in range(min(count or 1, self.lines)):
            step()
        self.cursor.y = here

    def write_process_input(self, data: str) -> None:
        """Nothing is answered here: replies come from the holder."""


class _Stream(pyte.Stream):
    csi = pyte.Stream.csi | {"S": "scroll_up", "T": "scroll_down"}


class PyteEngine:
    """`Engine` over pyte."""

    name: ClassVar[str] = "pyte"
    version: ClassVar[str] = f"pyte {version('pyte')}"
    limitation: ClassVar[str | None] = (
        "screens are emulated by pyte: slow, without reflow, and approximate for full-screen programs"
    )
    slow: ClassVar[bool] = True

    def __init__(self, rows: int, cols: int, scrollback: int = SCROLLBACK_ROWS) -> None:
        self._screen = _Screen(cols, rows, scrollback)
        self._stream = _Stream(self._screen)
        # pyte ignores line-drawing sets in UTF-8 mode, although programs do switch to them.
        self._stream.use_utf8 = False
        self._cutter = SequenceCutter()
        self._keypad = False
        self._last = ""
        self._marks = 0

    def feed(self, data: bytes) -> None:
        plain: list[str] = []
        for kind, token in self._cutter.feed(data):
            if kind == "text" or kind == "control":
                plain.append(self._filtered(kind, token))
                continue
            self._read("".join(plain))
            plain.clear()
            if kind == "string":
                self._set_title(token)
            else:
                self._read(self._filtered(kind, token))
        self._read("".join(plain))

    def _read(self, known: str) -> None:
        try:
            self._stream.feed(known)
        except Exception:  # noqa: BLE001 pyte raises anything on parameters it did not expect
            # It resets its parser itself; the one sequence is lost, which is what "degraded" says.
            return

    def _filtered(self, kind: str, token: str) -> str:
        """What pyte is given for `token`: the same, a simpler form, or nothing."""
        if kind == "text":
            self._last = token[-1]
            return self._few_marks(token)
        if kind == "control":
            return token if token in KNOWN_CONTROLS else ""
        if kind == "escape":
            return self._filtered_escape(token[1:])
        return self._filtered_csi(token[2:-1], token[-1])

    def _few_marks(self, text: str) -> str:
        """`text` without the combining characters that pile up on one cell beyond all use."""
        if text.isascii():
            self._marks = 0
            return text
        kept = []
        for character in text:
            self._marks = self._marks + 1 if wcwidth(character) == 0 else 0
            if self._marks <= MARKS_PER_CELL:
                kept.append(character)
        return "".join(kept)

    def _filtered_escape(self, body: str) -> str:
        if body in "=>":
            self._keypad = body == "="
        if body in KNOWN_ESCAPES or (len(body) == 2 and body[0] in "()" and body[1] in charsets.MAPS):
            if body == "c":
                self._keypad = False
            return "\x1b" + body
        return ""

    def _filtered_csi(self, parameters: str, final: str) -> str:
        if len(parameters) > LONGEST_CSI:
            return ""
        if final == "b" and self._last and parameters.isdigit():
            return self._few_marks(
                self._last * min(int(parameters), self._screen.columns * self._screen.lines)
            )
        if final == "m":
            parameters = _plain_sgr(parameters)
        plain = parameters.removeprefix("?")
        if plain != parameters and final not in PRIVATE_CSI:
            return ""
        if final not in KNOWN_CSI or not all(part.isdigit() or not part for part in plain.split(";")):
            return ""
        return f"\x1b[{parameters}{final}"

    def _set_title(self, token: str) -> None:
        code, _, title = token[2:].removesuffix("\x1b\\").rstrip("\x07\x18\x1a").partition(";")
        if token[1] == "]" and code in ("0", "2"):
            self._screen.set_title(printable(title))

    def resize(self, rows: int, cols: int) -> None:
        self._screen.resize(rows, cols)
        self._screen.ensure_hbounds()
        self._screen.ensure_vbounds()

    def screen(self) -> tuple[Row, ...]:
        screen = self._screen
        return tuple(_row(screen.buffer[y], screen.columns) for y in range(screen.lines))

    def scrollback_length(self) -> int:
        return len(self._screen.history)

    def scrollback(self, start: int, count: int) -> tuple[Row, ...]:
        lines = itertools.islice(self._screen.history, start, start + count)
        return tuple(_row(line, self._screen.columns) for line in lines)

    def cursor(self) -> Cursor:
        cursor = self._screen.cursor
        return Cursor(cursor.y, min(cursor.x, self._screen.columns - 1), not cursor.hidden)

    def modes(self) -> Modes:
        return Modes(
            alternate_screen=self._screen.primary is not None,
            application_cursor=self._mode(1),
            application_keypad=self._keypad,
            bracketed_paste=self._mode(2004),
            focus_events=self._mode(1004),
            mouse=next((word for number, word in MOUSE_MODES if self._mode(number)), "off"),
            mouse_sgr=self._mode(1006),
        )

    def _mode(self, number: int) -> bool:
        return number << PRIVATE in self._screen.mode

    def title(self) -> str:
        return self._screen.title

    def close(self) -> None:
        """Nothing native to free."""

    def save(self) -> bytes:
        screen = self._screen
        rest, undecoded = self._cutter.save()
        primary = screen.primary
        return json.dumps(
            {
                "size": [screen.lines, screen.columns, screen.history.maxlen],
                "buffer": _dump_buffer(screen.buffer),
                "history": [_dump_line(line) for line in screen.history],
                "primary": primary and [_dump_buffer(primary.buffer), primary.row, primary.col],
                "cursor": _dump_cursor(screen.cursor),
                "mode": sorted(screen.mode),
                "margins": screen.margins,
                "charset": [screen.charset, CHARSETS[screen.g0_charset], CHARSETS[screen.g1_charset]],
                "tabstops": sorted(screen.tabstops),
                "savepoints": [_dump_savepoint(point) for point in screen.savepoints],
                "title": screen.title,
                "keypad": self._keypad,
                "last": self._last,
                "marks": self._marks,
                "rest": rest,
                "undecoded": undecoded.hex(),
            }
        ).encode()

    @classmethod
    def restore(cls, state: bytes, rows: int, cols: int, scrollback: int) -> Self:
        engine = cls(rows, cols, scrollback)
        try:
            engine._load(json.loads(state))
        except (ValueError, KeyError, TypeError, IndexError) as damage:
            raise SnapshotRejected(f"pyte's state does not parse ({damage})") from damage
        return engine

    def _load(self, state: dict[str, Any]) -> None:
        screen = self._screen
        if state["size"] != [screen.lines, screen.columns, screen.history.maxlen]:
            raise SnapshotRejected("its size is not the one its header names")
        screen.buffer.update(_load_buffer(state["buffer"]))
        screen.history.extend(_load_line(line) for line in state["history"])
        if state["primary"]:
            buffer, row, col = state["primary"]
            screen.primary = _Primary(_load_buffer(buffer), row, col)
        screen.cursor = _load_cursor(state["cursor"])
        screen.mode = set(state["mode"])
        screen.margins = Margins(*state["margins"]) if state["margins"] else None
        screen.charset, g0, g1 = state["charset"]
        screen.g0_charset, screen.g1_charset = charsets.MAPS[g0], charsets.MAPS[g1]
        screen.tabstops = set(state["tabstops"])
        screen.savepoints = [_load_savepoint(point) for point in state["savepoints"]]
        screen.title = state["title"]
        self._keypad, self._last, self._marks = state["keypad"], state["last"], state["marks"]
        self._cutter.restore(state["rest"], bytes.fromhex(state["undecoded"]))


def _plain_sgr(parameters: str) -> str:
    """SGR without what pyte misreads: colon forms become semicolon forms, underline colours go."""
    parts: list[str] = []
    words = iter(parameters.split(";"))
    for word in words:
        head, *rest = word.split(":")
        if head == "58" and not rest:
            skipped = 3 if next(words, "") == "2" else 1
            for _ in range(skipped):
                next(words, None)
        elif head == "4" and rest:
            parts.append("24" if rest[0] == "0" else "4")
        elif head in ("38", "48") and rest:
            parts += [head, rest[0], *(rest[-3:] if rest[0] == "2" else rest[-1:])]
        elif not rest:
            parts.append(word)
    return ";".join(parts)


def _row(line: Line, columns: int) -> Row:
    cells: list[Cell] = []
    col = 0
    while col < columns:
        char = line[col]
        wide = (
            col + 1 < columns and bool(char.data) and line[col + 1].data == "" and wcwidth(char.data[0]) == 2
        )
        cell = Cell(printable(char.data) or " ", 2 if wide else 1, _style(char))
        cells.append(BLANK if cell == BLANK else cell)
        col += cell.width
    return trimmed(cells)


def _style(char: Char) -> Style:
    if char[1:] == ("default", "default", False, False, False, False, False, False):
        return PLAIN
    return Style(
        fg=_color(char.fg),
        bg=_color(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        blink=char.blink,
        inverse=char.reverse,
        strike=char.strikethrough,
    )


def _color(name: str) -> Color:
    if name == "default":
        return None
    if name in PALETTE:
        return PALETTE[name]
    red, green, blue = bytes.fromhex(name)
    return (red, green, blue)


def _dump_line(line: Line) -> list[Any]:
    return [line.default, list(line.items())]


def _load_line(dump: list[Any]) -> Line:
    default, items = dump
    line: Line = StaticDefaultDict(Char(*default))
    line.update((col, Char(*char)) for col, char in items)
    return line


def _dump_buffer(buffer: dict[int, Line]) -> list[Any]:
    return [[row, _dump_line(line)] for row, line in buffer.items()]


def _load_buffer(dump: list[Any]) -> dict[int, Line]:
    return {row: _load_line(line) for row, line in dump}


def _dump_cursor(cursor: pyte.screens.Cursor) -> list[Any]:
    return [cursor.x, cursor.y, cursor.attrs, cursor.hidden]


def _load_cursor(dump: list[Any]) -> pyte.screens.Cursor:
    x, y, attributes, hidden = dump
    cursor = pyte.screens.Cursor(x, y, Char(*attributes))
    cursor.hidden = hidden
    return cursor


def _dump_savepoint(point: Savepoint) -> list[Any]:
    charset = [CHARSETS[point.g0_charset], CHARSETS[point.g1_charset], point.charset]
    return [_dump_cursor(point.cursor), *charset, point.origin, point.wrap]


def _load_savepoint(dump: list[Any]) -> Savepoint:
    cursor, g0, g1, *rest = dump
    return Savepoint(_load_cursor(cursor), charsets.MAPS[g0], charsets.MAPS[g1], *rest)
