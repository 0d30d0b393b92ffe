"""The OpenCode driver on recorded streams of the real CLI (`tests/clis` at the root records them)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers.opencode import OpenCodeDriver
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    CallAnswered,
    Decision,
    DriverEvent,
    FailureKind,
    LaunchRequest,
    Limited,
    LoginRefused,
    PromptAccepted,
    Retrying,
    SessionLost,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
    Write,
)

from .replay import Act, Chunk, Recordings, Restart, json_values, of, perform, restored

RECORDED = Recordings("opencode-1.18.33")
REPOSITORY = "/var/tmp/demo/repo"
RESUMED = {"repeated", "lost"}
IN_ASK_MODE = {"edit"}

Events = list[DriverEvent]


def request(session: str | None = None, allow: Allow = Allow.EDITS) -> LaunchRequest:
    home = {"HOME": "/nonexistent", "PATH": "/usr/bin"}
    return LaunchRequest(
        "agent-1", "opencode", (), REPOSITORY, home, "/nonexistent", allow, None, session, session is not None
    )


def lines(case: str) -> list[bytes]:
    return [line.encode() + b"\n" for line in RECORDED.lines(case)]


def launched(case: str) -> OpenCodeDriver:
    driver = OpenCodeDriver()
    session = None
    if case in RESUMED:
        (session,) = {each[4:-1] for each in _sessions(case)} or {"ses_0000000000000NoSuchSession"}
    driver.launch(request(session, Allow.ASK if case in IN_ASK_MODE else Allow.EDITS))
    return driver


def _sessions(case: str) -> set[str]:
    found = {json.loads(line).get("body", {}).get("id") for line in lines(case) if b'"open:' in line}
    return {f"ID: {each}." for each in found if isinstance(each, str)}


def play(case: str, cuts: Iterable[int] = ()) -> tuple[Events, list[Write]]:
    """A recording's events and writes; at each cut, counted in bytes of the streams, the driver is stored and restored."""
    driver = launched(case)
    events: Events = []
    writes: list[Write] = []
    for step in RECORDED.steps(case, cuts):
        match step:
            case Act():
                writes += perform(driver, step)
            case Chunk(stream, data):
                for each in driver.feed(stream, data):
                    writes.append(each) if isinstance(each, Write) else events.append(each)
            case Restart():
                driver = restored(driver)
    return events, writes


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_chunks_and_restored_states_change_no_event(data: st.DataObject, case: str) -> None:
    cuts = data.draw(st.lists(st.integers(0, RECORDED.size(case)), max_size=30))
    assert play(case, cuts) == play(case)


def test_a_state_survives_every_byte_boundary() -> None:
    assert play("lost", range(RECORDED.size("lost"))) == play("lost")


def changed(value: Any, draw: st.DataObject) -> Any:
    """One thing in a value replaced by something else."""
    if isinstance(value, dict) and value and draw.draw(st.integers(0, 9)):
        name = draw.draw(st.sampled_from(sorted(value)))
        return {**value, name: changed(value[name], draw)}
    if isinstance(value, list) and value and draw.draw(st.integers(0, 9)):
        return [changed(value[0], draw), *value[1:]]
    return draw.draw(json_values)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_no_line_however_damaged_raises(data: st.DataObject, case: str) -> None:
    driver = launched(case)
    driver.prompt("m1", "Hello")
    driver.prompt("m2", "And more")
    given_ = lines(case)
    for line in data.draw(st.lists(st.sampled_from(given_), max_size=12)) + given_:
        match data.draw(st.integers(0, 5)):
            case 0:
                line = line[: data.draw(st.integers(0, len(line)))] + b"\n"
            case 1:
                line = json.dumps(changed(json.loads(line), data)).encode() + b"\n"
            case 2:
                line += line
        for event in driver.feed("stdout", line):
            if isinstance(event, AskOpened):
                driver.decide(event.request_id, Decision(approve=True, text="1"))
        driver = restored(driver)
    assert driver.interrupt("i1") is not None


def test_a_session_begins_with_a_title_of_ours_and_each_turn_has_its_figures() -> None:
    events, writes = play("write")
    assert [each.version for each in of(events, SessionStarted)] == ["1.18.33"]
    assert [event for event in events if not isinstance(event, ToolStarted | ToolEnded)][2:5] == [
        PromptAccepted("m1"),
        TurnStarted("m1"),
        Text("I write."),
    ]
    assert [each.what for each in of(events, ToolStarted)] == [f"{REPOSITORY}/a.txt", f"{REPOSITORY}/b.txt"]
    assert [each.ok for each in of(events, ToolEnded)] == [True, True]
    assert of(events, TurnEnded) == [
        TurnEnded(TurnOutcome.COMPLETED, "m1", "Done."),
        TurnEnded(TurnOutcome.COMPLETED, "m2", "Again."),
    ]
    usages = [each.usage for each in of(events, UsageReported)]
    assert [(each.input_tokens, each.cached_tokens, each.output_tokens) for each in usages] == [
        (338, 2057, 95),
        (184, 1048, 64),
    ]
    assert [(each.requests, each.model, each.cost_usd) for each in usages] == [
        (2, "rehearsal/scripted", 0.0010187),
        (1, "rehearsal/scripted", 0.0006088),
    ]
    assert [write.id for write in writes] == ["open:create", "prompt:m1", "prompt:m2"]
    assert json.loads(writes[0].data)["body"] == {"title": "auto-tundra agent-1"}


ABORTED = TurnEnded(TurnOutcome.INTERRUPTED, "m1")


@pytest.mark.parametrize(
    "case, end",
    [
        ("approved", TurnEnded(TurnOutcome.COMPLETED, "m1", "Configured.")),
        (
            "denied",
            TurnEnded(TurnOutcome.COMPLETED, "m1", "I could not.", denied=("make -k all; true",)),
        ),
        ("edit", TurnEnded(TurnOutcome.COMPLETED, "m1", "Edited.")),
        ("question", TurnEnded(TurnOutcome.COMPLETED, "m1", "Blue it is.")),
        ("inner", TurnEnded(TurnOutcome.COMPLETED, "m1", "Done.")),
        ("withdrawn", ABORTED),
        ("silent", ABORTED),
        ("broken", ABORTED),
        ("retried", TurnEnded(TurnOutcome.COMPLETED, "m1", "At last.")),
        ("cut", TurnEnded(TurnOutcome.COMPLETED, "m1", "A whole sentence.")),
        ("repeated", TurnEnded(TurnOutcome.COMPLETED, "m2", "After.")),
    ],
)
def test_each_turn_ends_as_it_did(case: str, end: TurnEnded) -> None:
    assert of(play(case)[0], TurnEnded) == [end]


@pytest.mark.parametrize(
    "case, kind, said",
    [
        ("quota", FailureKind.LIMIT, "exceeded your current quota"),
        ("limited", FailureKind.LIMIT, "Slow down."),
        ("login", FailureKind.LOGIN, "(401)"),
        ("no-login", FailureKind.LOGIN, "Model not found: anthropic/"),
    ],
)
def test_a_turn_that_failed_says_why(case: str, kind: FailureKind, said: str) -> None:
    events, _ = play(case)
    (end,) = of(events, TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert said in (end.error or "")
    assert len(of(events, LoginRefused)) == (kind is FailureKind.LOGIN)
    assert len(of(events, Limited)) == (kind is FailureKind.LIMIT)


@pytest.mark.parametrize(
    "case, kind, what",
    [
        ("approved", AskKind.COMMAND, "git config demo.key 1"),
        ("denied", AskKind.COMMAND, "make -k all; true"),
        ("question", AskKind.QUESTION, "Which colour?\n  1. Red\n  2. Blue"),
    ],
)
def test_an_ask_has_the_exact_text_and_is_closed(case: str, kind: AskKind, what: str) -> None:
    events, _ = play(case)
    (ask,) = of(events, AskOpened)
    assert (ask.kind, ask.what) == (kind, what)
    assert of(events, AskClosed) == [AskClosed(ask.request_id)]


def test_an_edit_asks_with_its_diff() -> None:
    (ask,) = of(play("edit")[0], AskOpened)
    assert (ask.kind, ask.argv) == (AskKind.EDIT, None)
    assert ask.what.endswith("\n one\n-two\n+2\n")


@pytest.mark.parametrize(
    "case, path, body",
    [
        ("approved", "permission", {"reply": "once"}),
        ("denied", "permission", {"reply": "reject", "message": "Not this one."}),
        ("question", "question", {"answers": [["Blue"]]}),
    ],
)
def test_an_answer_is_a_request_of_the_api(case: str, path: str, body: object) -> None:
    events, writes = play(case)
    (ask,) = of(events, AskOpened)
    assert writes[-1].id == f"answer:{ask.request_id}"
    line = json.loads(writes[-1].data)
    assert (line["path"], line["body"]) == (f"/{path}/{ask.request_id}/reply", body)


def test_a_retry_tells_when_and_a_limit_aborts_the_wait() -> None:
    (retry,) = of(play("retried")[0], Retrying)
    assert (retry.kind, retry.attempt) == (FailureKind.LIMIT, 1)
    assert retry.delay_seconds == pytest.approx(1, abs=0.5)
    events, writes = play("limited")
    assert [each.reset_at is not None for each in of(events, Limited)] == [True]
    assert (writes[-1].id, json.loads(writes[-1].data)["path"].endswith("/abort")) == ("give-up:m1", True)


def test_inner_agents_and_summaries_count() -> None:
    assert [each.usage.requests for each in of(play("inner")[0], UsageReported)] == [3]
    events, _ = play("context")
    assert [each.usage.requests for each in of(events, UsageReported)] == [1, 2]
    assert of(events, TurnEnded)[1] == TurnEnded(TurnOutcome.COMPLETED, "m2", "Shorter.")


def test_a_prompt_of_an_earlier_process_is_looked_up_first() -> None:
    events, writes = play("repeated")
    assert of(events, PromptAccepted) == [PromptAccepted("m1", repeated=True), PromptAccepted("m2")]
    assert [write.id for write in writes] == ["open:resume", "look:m1", "look:m2", "prompt:m2"]


def test_a_lost_session_ends_the_process() -> None:
    events, writes = play("lost")
    assert of(events, SessionLost) == [SessionLost("ses_0000000000000NoSuchSession")]
    assert json.loads(writes[-1].data)["method"] == "QUIT"


def test_a_recorded_retry_is_answered() -> None:
    events = [type(each) for each in play("retried")[0] if isinstance(each, Retrying | CallAnswered | Text)]
    assert events == [Retrying, CallAnswered, Text]
