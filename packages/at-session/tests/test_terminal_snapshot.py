"""A snapshot is exact: what is restored shows the same and goes on the same, wherever the stream is cut."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.engines import Engine
from at_session.engines.ghostty import CONTINUATION_BYTES, GhosttyEngine
from at_session.engines.pyte import PyteEngine
from at_session.errors import SnapshotRejected, SnapshotUnavailable
from at_session.terminal import Terminal

ENGINES: list[type[Engine]] = [GhosttyEngine, PyteEngine]
SLOW_BYTES = 3000
by_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)

numbers = st.integers(0, 12).map(str)
parameters = st.lists(numbers | st.just(""), max_size=4).map(";".join)
colours = st.sampled_from(
    ["31", "44", "97", "38;5;200", "48;2;1;2;3", "38:2::9:8:7", "4:3", "58;5;3", "0", "1;3;4;7;9"]
)
modes = st.sampled_from(
    [1, 3, 5, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1004, 1006, 1047, 1048, 1049, 2004, 2026, 2027]
)
texts = st.text(st.sampled_from("ab -~é你好🙂👨\u200d👩\u0301\u0308\ufe0f🇩🇪\u00ad"), min_size=1, max_size=12)
sequences = st.one_of(
    texts.map(str.encode),
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"\t", b"\b", b"\a", b"\x0e", b"\x0f", b"\x18", b"\x00", b"\x7f"]
    ),
    st.builds("\x1b[{}{}".format, parameters, st.sampled_from("ABCDEFGHIJKLMPSTXZ@`abdefgrs")).map(
        str.encode
    ),
    colours.map("\x1b[{}m".format).map(str.encode),
    st.builds("\x1b[?{}{}".format, modes, st.sampled_from("hlsr")).map(str.encode),
    st.builds("\x1b[{}{}".format, st.sampled_from(["4", "20"]), st.sampled_from("hl")).map(str.encode),
    st.builds("\x1b[{} q".format, st.integers(0, 6)).map(str.encode),
    st.sampled_from(
        [
            b"\x1b7",
            b"\x1b8",
            b"\x1bD",
            b"\x1bM",
            b"\x1bE",
            b"\x1bH",
            b"\x1bc",
            b"\x1b(0",
            b"\x1b)0",
            b"\x1b(B",
        ]
    ),
    st.sampled_from(
        [
            b"\x1b=",
            b"\x1b>",
            b"\x1b#8",
            b"\x1b[!p",
            b"\x1bn",
            b"\x1b[3g",
            b"\x1b[>4;2m",
            b"\x1b[>5u",
            b"\x1b[<u",
        ]
    ),
    st.sampled_from(
        [b"\x1b]2;a title \xe2\x9c\xb3\x1b\\", b"\x1b]0;other\a", b"\x1b]8;;http://a/\a", b"\x1b]8;;\a"]
    ),
    st.sampled_from(
        [
            b"\x1b]4;1;#112233\a",
            b"\x1b]11;#000\a",
            b"\x1bP+q544e\x1b\\",
            b"\x1b_Gi=1;AAAA\x1b\\",
            b"\x1b]133;A\a",
        ]
    ),
    st.sampled_from(
        [
            b"\x1b",
            b"\x1b[",
            b"\x1b[3",
            b"\x1b]0;half",
            b"\xf0\x9f",
            b"\xe4",
            b"\xff\xfe",
            b"\xc2\x9b31m",
            b"\x1bP",
        ]
    ),
)
streams = st.lists(sequences, max_size=40).map(b"".join)
sizes = st.tuples(st.integers(1, 12), st.integers(1, 20))


def state(terminal: Terminal) -> tuple[Any, ...]:
    return terminal.renderable_content(), terminal.scrollback(0, 1000), terminal.size, terminal.offset


@by_engine
@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 40)), stream=streams, cut=st.floats(0, 1), resized=sizes
)
def test_cutting_a_generated_stream_changes_nothing(
    engine: type[Engine], size: tuple[int, int], stream: bytes, cut: float, resized: tuple[int, int]
) -> None:
    at = int(cut * len(stream))
    whole = Terminal(*size, scrollback=50, engine=engine)
    whole.feed(stream[:at])
    restored = Terminal.from_snapshot(whole.snapshot(), engine)
    assert state(restored) == state(whole)
    for terminal in (whole, restored):
        terminal.feed(stream[at:])
    assert state(restored) == state(whole)
    for terminal in (whole, restored):
        terminal.resize(*resized)
        terminal.feed(stream[:at])
    assert state(restored) == state(whole)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(sequences, max_size=30))
def test_looking_after_every_piece_shows_what_one_look_shows(pieces: list[bytes]) -> None:
    watched = Terminal(5, 20, scrollback=50)
    for count, piece in enumerate(pieces, start=1):
        watched.feed(piece)
        seen = state(watched)
        if count % 7 == 0 or count == len(pieces):
            fresh = Terminal(5, 20, scrollback=50)
            fresh.feed(b"".join(pieces[:count]))
            assert seen == state(fresh)


@by_engine
def test_cutting_a_recorded_stream_changes_nothing(engine: type[Engine], recording: Any) -> None:
    data = recording.data[:SLOW_BYTES] if engine.slow else recording.data
    whole = Terminal(recording.rows, recording.cols, engine=engine)
    whole.feed(data)
    expected = state(whole)
    cuts = random.Random(recording.name).sample(range(len(data)), 2 if engine.slow else 5)
    walking = Terminal(recording.rows, recording.cols, engine=engine)
    for at in sorted(cuts):
        walking.feed(data[walking.offset : at])
        restored = Terminal.from_snapshot(walking.snapshot(), engine)
        assert state(restored) == state(walking)
        restored.feed(data[at:])
        assert state(restored) == expected


HARD = "\x1b[31mé你👨\u200d👩 \x1b]2;tïtle\x1b\\\x1b[?1049h\x1b[3;1Hx\x1b(0lqk\x1b(B\x1bP+q4\x1b\\\x1b[38:2::1:2:3mo".encode()


@by_engine
def test_every_byte_of_a_hard_stream_is_a_place_to_cut(engine: type[Engine]) -> None:
    whole = Terminal(4, 10, engine=engine)
    whole.feed(HARD)
    for at in range(len(HARD) + 1):
        first = Terminal(4, 10, engine=engine)
        first.feed(HARD[:at])
        restored = Terminal.from_snapshot(first.snapshot(), engine)
        restored.feed(HARD[at:])
        assert state(restored) == state(whole), at


@by_engine
def test_a_dropped_terminal_comes_back_as_it_was(engine: type[Engine], recording: Any) -> None:
    kept = Terminal(recording.rows, recording.cols, engine=engine)
    idle = Terminal(recording.rows, recording.cols, engine=engine)
    data = recording.data[:SLOW_BYTES] if engine.slow else recording.data
    half = len(data) // 2
    kept.feed(data[:half])
    idle.feed(data[:half])
    assert state(idle) == state(kept)
    assert idle.drop()
    assert idle.dropped
    kept.feed(data[half:])
    idle.feed(data[half:])
    assert idle.dropped, "bytes alone must not wake the engine"
    assert state(idle) == state(kept)
    assert not idle.dropped


def test_a_snapshot_keeps_offset_size_and_scrollback_limit() -> None:
    terminal = Terminal(3, 9, scrollback=7, offset=1000)
    terminal.feed(b"\r\n".join(b"%d" % number for number in range(40)))
    restored = Terminal.from_snapshot(terminal.snapshot())
    assert (restored.offset, restored.size) == (terminal.offset, terminal.size)
    assert restored.renderable_content().scrollback_length == 7
    assert [row.text for row in restored.scrollback(0, 9)] == [str(number) for number in range(30, 37)]


def test_an_unfinished_sequence_beyond_all_bounds_has_no_snapshot_and_no_drop() -> None:
    terminal = Terminal()
    terminal.feed(b"before\x1b]52;c;" + b"A" * (2 * CONTINUATION_BYTES))
    assert terminal.text().startswith("before")
    with pytest.raises(SnapshotUnavailable, match="over 1048576 bytes"):
        terminal.snapshot()
    assert not terminal.drop()
    terminal.feed(b"\a after")
    assert Terminal.from_snapshot(terminal.snapshot()).text().startswith("before after")


@pytest.mark.parametrize("made, read", [(GhosttyEngine, PyteEngine), (PyteEngine, GhosttyEngine)])
def test_another_engine_restores_the_screen_and_says_it_is_approximate(
    made: type[Engine], read: type[Engine], recording: Any
) -> None:
    terminal = Terminal(recording.rows, recording.cols, engine=made)
    terminal.feed(recording.data)
    restored = Terminal.from_snapshot(terminal.snapshot(), read)
    assert restored.degraded is not None
    assert made.version in restored.degraded
    assert restored.text() == terminal.text()
    assert restored.offset == terminal.offset
    assert restored.renderable_content().cursor.row == terminal.renderable_content().cursor.row


@pytest.mark.parametrize(
    "stream, reason",
    [
        (b"\x1b[?69h\x1b[3;9s\x1b[1;3Habcdefg", "right margins"),
        (b"\x1b[?69h\x1b[3;9s\x1b[1;3Habcdefg\x1b[?69l", "right margins"),
        (b"\x1b\x98\x9d", "no sequence at all"),
    ],
)
def test_what_libghostty_does_not_keep_is_refused_until_it_has_passed(stream: bytes, reason: str) -> None:
    terminal = Terminal(4, 20)
    terminal.feed(stream)
    with pytest.raises(SnapshotUnavailable, match=reason):
        terminal.snapshot()
    assert terminal.text() is not None
    assert not terminal.drop()
    terminal.feed(b"\x18\x1b\\\x1b[?69l\rx")
    assert state(Terminal.from_snapshot(terminal.snapshot())) == state(terminal)


def test_a_wide_character_cut_by_a_resize_is_refused_until_the_program_draws_again() -> None:
    terminal = Terminal(4, 20)
    terminal.feed("\x1b[?1049h1234你".encode())
    terminal.resize(4, 5)
    with pytest.raises(SnapshotUnavailable, match="cut by a resize"):
        terminal.snapshot()
    terminal.feed(b"\x1b[H\x1b[2Jdrawn")
    assert state(Terminal.from_snapshot(terminal.snapshot())) == state(terminal)


def test_looking_at_an_idle_terminal_again_wakes_no_engine() -> None:
    terminal = Terminal()
    terminal.feed(b"hello")
    content = terminal.renderable_content()
    assert terminal.drop()
    assert terminal.renderable_content() is content
    assert terminal.dropped
    terminal.resize(30, 90)
    assert terminal.renderable_content().size != content.size
    assert not terminal.dropped


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


@by_engine
@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: flip(data, 60), lambda data: b"", lambda data: flip(data, 2)],
)
def test_a_damaged_snapshot_is_rejected(engine: type[Engine], damage: Any) -> None:
    terminal = Terminal(engine=engine)
    terminal.feed(b"hello")
    with pytest.raises(SnapshotRejected):
        Terminal.from_snapshot(damage(terminal.snapshot()), engine)


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 10_000), value=st.integers(1, 255))
def test_damaged_state_never_gets_past_the_engine(at: int, value: int) -> None:
    engine = GhosttyEngine(4, 20)
    engine.feed(b"\x1b[31mhello\x1b]0;t\a\x1b[3")
    saved = bytearray(engine.save())
    saved[at % len(saved)] ^= value
    with pytest.raises(SnapshotRejected):
        GhosttyEngine.restore(bytes(saved), 4, 20, 5000)


@given(junk=st.binary(max_size=200))
def test_junk_is_no_snapshot(junk: bytes) -> None:
    with pytest.raises(SnapshotRejected):
        Terminal.from_snapshot(junk)
    with pytest.raises(SnapshotRejected):
        PyteEngine.restore(zlib.compress(junk), 4, 20, 50)
