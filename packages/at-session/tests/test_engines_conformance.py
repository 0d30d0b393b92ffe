"""One table of terminal behaviour for all engines; where one differs, the reason is written down and must stay true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from at_session.engines import Engine
from at_session.engines.avt import AvtEngine
from at_session.engines.ghostty import GhosttyEngine
from at_session.engines.pyte import PyteEngine
from at_session.engines.screen import PLAIN, Cell, Row, Style

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (GhosttyEngine, AvtEngine, PyteEngine)}
ROWS, COLS = 5, 12

CLUSTERS = "it gives every codepoint of a cluster cells of its own"
COMBINING = "it gives a combining character a cell of its own"
UNTOLD = "it does not tell this mode"
DRAWN = "it gives DEL a cell (shown as U+FFFD)"
NO_TITLE = "it keeps no title"
NO_SHAPE = "it does not tell the cursor's shape"


def rows_of(engine: Engine) -> list[str]:
    rows = [row.text for row in engine.screen()]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def at(engine: Engine) -> tuple[int, int]:
    cursor = engine.cursor()
    return cursor.row, cursor.col


def mode(name: str) -> Callable[[Engine], Any]:
    return lambda engine: getattr(engine.modes(), name)


def first_style(engine: Engine) -> Style:
    return engine.screen()[0].cells[0].style


def first_widths(engine: Engine) -> list[int]:
    return [cell.width for cell in engine.screen()[0].cells]


@dataclass(frozen=True)
class Case:
    """After `stream`, `look` must give `shown`; `differs` says why an engine does not."""

    name: str
    stream: str | bytes
    shown: Any
    look: Callable[[Engine], Any] = rows_of
    differs: dict[str, str] = field(default_factory=dict)


TEXT = [
    Case("a line", "hello", ["hello"]),
    Case("wrapping at the right edge", "a" * 14, ["a" * 12, "aa"]),
    Case("the cursor waits at the edge until the next character", "a" * 12, (0, 11), at),
    Case("a return at the edge does not add a row", "a" * 12 + "\r\nb", ["a" * 12, "b"]),
    Case("no wrapping when DECAWM is off", "\x1b[?7l" + "a" * 12 + "bc", ["a" * 11 + "c"]),
    Case("line feeds keep the column", "ab\ncd", ["ab", "  cd"]),
    Case("scrolling moves rows up", "1\r\n2\r\n3\r\n4\r\n5\r\n6", ["2", "3", "4", "5", "6"]),
    Case("a carriage return overwrites", "hello\rJ", ["Jello"]),
    Case("backspace moves without erasing", "abc\b\bX", ["aXc"]),
    Case("tabs go to every eighth column", "a\tb", ["a       b"]),
    Case("set and cleared tab stops", "\x1b[3g\x1b[5G\x1bH\r\tx", ["    x"]),
    Case("NUL and BEL draw nothing", "a\0b\ac", ["abc"]),
    Case("DEL draws nothing", "a\x7fb", ["ab"], differs={"ghostty": DRAWN, "avt": DRAWN}),
    Case("a drawn DEL does no harm", "a\x7fb", True, lambda engine: rows_of(engine)[0].isprintable()),
    Case("C1 characters of UTF-8 draw nothing", "a\u0085\u009bb", ["ab"]),
    Case("a long line fills the scrollback", "x" * 120, 5, lambda engine: engine.scrollback_length()),
    Case("scrollback keeps its order", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7", ["1", "2"],
         lambda engine: [row.text for row in engine.scrollback(0, 9)]),
]  # fmt: skip

UNICODE = [
    Case("CJK takes two columns", "你a", [2, 1], first_widths),
    Case("emoji take two columns", "🙂a", [2, 1], first_widths),
    Case("a wide character does not fit the last column", "a" * 11 + "你", ["a" * 11, "你"],
         differs={"pyte": "it splits the character over the edge"}),
    Case("combining characters join their letter", "e\u0301x", [1, 1], first_widths, {"avt": COMBINING}),
    Case("joined letters stay one cell", "e\u0301", "e\u0301", lambda e: e.screen()[0].cells[0].text,
         {"avt": COMBINING, "pyte": "it composes them (NFC)"}),
    Case("an emoji family is one character", "👨\u200d👩\u200d👧x", [2, 1], first_widths,
         {"avt": CLUSTERS, "pyte": CLUSTERS}),
    Case("a flag is one character", "🇩🇪x", [2, 1], first_widths, {"avt": CLUSTERS, "pyte": CLUSTERS}),
    Case("a skin tone joins its hand", "👍🏽x", [2, 1], first_widths, {"avt": CLUSTERS, "pyte": CLUSTERS}),
    Case("variation selector 16 makes emoji wide", "❤\ufe0fx", [2, 1], first_widths,
         {"avt": CLUSTERS, "pyte": CLUSTERS}),
    Case("overwriting half a wide character blanks the rest", "你\rx", ["x"]),
    Case("overwriting the second half blanks the first", "你\x1b[2Gx", [" x"],
         differs={"pyte": "it leaves the first half"}),
    Case("invalid bytes become replacement characters", b"a\xffb\xc3(", ["a\ufffdb\ufffd("]),
    Case("a cut-off sequence of bytes becomes one", b"\xe4\xbdx", ["\ufffdx"]),
    Case("surrogates and overlong forms are replaced", b"\xed\xa0\x80|\xc0\xaf", ["\ufffd\ufffd\ufffd|\ufffd\ufffd"]),
]  # fmt: skip

CURSOR = [
    Case("CUP counts from one", "\x1b[3;4Hx", ["", "", "   x"]),
    Case("CUP stays on the screen", "\x1b[99;99H", (4, 11), at),
    Case("relative moves stop at the edges", "\x1b[9A\x1b[9D\x1b[2B\x1b[3C", (2, 3), at),
    Case("column and row alone", "\x1b[4d\x1b[7G", (3, 6), at),
    Case("next and previous line", "\x1b[3;5H\x1b[E\x1b[2F", (1, 0), at),
    Case("saved and restored", "\x1b[2;3H\x1b7\x1b[5;5H\x1b8", (1, 2), at),
    Case("saved and restored, SCO form", "\x1b[2;3H\x1b[s\x1b[5;5H\x1b[u", (1, 2), at,
         {"pyte": "it lacks SCOSC"}),
    Case("hidden", "\x1b[?25l", False, lambda engine: engine.cursor().visible),
    Case("shown again", "\x1b[?25l\x1b[?25h", True, lambda engine: engine.cursor().visible),
    Case("a bar", "\x1b[6 q", "bar", lambda engine: engine.cursor().shape, {"avt": NO_SHAPE, "pyte": NO_SHAPE}),
    Case("an underline", "\x1b[4 q", "underline", lambda engine: engine.cursor().shape,
         {"avt": NO_SHAPE, "pyte": NO_SHAPE}),
    Case("column in origin mode keeps the row", "\x1b[2;4r\x1b[?6h\x1b[6G", (1, 5), at,
         {"ghostty": "it adds the region's first row once more"}),
    Case("soft reset shows the cursor", "\x1b[?25l\x1b[!p", True, lambda engine: engine.cursor().visible,
         {"ghostty": "it lacks DECSTR", "pyte": "it lacks DECSTR"}),
    Case("origin mode counts from the region", "\x1b[2;4r\x1b[?6h\x1b[1;1Hx", ["", "x"]),
]  # fmt: skip

EDITING = [
    Case("erase to the end of the line", "abcdef\x1b[3G\x1b[K", ["ab"]),
    Case("erase to the start of the line", "abcdef\x1b[3G\x1b[1K", ["   def"]),
    Case("erase below", "1\r\n2\r\n3\x1b[2;1H\x1b[J", ["1"]),
    Case("erase all keeps the cursor", "ab\x1b[2J", (0, 2), at),
    Case("erase characters", "abcdef\x1b[2G\x1b[3X", ["a   ef"]),
    Case("erasing paints the background", "\x1b[41m\x1b[K", Cell(" ", 1, Style(bg=1)),
         lambda engine: engine.screen()[0].cells[11]),
    Case("insert characters", "abc\x1b[2G\x1b[2@", ["a  bc"]),
    Case("delete characters", "abcdef\x1b[2G\x1b[2P", ["adef"]),
    Case("insert mode", "abc\r\x1b[4hX", ["Xabc"]),
    Case("erasing a full line's end erases its last column", "a" * 12 + "\x1b[K", ["a" * 11],
         differs={"avt": "it erases from beyond the edge", "pyte": "it erases from beyond the edge"}),
    Case("inserting lines goes to the first column", "1\r\n2\x1b[L", (1, 0), at, {"avt": "it keeps the column"}),
    Case("inserting lines outside the region does nothing", "a\x1b[2;4r\x1b[L", ["a"],
         differs={"avt": "it clears to the region"}),
    Case("insert lines", "1\r\n2\r\n3\x1b[2;1H\x1b[L", ["1", "", "2", "3"]),
    Case("delete lines", "1\r\n2\r\n3\x1b[2;1H\x1b[M", ["1", "3"]),
    Case("a scroll region scrolls alone", "1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx", ["1", "3", "x", "4"]),
    Case("reverse index at the top", "1\r\n2\x1b[H\x1bMx", ["x", "1", "2"]),
    Case("scroll up and down", "1\r\n2\r\n3\x1b[2S\x1b[T", ["", "3"]),
    Case("repeat the last character", "a\x1b[4b", ["aaaaa"]),
    Case("line drawing", "\x1b(0lqk\x1b(Bq", ["┌─┐q"]),
    Case("shift out and in", "\x1b)0\x0eqx\x0fqx", ["─│qx"]),
    Case("the alignment test", "\x1b#8", ["E" * 12] * 5),
    Case("reset", "abc\x1b[31m\x1b[3;3H\x1bcx", (["x"], PLAIN), lambda e: (rows_of(e), first_style(e))),
]  # fmt: skip

STYLES = [
    Case("bold", "\x1b[1mx", Style(bold=True), first_style),
    Case("dim", "\x1b[2mx", Style(dim=True), first_style, {"pyte": "it lacks faint"}),
    Case("italic", "\x1b[3mx", Style(italic=True), first_style),
    Case("underline", "\x1b[4mx", Style(underline=True), first_style),
    Case("curly underline", "\x1b[4:3mx", Style(underline=True), first_style,
         {"avt": "it knows the plain form only"}),
    Case("underline colours change nothing else", "\x1b[58;2;1;2;3;1mx", Style(bold=True), first_style,
         {"avt": "it reads the colour's parts as attributes"}),
    Case("inverse", "\x1b[7mx", Style(inverse=True), first_style),
    Case("strike", "\x1b[9mx", Style(strike=True), first_style),
    Case("hidden", "\x1b[8mx", Style(hidden=True), first_style, {"avt": "it lacks it", "pyte": "it lacks it"}),
    Case("eight colours", "\x1b[31;42mx", Style(fg=1, bg=2), first_style),
    Case("bright colours", "\x1b[91;104mx", Style(fg=9, bg=12), first_style),
    Case("palette colours", "\x1b[38;5;100mx", Style(fg=100), first_style,
         {"pyte": "it turns palette colours into RGB"}),
    Case("true colour", "\x1b[38;2;1;2;3mx", Style(fg=(1, 2, 3)), first_style),
    Case("true colour, colon form", "\x1b[48:2::1:2:3mx", Style(bg=(1, 2, 3)), first_style),
    Case("attributes off again", "\x1b[1;3;4;7;9m\x1b[22;23;24;27;29mx", PLAIN, first_style),
    Case("all off again", "\x1b[1;31m\x1b[mx", PLAIN, first_style),
]  # fmt: skip

MODES = [
    Case("the alternate screen is told", "\x1b[?1049h", True, mode("alternate_screen"), {"avt": UNTOLD}),
    Case("the alternate screen starts empty", "main\x1b[?1049h", []),
    Case("the primary screen comes back", "main\x1b[?1049hALT\x1b[?1049l", (["main"], (0, 4)),
         lambda engine: (rows_of(engine), at(engine))),
    Case("the alternate screen has no scrollback", "\x1b[?1049h" + "1\r\n" * 20, 0, lambda e: e.scrollback_length()),
    Case("entering the alternate screen twice clears it once", "\x1b[?1049ha\x1b[?1049h", ["a"],
         differs={"ghostty": "it clears it every time"}),
    Case("bracketed paste", "\x1b[?2004h", True, mode("bracketed_paste"), {"avt": UNTOLD}),
    Case("bracketed paste off", "\x1b[?2004h\x1b[?2004l", False, mode("bracketed_paste")),
    Case("application cursor keys", "\x1b[?1h", True, mode("application_cursor")),
    Case("application keypad", "\x1b=", True, mode("application_keypad"), {"avt": UNTOLD}),
    Case("focus events", "\x1b[?1004h", True, mode("focus_events"), {"avt": UNTOLD}),
    Case("mouse buttons", "\x1b[?1000h", "buttons", mode("mouse"), {"avt": UNTOLD}),
    Case("mouse motion", "\x1b[?1000h\x1b[?1003h", "motion", mode("mouse"), {"avt": UNTOLD}),
    Case("SGR mouse reports", "\x1b[?1006h", True, mode("mouse_sgr"), {"avt": UNTOLD}),
    Case("kitty keyboard flags", "\x1b[>5u", 5, mode("kitty_keyboard"), {"avt": UNTOLD, "pyte": UNTOLD}),
]  # fmt: skip

STRINGS = [
    Case("title", "\x1b]0;✳ a topic\a", "✳ a topic", lambda e: e.title(), {"avt": NO_TITLE}),
    Case("title ended by ST", "\x1b]2;two\x1b\\", "two", lambda e: e.title(), {"avt": NO_TITLE}),
    Case("strings are never drawn", "\x1b]52;c;aGk=\aa\x1bP+q544e\x1b\\b\x1b_Gq\x1b\\c\x1b^pm\x1b\\d\x1bXs\x1b\\e", ["abcde"]),
    Case("private sequences are never drawn", "\x1b[>4;2ma\x1b[>cb\x1b[?1$pc\x1b[=3ud\x1b[!pe", ["abcde"]),
    Case("CAN ends a sequence", "\x1b[31\x18mx", ["mx"]),
    Case("ESC starts over", "\x1b[3\x1b[1mx", Style(bold=True), first_style),
    Case("an unfinished string hides what follows", "a\x1b]0;half", ["a"]),
    Case("hyperlinks keep their text", "\x1b]8;;http://h/\x1b\\link\x1b]8;;\x1b\\", ["link"]),
]  # fmt: skip

CASES = TEXT + UNICODE + CURSOR + EDITING + STYLES + MODES + STRINGS


def tried() -> list[Any]:
    return [
        pytest.param(
            ENGINES[name],
            case,
            id=f"{name}-{case.name}",
            marks=[pytest.mark.xfail(reason=f"{name}: {case.differs[name]}", strict=True)]
            if name in case.differs
            else [],
        )
        for case in CASES
        for name in ENGINES
    ]


@pytest.mark.parametrize("engine, case", tried())
def test_behaviour(engine: type[Engine], case: Case) -> None:
    stream = case.stream if isinstance(case.stream, bytes) else case.stream.encode()
    at_once, by_byte = engine(ROWS, COLS, 50), engine(ROWS, COLS, 50)
    at_once.feed(stream)
    for number in stream:
        by_byte.feed(bytes([number]))
    assert (case.look(at_once), case.look(by_byte)) == (case.shown, case.shown)


def test_a_row_gives_runs_with_columns() -> None:
    engine = GhosttyEngine(2, 20)
    engine.feed("ab\x1b[31m你c\x1b[0md".encode())
    runs = [(run.col, run.text, run.width, run.style) for run in engine.screen()[0].runs()]
    assert runs == [(0, "ab", 2, PLAIN), (2, "你c", 3, Style(fg=1)), (5, "d", 1, PLAIN)]
    assert list(Row().runs()) == []


def test_ghostty_tells_where_a_line_was_wrapped() -> None:
    engine = GhosttyEngine(3, 4)
    engine.feed(b"abcdef\r\ng")
    assert [row.wrapped for row in engine.screen()] == [True, False, False]
