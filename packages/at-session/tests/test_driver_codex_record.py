"""What the Codex driver reads in the CLI's own record after a process is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from at_session.drivers.codex import CodexDriver
from at_session.drivers.codex_record import digest, find, read
from at_session.vocabulary import (
    DriverEvent,
    DriverState,
    FailureKind,
    LaunchRequest,
    Limited,
    PromptAccepted,
    PromptForgotten,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
    Write,
)

RECORDED = Path(__file__).with_name("recordings") / "codex-0.169.0" / "killed.rollout.jsonl"
THREAD = "01a204f6-598b-7891-9706-f72151225fbf"
TURN = "turn-1"


def line(kind: str, **payload: object) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "type": kind, "payload": payload}


def said(text: str) -> dict[str, Any]:
    return line("response_item", type="message", role="user", content=[{"type": "input_text", "text": text}])


def taken(message_id: str) -> dict[str, Any]:
    item = {"type": "UserMessage", "client_id": message_id}
    return line("event_msg", type="item_completed", turn_id=TURN, item=item)


def spent(given: int, cached: int, output: int) -> dict[str, Any]:
    usage = {"input_tokens": given, "cached_input_tokens": cached, "output_tokens": output}
    return line("token_usage_record", turn_id=TURN, usage=usage)


def ended(**more: object) -> dict[str, Any]:
    return line("event_msg", type="task_complete", turn_id=TURN, last_agent_message="Done.", **more)


def keep(home: Path, *lines: dict[str, Any], thread: str = THREAD) -> None:
    folder = home / ".codex" / "sessions" / "2026" / "01" / "01"
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in lines)
    (folder / f"rollout-2026-01-01T00-00-00-{thread}.jsonl").write_text(text)


def after_death(**values: object) -> CodexDriver:
    return CodexDriver(DriverState({"thread": THREAD, "model": "m", **values}))


def reconciled(driver: CodexDriver, home: Path) -> list[DriverEvent]:
    return driver.reconcile({"HOME": str(home)}, "/nowhere")


def sending(text: str) -> dict[str, str]:
    return {"id": "m1", "digest": digest(text)}


OPEN = {"id": TURN, "message": "m1", "begun": True, "digest": digest("Hello")}


def test_a_real_record_of_a_killed_process_is_understood() -> None:
    found = read(RECORDED)
    ((message_id, turn),) = found.prompts.items()
    assert (message_id, found.unnamed, found.ends) == ("m1", None, {})
    # Response 1 was complete, response 2 was not: 101+7 input, 53+3 written, 1009+13 read, 31+11 output tokens.
    assert found.spent == {turn: {"input": 108 + 56, "cached": 1022, "output": 42}}


def test_an_open_turn_tells_what_it_spent_once(tmp_path: Path) -> None:
    keep(tmp_path, said("Hello"), taken("m1"), spent(100, 40, 7), spent(200, 50, 9))
    driver = after_death(turn=dict(OPEN), known=["m1"])
    (event,) = reconciled(driver, tmp_path)
    assert isinstance(event, UsageReported)
    usage = event.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (210, 90, 16)
    assert reconciled(driver, tmp_path) == []


@pytest.mark.parametrize(
    "end, events",
    [
        (ended(), [TurnEnded(TurnOutcome.COMPLETED, "m1", "Done.")]),
        (
            line("event_msg", type="turn_aborted", turn_id=TURN),
            [TurnEnded(TurnOutcome.INTERRUPTED, "m1")],
        ),
        (
            ended(error={"message": "limit", "codex_error_info": "usage_limit_exceeded"}),
            [
                Limited("limit"),
                TurnEnded(TurnOutcome.FAILED, "m1", "Done.", FailureKind.LIMIT, "limit"),
            ],
        ),
    ],
    ids=["completed", "interrupted", "failed"],
)
def test_an_end_that_was_not_heard_is_told(
    tmp_path: Path, end: dict[str, Any], events: list[DriverEvent]
) -> None:
    keep(tmp_path, said("Hello"), taken("m1"), end)
    driver = after_death(turn={**OPEN, "interrupted": True}, known=["m1"])
    assert reconciled(driver, tmp_path) == events


def test_a_process_that_was_told_to_end_has_interrupted_its_turn_and_not_ended_it(tmp_path: Path) -> None:
    keep(tmp_path, said("Hello"), taken("m1"), line("event_msg", type="turn_aborted", turn_id=TURN))
    assert reconciled(after_death(turn=dict(OPEN), known=["m1"]), tmp_path) == []


@pytest.mark.parametrize(
    "lines, events",
    [
        ([said("Hello"), taken("m1")], [PromptAccepted("m1"), TurnStarted("m1")]),
        ([said("Hello")], [PromptAccepted("m1"), TurnStarted("m1")]),
        ([said("Something else")], []),
        ([said("Hello"), taken("m0")], []),
    ],
    ids=["named", "not-yet-named", "other-text", "of-another-prompt"],
)
def test_a_prompt_that_was_taken_unheard_is_accepted(
    tmp_path: Path, lines: list[dict[str, Any]], events: list[DriverEvent]
) -> None:
    keep(tmp_path, *lines)
    assert reconciled(after_death(sending=sending("Hello")), tmp_path) == events


@pytest.mark.parametrize(
    "lines", [[said("Hello")], [said("Hello"), taken("m1")]], ids=["not-yet-named", "named"]
)
def test_a_prompt_whose_turn_began_before_it_was_acknowledged_is_accepted_and_kept(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    keep(tmp_path, *lines)
    driver = after_death(sending=sending("Hello"), turn={"id": TURN, "message": "m1"})
    assert reconciled(driver, tmp_path) == [PromptAccepted("m1"), TurnStarted("m1")]
    assert driver.state.values["known"] == ["m1"]


@pytest.mark.parametrize(
    "lines, forgotten",
    [
        (None, True),
        ([], True),
        ([said("Something else")], True),
        ([said("Hello")], False),
        ([said("Hello"), taken("m1")], False),
    ],
    ids=["no-record", "empty", "other-text", "not-yet-named", "named"],
)
def test_an_acknowledged_prompt_that_is_not_on_record_is_told(
    tmp_path: Path, lines: list[dict[str, Any]] | None, forgotten: bool
) -> None:
    if lines is not None:
        keep(tmp_path, *lines)
    driver = after_death(turn=dict(OPEN), known=["m1"])
    assert (PromptForgotten("m1") in reconciled(driver, tmp_path)) is forgotten
    assert ("m1" in driver.state.values["known"]) is not forgotten


def relaunched(home: Path, before: dict[str, object], *, session: str = THREAD) -> CodexDriver:
    driver = CodexDriver(DriverState(before))
    env = {"CODEX_HOME": str(home / ".codex"), "TMPDIR": "/nowhere/tmp"}
    driver.launch(
        LaunchRequest("a1", "codex", (), "/nowhere", env, "/nowhere/private", session_id=session, resume=True)
    )
    return driver


def writes(driver: CodexDriver, answer: Mapping[str, object]) -> list[str]:
    given = driver.feed("stdout", json.dumps(answer).encode() + b"\n")
    return [event.id for event in given if isinstance(event, Write)]


def test_a_prompt_that_the_record_has_is_not_sent_again(tmp_path: Path) -> None:
    keep(tmp_path, said("Hello"), taken("m1"), said("More"))
    driver = relaunched(tmp_path, {"sending": {"id": "m2", "digest": digest("More")}})
    for message_id in ("m1", "m2", "m3"):
        assert driver.prompt(message_id, "text") == []
    assert writes(driver, {"id": "initialize", "result": {}}) == ["initialized", f"resume:{THREAD}"]
    there = {"id": f"resume:{THREAD}", "result": {"thread": {"id": THREAD}}}
    assert writes(driver, there) == ["repeated:m1", "repeated:m2", "prompt:m3"]


@pytest.mark.parametrize("spoken", [True, False])
def test_a_thread_without_a_record_begins_anew_only_if_nothing_was_said_in_it(
    tmp_path: Path, spoken: bool
) -> None:
    driver = relaunched(tmp_path, {"thread": THREAD, "spoken": spoken})
    asked = writes(driver, {"id": "initialize", "result": {}})
    assert asked == ["initialized", f"resume:{THREAD}" if spoken else "thread"]


def test_turns_that_no_reading_settled_are_settled_later(tmp_path: Path) -> None:
    keep(tmp_path, said("Hello"), taken("m1"), spent(100, 40, 7))
    driver = relaunched(tmp_path, {"thread": THREAD, "spoken": True, "turn": dict(OPEN), "known": ["m1"]})
    driver.state.values["thread"] = THREAD
    (event,) = driver.reconcile({"CODEX_HOME": str(tmp_path / ".codex")}, "/nowhere")
    assert isinstance(event, UsageReported) and event.usage.input_tokens == 60


@pytest.mark.parametrize("thread", ["../../etc/passwd", "*", "", "01a204f6"])
def test_only_a_thread_id_is_looked_for(tmp_path: Path, thread: str) -> None:
    keep(tmp_path, said("Hello"))
    assert find(tmp_path / ".codex", thread) is None


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    path.write_bytes(
        b'\xff\n[1]\n{"type":"token_usage_record"}\n{"type":"event_msg","payload":["task_complete"]}\n'
    )
    found = read(path)
    assert (found.prompts, found.ends) == ({}, {})
