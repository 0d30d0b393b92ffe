"""What is shown acts on no terminal and hides nothing; what is taken has limits."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from at_core.errors import UsageError
from at_core.text import (
    MAX_PROMPT,
    MAX_TITLE,
    cell_width,
    one_line,
    plain_title,
    require_prompt,
    require_title,
    visible,
)

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
any_text = st.text(
    st.characters(exclude_categories=())
    | st.sampled_from("\x00\x1b\x7f\x9b\n\r\t\u202e\u2066\U000e0041\ud800\ufeff"),
    max_size=60,
)


def is_safe(character: str) -> bool:
    """Whether a terminal only draws it, in its place."""
    tag = 0xE0000 <= ord(character) <= 0xE0FFF
    return (
        unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in BIDI and not tag
    )


@given(text=any_text)
@example(text="\x1b]0;title\x07\x9b31m")
@example(text="\U000e0001\U000e007f")
def test_nothing_that_is_shown_acts_on_a_terminal(text: str) -> None:
    assert all(map(is_safe, visible(text)))
    assert all(is_safe(character) or character in "\n\t" for character in visible(text, keep_lines=True))


@given(text=any_text, width=st.integers(-1, 40))
def test_a_line_is_one_line_that_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert all(map(is_safe, line))
    assert sum(map(cell_width, line)) <= max(0, width)


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("short", 10, "short"),
        ("exactly", 7, "exactly"),
        ("too long", 7, "too lo…"),
        ("a\n\n b\t c ", 20, "a b c"),
        ("漢字漢字", 8, "漢字漢字"),
        ("漢字漢字", 7, "漢字漢…"),
        ("漢字漢字", 6, "漢字…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("\x1b[31mred", 20, "\\x1b[31mred"),
        ("x", 0, ""),
        ("xy", 1, "…"),
        ("", 5, ""),
    ],
)
def test_how_a_line_is_cut(text: str, width: int, line: str) -> None:
    assert one_line(text, width) == line


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Fix the door", "Fix the door"),
        ("\n\n  Fix the door \nand the window", "Fix the door"),
        ("", "untitled"),
        (" \n\t\n", "untitled"),
        ("x" * 100, "x" * 71 + "…"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_a_title_is_made_from_a_prompt(prompt: str, title: str) -> None:
    assert plain_title(prompt) == title


@given(text=any_text)
def test_a_made_title_can_be_a_title(text: str) -> None:
    assert require_title(plain_title(text)) == plain_title(text)


def test_a_prompt_of_two_megabytes_is_taken_as_it_is() -> None:
    prompt = "é" * (1 << 20) + "\ud800\x00"
    assert require_prompt(prompt) is prompt


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_PROMPT + 1), "é" * (MAX_PROMPT // 2 + 1)])
def test_a_prompt_has_limits(text: str) -> None:
    with pytest.raises(UsageError) as told:
        require_prompt(text, "message")
    assert "message" in told.value.message


@pytest.mark.parametrize("text", ["", "\t", "x" * (MAX_TITLE + 1)])
def test_a_title_has_limits(text: str) -> None:
    with pytest.raises(UsageError):
        require_title(text)
    assert require_title("x" * MAX_TITLE)
