"""What the Gemini driver reads beside the stream: the CLI's own record of a session, and its log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers import gemini_log, gemini_record
from at_session.drivers.gemini import SOURCE, GeminiDriver
from at_session.vocabulary import (
    ContextUsed,
    DriverEvent,
    DriverState,
    FailureKind,
    LaunchRequest,
    PromptAccepted,
    PromptForgotten,
    Retrying,
    TurnStarted,
    Unparsed,
    Usage,
    UsageReported,
)

from .replay import restored

RECORDINGS = Path(__file__).with_name("recordings") / "gemini-0.61.0"
REPOSITORY = "/var/tmp/demo/repo"
LOST = "3f0c1d2e-0000-4000-8000-000000000001"


def chats(home: Path) -> Path:
    place = home / ".gemini" / "tmp" / "repo" / "chats"
    place.mkdir(parents=True, exist_ok=True)
    return place


def recorded(case: str, home: Path) -> tuple[str, bytes]:
    """The recorded chat of a case below a home: its session's id and its bytes."""
    data = (RECORDINGS / f"{case}.chat").read_bytes()
    session = str(json.loads(data.splitlines()[0])["sessionId"])
    (chats(home) / f"session-2030-01-01T00-00-{session[:8]}.jsonl").write_bytes(data)
    return session, data


def of_session(session: str) -> GeminiDriver:
    return GeminiDriver(DriverState({"session": session}))


def sent(*numbers: int) -> tuple[int, int, int]:
    """What the endpoint sends: response n has 101+7n input, 53+3n written, 1009+13n read, 31+11n output tokens."""
    return (
        sum(154 + 10 * number for number in numbers),
        sum(1009 + 13 * number for number in numbers),
        sum(31 + 11 * number for number in numbers),
    )


def counted(events: Iterable[DriverEvent]) -> tuple[int, int, int]:
    usages = [event.usage for event in events if isinstance(event, UsageReported)]
    return (
        sum(usage.input_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
    )


@pytest.mark.parametrize("case, numbers", [("write", (2, 3, 5)), ("denied", (2, 3))])
def test_the_record_has_exactly_what_was_sent_thoughts_included(
    tmp_path: Path, case: str, numbers: tuple[int, ...]
) -> None:
    session, _ = recorded(case, tmp_path)
    driver = of_session(session)
    report, _context = driver.reconcile({"HOME": str(tmp_path)}, REPOSITORY)
    assert isinstance(report, UsageReported) and report.source == SOURCE
    assert counted([report]) == sent(*numbers)
    assert report.usage.requests == len(numbers)
    assert restored(driver).reconcile({"HOME": str(tmp_path)}, REPOSITORY) == []


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 5800), max_size=6), relaunch=st.booleans())
def test_a_growing_record_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], relaunch: bool
) -> None:
    home = tmp_path_factory.mktemp("home")
    session, data = recorded("write", home)
    (file,) = chats(home).iterdir()
    driver, events = of_session(session), list[DriverEvent]()
    for cut in [*sorted(cuts), len(data)]:
        file.write_bytes(data[:cut])
        if not data[:cut].startswith(data.splitlines()[0]):
            continue  # the CLI writes its header in one go
        if relaunch:
            driver.launch(LaunchRequest("a1", "", (), REPOSITORY, {}, "", session_id=session, resume=True))
        events += driver.reconcile({"HOME": str(home)}, REPOSITORY)
        driver = restored(driver)
    assert counted(events) == sent(2, 3, 5)


def test_a_record_that_was_written_anew_counts_nothing_again(tmp_path: Path) -> None:
    session, data = recorded("write", tmp_path)
    (file,) = chats(tmp_path).iterdir()
    driver = of_session(session)
    driver.reconcile({"HOME": str(tmp_path)}, REPOSITORY)
    file.write_bytes(data[:2000])
    assert driver.reconcile({"HOME": str(tmp_path)}, REPOSITORY) == []


def test_inner_agents_are_counted_by_their_model(tmp_path: Path) -> None:
    session, data = recorded("write", tmp_path)
    for name in (session, f"_{session}"):
        inner = chats(tmp_path) / name
        inner.mkdir()
        message = {
            "type": "gemini",
            "id": "i1",
            "model": "small",
            "tokens": {"input": 30, "cached": 10, "output": 5, "thoughts": 2, "tool": 1},
        }
        (inner / "x.jsonl").write_text(json.dumps(message) + "\n")
    reports = of_session(session).reconcile({"HOME": str(tmp_path)}, REPOSITORY)
    usages = [each.usage for each in reports if isinstance(each, UsageReported)]
    assert [each for each in usages if each.model == "small"] == [
        Usage(42, 20, 14, requests=2, model="small")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"type":"gemini","tokens":7}',
        '{"type":"gemini","id":3,"tokens":{"input":-5,"cached":1e400,"output":"x"}}',
        '{"type":"user","content":[7,{"text":8}]}',
        '{"$set":{"messages":[{"type":"gemini","id":"x","tokens":{"input":5}}]}}',
    ],
)
def test_no_line_of_a_record_breaks_its_reading(tmp_path: Path, line: str) -> None:
    session, data = recorded("write", tmp_path)
    (file,) = chats(tmp_path).iterdir()
    file.write_bytes(data + line.encode() + b"\n\xff\xfe\n")
    assert counted(of_session(session).reconcile({"HOME": str(tmp_path)}, REPOSITORY)) == sent(2, 3, 5)


@pytest.mark.parametrize("session", ["", "short", "../../../etc", "*" * 36, LOST])
def test_a_session_without_a_record_has_no_figures(tmp_path: Path, session: str) -> None:
    recorded("write", tmp_path)
    assert of_session(session).reconcile({"HOME": str(tmp_path)}, REPOSITORY) == []


def under_way(session: str, text: str, accepted: bool) -> GeminiDriver:
    driver = of_session(session)
    driver.state.values["turn"] = {
        "message": "m9",
        "digest": gemini_record.digest(text),
        "begun": accepted,
        "text": [],
        "tools": {},
        "denied": [],
    }
    driver.state.values["accepted"] = ["m9"] if accepted else []
    return driver


@pytest.mark.parametrize(
    "text, accepted, told",
    [
        ("rehearse:second", False, [PromptAccepted("m9"), TurnStarted("m9")]),
        ("rehearse:second", True, []),
        ("never recorded", False, []),
        ("never recorded", True, [PromptForgotten("m9")]),
    ],
)
def test_the_record_tells_whether_a_prompt_was_taken(
    tmp_path: Path, text: str, accepted: bool, told: list[DriverEvent]
) -> None:
    session, _ = recorded("write", tmp_path)
    driver = under_way(session, text, accepted)
    for expected in (told, []):
        events = driver.reconcile({"HOME": str(tmp_path)}, REPOSITORY)
        assert [event for event in events if not isinstance(event, UsageReported | ContextUsed)] == expected
        driver = restored(driver)


# --- the log --------------------------------------------------------------------------------------------------------

HEAD = "[2030-01-31T10:20:30.123Z] [WARN] "


@pytest.mark.parametrize(
    "lines, told",
    [
        (["[2030-01-31T10:20:30.123Z] [DEBUG] Experiments loaded {", "  flags: []", "}"], []),
        (
            [f"{HEAD}Attempt 3 failed: No quota. Retrying after 1500ms..."],
            [Retrying(FailureKind.LIMIT, 3, 1.5, "No quota")],
        ),
        (
            [f"{HEAD}Attempt 1 failed: One line", "and another.. Retrying after 20ms..."],
            [Retrying(FailureKind.LIMIT, 1, 0.02, "One line and another.")],
        ),
        ([f"{HEAD}Attempt 10 failed: Over. Max attempts reached"], []),
        (
            [f"{HEAD}Attempt 2 failed with status 503. Retrying with backoff... busy", "    at x (y:1:2)"],
            [Retrying(FailureKind.OVERLOADED, 2, None, "busy")],
        ),
        (
            [f"{HEAD}Attempt 1 failed. Retrying with backoff... TypeError: fetch failed"],
            [Retrying(FailureKind.CONNECTION, 1, None, "TypeError: fetch failed")],
        ),
        (
            ["SyntaxError: unexpected end", "    at main (z:3:4)"],
            [Unparsed("SyntaxError: unexpected end", "stderr")],
        ),
        ([f"{HEAD}Ripgrep is missing.", "Ripgrep is missing."], []),
    ],
)
def test_the_log_tells_retries_and_crashes(lines: list[str], told: list[DriverEvent]) -> None:
    values: dict[str, object] = {}
    events: list[DriverEvent] = []
    for line in lines:
        events += gemini_log.read(line, values)
        values = json.loads(json.dumps(values))
    assert events == told


@pytest.mark.parametrize(
    "message, seconds",
    [
        ("Your quota will reset after 17h20m8s.", 62_408.0),
        ("Your quota will reset after 0h0m20s.", 20.0),
        ("It will reset after 2d 3h.", 183_600.0),
        ("It will reset after 8.25s.", 8.25),
        ("It will reset after 2s 850ms.", 2.85),
        ("It will reset after 999999d.", None),
        ("It will reset soon.", None),
        ("It will reset after lunch.", None),
    ],
)
def test_a_reset_is_a_span_from_when_it_is_heard(message: str, seconds: float | None) -> None:
    assert gemini_log.reset_in(message) == (None if seconds is None else pytest.approx(seconds))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([HEAD, "Attempt 1 failed", ": ", "Retrying after 5ms", "{", "\n", "x"])))
def test_no_line_of_a_log_breaks_its_reading(pieces: list[str]) -> None:
    driver = GeminiDriver()
    for line in "".join(pieces).split("\n"):
        events = list(driver.feed("stderr", line.encode() + b"\n"))
        driver = restored(driver)
        assert all(isinstance(event, Retrying | Unparsed) for event in events)
