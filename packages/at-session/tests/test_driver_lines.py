"""Lines and plain commands: what every driver of a line protocol stands on."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_session.drivers import driver_for, jsonlines, known_clis
from at_session.drivers.commands import argument_list
from at_session.drivers.epochs import rfc3339
from at_session.errors import UnknownCli
from at_session.vocabulary import DriverState, Unparsed


@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.integers(0, 170), max_size=8))
def test_lines_come_whole_whatever_the_chunks(lines: list[bytes], cuts: list[int]) -> None:
    lines = [line.replace(b"\n", b" ") for line in lines]
    whole = b"".join(line + b"\n" for line in lines)
    borders = [0, *sorted(cuts), len(whole)]
    state = DriverState()
    found: list[bytes] = []
    for start, end in pairwise(borders):
        found += jsonlines.split_lines(state, "stdout", whole[start:end])
        state = DriverState(json.loads(json.dumps(state.values)))
    assert found == [line.rstrip(b"\r") for line in lines]


def test_streams_do_not_mix() -> None:
    state = DriverState()
    assert list(jsonlines.split_lines(state, "stdout", b"one ")) == []
    assert list(jsonlines.split_lines(state, "stderr", b"other\n")) == [b"other"]
    assert list(jsonlines.split_lines(state, "stdout", b"line\n")) == [b"one line"]


def test_of_a_line_beyond_the_limit_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "LINE_LIMIT", 1000)
    state = DriverState()
    chunks = [b"x" * 600, b"y" * 600, b"z" * 600, b"\nnext\n"]
    found = [line for chunk in chunks for line in jsonlines.split_lines(state, "stdout", chunk)]
    assert found == [b"x" * 500, b"next"]


@pytest.mark.parametrize(
    "line, value",
    [
        (b"", None),
        (b"  \t", None),
        (b'{"a": 1}', {"a": 1}),
        (b'{"a": "\xff"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        (b'{"a": ["\\ud83d"]}', {"a": ["\N{REPLACEMENT CHARACTER}"]}),
        (b'{"a": "\\ud83d\\ude80"}', {"a": "\N{ROCKET}"}),
        (b"7", Unparsed("7")),
        (b"{nope", Unparsed("{nope")),
        (b"x" * 600, Unparsed("x" * 500)),
    ],
)
def test_a_line_is_an_object_or_a_fact(line: bytes, value: object) -> None:
    assert jsonlines.parse(line) == value


@pytest.mark.parametrize(
    "command, words",
    [
        ("make test", ("make", "test")),
        ("git commit -m 'two words'", ("git", "commit", "-m", "two words")),
        ('grep "a b" file', ("grep", "a b", "file")),
        ("a; b", None),
        ("a && b", None),
        ("a | b", None),
        ("a > b", None),
        ("a $HOME", None),
        ("a `b`", None),
        ("a *.py", None),
        ("a ~", None),
        ("a {1,2}", None),
        ("a\nb", None),
        ("a \\b", None),
        ("X=1 a", None),
        ("X+=1 a", None),
        ("a 'open", None),
        ("", None),
        ("   ", None),
    ],
)
def test_only_a_plain_command_is_a_list_of_words(command: str, words: tuple[str, ...] | None) -> None:
    assert argument_list(command) == words


@pytest.mark.parametrize("cli", known_clis())
def test_every_known_cli_has_a_driver(cli: str) -> None:
    assert driver_for(cli).cli == cli


def test_an_unknown_cli_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UnknownCli, match="no driver for 'nano'; there are claude, .*demo"):
        driver_for("nano")


@pytest.mark.parametrize(
    "epoch, told",
    [
        (1_800_000_000, "2027-01-15T08:00:00Z"),
        (1_800_000_000.1, "2027-01-15T08:00:01Z"),
        (1_800_000_000_000, "2027-01-15T08:00:00Z"),
        (1_800_000_000_999, "2027-01-15T08:00:01Z"),
        (0, None),
        (-1, None),
        (1e300, None),
        ("soon", None),
        (True, None),
    ],
)
def test_an_end_of_a_limit_is_never_told_too_early(epoch: object, told: str | None) -> None:
    assert rfc3339(epoch) == told
