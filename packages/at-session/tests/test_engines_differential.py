"""ghostty and avt read the same streams: two implementations that share no code must show the same screen."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.engines import Engine
from at_session.engines.avt import AvtEngine
from at_session.engines.ghostty import GhosttyEngine
from at_session.engines.screen import Cell, Cursor, Style, trimmed

# Where the two are known to differ (each a line in the conformance table) the streams do not go: edits start from a
# column of their own (avt forgets that the line is full), insert and delete line stay in the scroll region, and so on.
counts = st.integers(1, 14).map(str) | st.just("")
kinds = st.sampled_from(["", "0", "1", "2"])
plain = st.one_of(
    st.text(st.sampled_from("abc XYZ019.é你好"), min_size=1, max_size=15),
    st.sampled_from(
        ["\r\n", "\r", "\n", "\b", "\r\t", "\x1bM", "\r\x1bD", "\x1bE", "\x1b7", "\x1b8", "\x1bc"]
    ),
    st.builds("\x1b[{}{}".format, counts, st.sampled_from("ABCDEFGdST")),
    st.builds("\x1b[{}G\x1b[{}{}".format, counts, counts, st.sampled_from("X@P")),
    st.builds("\x1b[{}G\x1b[{}{}".format, counts, kinds, st.sampled_from("JK")),
    st.builds("\x1b[{};{}H".format, counts, counts),
    st.builds("\x1b[{};{}r".format, st.integers(1, 2), st.integers(3, 4)),
    st.builds("\x1b[2;4r\x1b[3;{}H\x1b[{}{}\r".format, counts, counts, st.sampled_from("LM")),
    st.sampled_from(["0", "41", "48;5;9", "49", "48;2;1;2;3"]).map("\x1b[{}m".format),
    st.sampled_from(["1", "3", "4", "7", "9", "31", "97", "38;5;9", "1;4;44"]).map(
        "\x1b[{}mst ü\x1b[0m".format
    ),
    st.sampled_from(["\x1b[?25l", "\x1b[?25h", "\x1b[0m\x1b[?1049l\x1b[?1049h", "\x1b[0m\x1b[?1049l"]),
)
Seen = tuple[list[tuple[Cell, ...]], Cursor]


def seen(engine: Engine) -> Seen:
    """The screen with blanks reduced to their background: avt fills what it erases with all attributes."""
    rows = [
        trimmed([blank(cell) if cell.text == " " else cell for cell in row.cells]) for row in engine.screen()
    ]
    return [row.cells for row in rows], engine.cursor()


def blank(cell: Cell) -> Cell:
    return Cell(" ", 1, Style(bg=cell.style.bg))


def read(engine: type[Engine], rows: int, cols: int, stream: bytes) -> Seen:
    terminal = engine(rows, cols, 100)
    terminal.feed(stream)
    return seen(terminal)


@settings(max_examples=60, deadline=None)
@given(stream=st.lists(plain, max_size=30).map("".join), rows=st.integers(4, 8), cols=st.integers(4, 20))
def test_generated_streams_look_the_same(stream: str, rows: int, cols: int) -> None:
    data = stream.encode()
    assert read(GhosttyEngine, rows, cols, data) == read(AvtEngine, rows, cols, data)


def test_recorded_streams_look_the_same(recording: Any) -> None:
    data = recording.data
    assert read(GhosttyEngine, recording.rows, recording.cols, data) == read(
        AvtEngine, recording.rows, recording.cols, data
    )
