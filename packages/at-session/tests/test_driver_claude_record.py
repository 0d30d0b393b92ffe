"""What the transcript has of a turn that was cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_session.drivers.claude import ClaudeDriver
from at_session.drivers.claude_record import CutTurn, read
from at_session.vocabulary import DriverState, PromptForgotten, Usage, UsageReported


def user(uuid: str) -> bytes:
    return json.dumps({"type": "user", "uuid": uuid, "message": {"role": "user"}}).encode() + b"\n"


def answer(number: int, model: str = "large", given: int = 10) -> bytes:
    usage = {"input_tokens": given, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5}
    message = {"id": f"msg_{number}", "model": model, "usage": {**usage, "output_tokens": 2}}
    return json.dumps({"type": "assistant", "message": message}).encode() + b"\n"


ONE = Usage(input_tokens=13, cached_tokens=5, output_tokens=2, model="large")


@pytest.mark.parametrize(
    "lines, expected",
    [
        ([], CutTurn(False, ())),
        ([user("old"), answer(1)], CutTurn(False, ())),
        ([user("old"), answer(1), user("mine")], CutTurn(True, ())),
        ([user("old"), answer(1), user("mine"), answer(2), answer(2)], CutTurn(True, (ONE,))),
        ([user("mine"), answer(1, "<synthetic>")], CutTurn(True, ())),
        ([user("mine"), answer(1), user("tool result"), b'{"type":"assist'], CutTurn(True, (ONE,))),
        (
            [user("mine"), answer(1), answer(2), answer(3, "small", 1)],
            CutTurn(True, (Usage(26, 10, 4, model="large"), Usage(4, 5, 2, model="small"))),
        ),
    ],
    ids=["empty", "not there", "no answer", "repeated lines", "own words", "half a line", "models"],
)
def test_the_answers_behind_the_prompt_count_once(lines: list[bytes], expected: CutTurn) -> None:
    assert read(lines, "mine") == expected


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([user("mine"), answer(1)]))))
def test_no_transcript_is_too_damaged(lines: list[bytes]) -> None:
    assert read(lines, "mine").known is (user("mine") in lines)


def test_a_prompt_that_the_transcript_lacks_is_forgotten_and_told_once(tmp_path: Path) -> None:
    driver = ClaudeDriver(DriverState({"current": "u1", "names": {"u1": "m1"}, "session": ["s", "large"]}))
    env = {"HOME": str(tmp_path)}
    assert driver.reconcile(env, "/repo") == [PromptForgotten("m1")]
    assert driver.reconcile(env, "/repo") == []


def test_a_prompt_that_it_has_is_not_and_its_tokens_are_told(tmp_path: Path) -> None:
    folder = tmp_path / ".claude" / "projects" / "-repo"
    folder.mkdir(parents=True)
    (folder / "s.jsonl").write_bytes(user("u1") + answer(1))
    driver = ClaudeDriver(DriverState({"current": "u1", "session": ["s", "large"]}))
    assert driver.reconcile({"HOME": str(tmp_path)}, "/repo") == [UsageReported(ONE, "claude transcript")]


def test_nothing_is_looked_for_where_no_turn_was_cut(tmp_path: Path) -> None:
    assert ClaudeDriver(DriverState({"session": ["s", "large"]})).reconcile({}, "/repo") == []
