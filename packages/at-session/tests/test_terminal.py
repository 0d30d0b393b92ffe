"""The headless terminal: lazy, bounded, safe to show, and honest about what it cannot do."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import unicodedata
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.engines import Engine, default_engine
from at_session.engines.avt import AvtEngine
from at_session.engines.ghostty import GhosttyEngine
from at_session.engines.pyte import PyteEngine
from at_session.engines.screen import Size, Style
from at_session.terminal import BACKLOG_BYTES, KEPT_BYTES, SLOW_BACKLOG_BYTES, Terminal

ENGINES: list[type[Engine]] = [GhosttyEngine, PyteEngine, AvtEngine]
by_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


class Counting(GhosttyEngine):
    """Notes what it was given."""

    fed: ClassVar[list[int]] = []

    def feed(self, data: bytes) -> None:
        self.fed.append(len(data))
        super().feed(data)


@pytest.fixture
def fed() -> list[int]:
    Counting.fed.clear()
    return Counting.fed


def test_content_has_all_a_face_needs() -> None:
    terminal = Terminal(3, 20)
    terminal.feed("1\r\n2\r\n\x1b[1;31mred\x1b[0m 你\r\n\x1b]2;a title\a\x1b[?2004h\x1b[5 q".encode())
    content = terminal.renderable_content()
    assert content.text == terminal.text() == "2\nred 你\n"
    assert content.rows[1].cells[0].style == Style(fg=1, bold=True)
    assert (content.cursor.row, content.cursor.col, content.cursor.visible, content.cursor.shape) == (
        2,
        0,
        True,
        "bar",
    )
    assert (content.size, content.title, content.scrollback_length) == (Size(3, 20), "a title", 1)
    assert (content.modes.bracketed_paste, content.alternate_screen) == (True, False)
    assert content.offset == terminal.offset == 51
    assert terminal.scrollback(0, 5)[0].text == "1"
    with pytest.raises(dataclasses.FrozenInstanceError):
        content.title = "other"  # type: ignore[misc]


def test_bytes_are_read_when_somebody_looks(fed: list[int]) -> None:
    terminal = Terminal(engine=Counting)
    for _ in range(100):
        terminal.feed(b"x")
    assert terminal.dropped
    assert fed == []
    terminal.text()
    assert fed == [100]


def test_the_backlog_is_bounded(fed: list[int]) -> None:
    terminal = Terminal(engine=Counting)
    for _ in range(5 * 16):
        terminal.feed(b"x" * (BACKLOG_BYTES // 16))
    assert fed == [BACKLOG_BYTES] * 5


def test_a_resize_takes_effect_where_it_came() -> None:
    terminal = Terminal(2, 10)
    terminal.feed(b"a" * 10 + b"\r\n")
    terminal.resize(2, 5)
    terminal.feed(b"b" * 5 + b"c")
    assert terminal.size == Size(2, 5)
    assert terminal.text() == "bbbbb\nc"
    assert [row.text for row in terminal.scrollback(0, 9)] == ["aaaaa", "aaaaa"]


@pytest.mark.parametrize("engine", [GhosttyEngine, PyteEngine])
@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1)])
def test_extreme_sizes_work(engine: type[Engine], size: tuple[int, int]) -> None:
    terminal = Terminal(4, 10, scrollback=20, engine=engine)
    terminal.feed("hello 你好\r\n".encode() * 5)
    terminal.resize(*size)
    terminal.feed("hello 你好\x1b[2;2Hx\x1b[3L".encode())
    assert len(terminal.renderable_content().rows) == size[0]


@pytest.mark.parametrize("size", [(0, 80), (24, 0), (1001, 80), (24, 1001), (-1, 5)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1–1000"):
        Terminal(*size)
    with pytest.raises(ValueError, match="1–1000"):
        Terminal().resize(*size)


@pytest.mark.parametrize(
    "start, count, expected",
    [(0, 2, ["0", "1"]), (5, 9, ["5", "6", "7"]), (8, 1, []), (-3, 1, ["0"]), (0, 0, [])],
)
@by_engine
def test_scrollback_gives_what_there_is(
    engine: type[Engine], start: int, count: int, expected: list[str]
) -> None:
    terminal = Terminal(2, 10, engine=engine)
    terminal.feed(b"\r\n".join(b"%d" % number for number in range(10)))
    assert [row.text for row in terminal.scrollback(start, count)] == expected


@pytest.mark.parametrize("limit", [0, 1, 700, 3000])
def test_scrollback_keeps_exactly_its_limit(limit: int) -> None:
    terminal = Terminal(4, 100, scrollback=limit)
    terminal.feed(b"".join(b"%d\r\n" % number for number in range(12000)))
    rows = terminal.scrollback(0, limit + 10)
    assert len(rows) == terminal.renderable_content().scrollback_length == limit
    assert [row.text for row in rows[:1] + rows[-1:]] == [str(11997 - limit), "11996"][: 2 if limit else 0]


@settings(max_examples=60, deadline=None)
@given(stream=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
@by_engine
def test_no_stream_raises_and_nothing_shown_is_a_command(engine: type[Engine], stream: bytes) -> None:
    terminal = Terminal(4, 20, engine=engine)
    terminal.feed(stream)
    terminal.feed(b"\x18\x1b\\\x1b]2;" + stream + b"\x1b\\")
    terminal.resize(3, 7)
    terminal.feed(stream)
    content = terminal.renderable_content()
    shown = content.title + "".join(row.text for row in content.rows + terminal.scrollback(0, 100))
    assert not [character for character in shown if unicodedata.category(character) == "Cc"]


@by_engine
@pytest.mark.parametrize(
    "flood",
    [b"y\r\n", b"x" * 4096, b"\x1b[31m\x1b[", b"\x1b]0;", "👨\u200d".encode(), "e\u0301\u0301".encode(), "\u0301".encode(), b"\xff\xc0", b"\x1b[9999999999999999999;1H"],
)  # fmt: skip
def test_a_flood_is_survived_and_the_end_is_shown(engine: type[Engine], flood: bytes) -> None:
    size = 2 * BACKLOG_BYTES if engine is GhosttyEngine else BACKLOG_BYTES // 16
    terminal = Terminal(10, 40, engine=engine)
    terminal.feed(flood * (size // len(flood)))
    terminal.feed(b"\x18\x1b\\\x1bc" + b"the end")
    assert terminal.text().rstrip() == "the end"


def test_a_slow_engine_skips_what_it_cannot_follow_and_says_so() -> None:
    terminal = Terminal(5, 20, engine=PyteEngine)
    for _ in range(4):
        terminal.feed(b"\x1b]0;unfinished " + b"x" * (SLOW_BACKLOG_BYTES // 2))
    terminal.feed(b"\r\nthe end")
    terminal.resize(4, 30)
    assert terminal.text().splitlines()[-1] == "the end"
    assert terminal.offset == 4 * (SLOW_BACKLOG_BYTES // 2 + 15) + 9
    assert terminal.degraded is not None
    assert "bytes came too fast for it and were skipped" in terminal.degraded
    assert KEPT_BYTES < SLOW_BACKLOG_BYTES


@by_engine
def test_recorded_streams_read_the_same_in_any_pieces(engine: type[Engine], recording: Any) -> None:
    data = recording.data[:3000] if engine.slow else recording.data
    whole, pieces = (Terminal(recording.rows, recording.cols, engine=engine) for _ in range(2))
    whole.feed(data)
    for start in range(0, len(data), 7):
        pieces.feed(data[start : start + 7])
        if start % 11 == 0 and engine is GhosttyEngine:
            pieces.renderable_content()
    assert pieces.renderable_content() == whole.renderable_content()


def test_a_repaint_shows_the_same_on_a_fresh_terminal(recording: Any) -> None:
    for part in (2, 3, 4):
        terminal = Terminal(recording.rows, recording.cols)
        terminal.feed(recording.data[: len(recording.data) * part // 4])
        again = Terminal(recording.rows, recording.cols)
        again.feed(terminal.repaint())
        want, got = terminal.renderable_content(), again.renderable_content()
        assert [row.cells for row in got.rows] == [row.cells for row in want.rows]
        assert (got.cursor, got.title, got.modes) == (want.cursor, want.title, want.modes)


def test_the_default_engine_is_ghostty_and_whole() -> None:
    assert default_engine().engine is GhosttyEngine
    terminal = Terminal()
    assert (terminal.engine_name, terminal.degraded) == ("ghostty", None)


MISSING = """
import sys
for package in sys.argv[1:]:
    sys.modules[package] = None
from at_session.errors import EngineMissing
from at_session.terminal import Terminal
try:
    terminal = Terminal()
    terminal.feed(b"hello")
    print(terminal.engine_name, "|", terminal.text().strip(), "|", terminal.degraded)
except EngineMissing as missing:
    print("missing |", missing)
"""


@pytest.mark.parametrize(
    "absent, said",
    [
        (["pyghostty"], "pyte | hello | screens are emulated by pyte: slow, without reflow, and approximate for full-screen programs (the terminal engine ghostty needs the package pyghostty, which is not installed)"),
        (["pyghostty", "pyte"], "missing | the terminal engine pyte needs the package pyte, which is not installed"),
    ],
)  # fmt: skip
def test_without_a_wheel_the_terminal_says_what_is_degraded(absent: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISSING, *absent], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == said
