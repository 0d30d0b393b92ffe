"""How many comments may wait: all of them have to become one prompt."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from at_agents import prompts
from at_agents.comments import Comment
from at_core.text import MAX_PROMPT
from at_daemon.handlers.comments import MOST_BYTES, MOST_CHARACTERS, MOST_OPEN, fitting

ONE = Comment(number=0, text="name it", head="a" * 40, at=datetime(2026, 11, 22, tzinfo=UTC))


@pytest.mark.parametrize("character", ["x", "€", "\n"])
def test_the_longest_that_can_wait_are_one_prompt(character: str) -> None:
    long = dataclasses.replace(ONE, text=character * MOST_CHARACTERS, author="eve")
    own = fitting([], [dataclasses.replace(long, author=None)] * MOST_OPEN)
    others = fitting([], [long] * MOST_OPEN)
    assert 0 < len(others) <= len(own)
    assert len(prompts.comments([*own, *others], "").encode()) + MOST_BYTES < MAX_PROMPT
    assert fitting(others, [long]) == []


def test_short_ones_are_counted_by_number() -> None:
    assert len(fitting([ONE] * 3, [ONE] * MOST_OPEN)) == MOST_OPEN - 3
