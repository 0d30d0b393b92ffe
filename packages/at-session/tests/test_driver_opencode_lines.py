"""The OpenCode driver on lines written here: prompts that wait, retries, look-ups that fail, figures of several models."""

from __future__ import annotations

import json

import pytest

from at_session.drivers.opencode import OpenCodeDriver
from at_session.drivers.opencode_errors import MOST_CUTS
from at_session.vocabulary import (
    Allow,
    AskOpened,
    CallAnswered,
    DriverEvent,
    FailureKind,
    LaunchRequest,
    Limited,
    PromptAccepted,
    Retrying,
    TurnEnded,
    TurnOutcome,
    Unparsed,
    Usage,
    UsageReported,
    Write,
)

from .replay import of, restored


def request(session: str | None = None, allow: Allow = Allow.EDITS) -> LaunchRequest:
    home = {"HOME": "/nonexistent", "PATH": "/usr/bin"}
    return LaunchRequest(
        "agent-1", "opencode", (), "/repo", home, "/private", allow, None, session, session is not None
    )


READY = b'{"serving":{"url":"http://127.0.0.1:4096","version":"1"}}\n{"id":"open:create","status":200,"body":{"id":"ses_1"}}\n'


def ready() -> OpenCodeDriver:
    driver = OpenCodeDriver()
    driver.launch(request())
    return driver


def event(kind: str, **given_: object) -> bytes:
    properties = {"sessionID": "ses_1", **given_}
    return json.dumps({"at": 1, "event": {"type": kind, "properties": properties}}).encode() + b"\n"


def running() -> OpenCodeDriver:
    """A driver in a turn, with an inner agent, whose answer has begun."""
    driver = ready()
    driver.prompt("m1", "Hello")
    (_, post) = [each for each in driver.feed("stdout", READY) if isinstance(each, Write)]
    user = {"id": json.loads(post.data)["body"]["messageID"], "role": "user"}
    driver.feed(
        "stdout",
        event("message.updated", info=user)
        + event("session.status", status={"type": "busy"})
        + event("message.updated", info={"id": "msg_2", "role": "assistant"})
        + event("session.created", sessionID="ses_2", info={"id": "ses_2", "parentID": "ses_1"}),
    )
    return driver


def retry(attempt: int, seconds: float, session: str = "ses_1") -> bytes:
    status = {"type": "retry", "attempt": attempt, "message": "Slow down.", "next": int(seconds * 1000)}
    return event("session.status", sessionID=session, status=status)


BUSY = event("session.status", status={"type": "busy"})
IDLE = event("session.status", status={"type": "idle"})


def part(kind: str, session: str = "ses_1", message: str = "msg_2", **given_: object) -> bytes:
    said = {"type": kind, "messageID": message, **given_}
    return event("message.part.updated", sessionID=session, part=said)


@pytest.mark.parametrize(
    "session, line, answers",
    [
        ("ses_1", part("text", text=""), True),
        ("ses_1", part("reasoning", text=""), True),
        ("ses_1", part("tool", callID="c", tool="bash", state={"status": "pending"}), True),
        ("ses_1", event("message.part.delta", messageID="msg_2", field="text", delta="x"), True),
        ("ses_1", part("tool", callID="c", tool="bash", state={"status": "running"}), False),
        ("ses_1", part("step-start"), False),
        ("ses_1", part("text", message="msg_1", text="Hello"), False),
        ("ses_1", part("text", "ses_2", "msg_3", text=""), False),
        ("ses_1", BUSY, False),
        ("ses_2", part("text", "ses_2", "msg_3", text=""), True),
    ],
)
def test_the_first_sign_of_an_answer_after_a_retry_is_told_once(
    session: str, line: bytes, answers: bool
) -> None:
    driver = running()
    assert CallAnswered() not in driver.feed("stdout", part("text", text=""))
    driver.feed("stdout", retry(1, 2, session))
    driver = restored(driver)
    assert (CallAnswered() in driver.feed("stdout", line)) is answers
    assert (CallAnswered() in driver.feed("stdout", part("reasoning"))) is not answers


def test_each_call_of_a_turn_counts_its_attempts_anew() -> None:
    driver = running()
    assert [type(each) for each in driver.feed("stdout", retry(1, 2) * 2)] == [Retrying]
    driver.feed("stdout", BUSY + part("text", text="Half."))
    assert [type(each) for each in driver.feed("stdout", retry(1, 9))] == [Retrying]
    assert [type(each) for each in driver.feed("stdout", BUSY + retry(1, 3600))] == [Limited, Write]


def cut(message: str) -> bytes:
    """An answer that broke off: no reason for its end, no figures."""
    return part("step-finish", message=message, reason="unknown", tokens={"input": 0, "output": 0})


def test_answers_that_are_cut_in_a_row_end_the_turn() -> None:
    driver = running()
    driver.feed("stdout", b"".join(cut(f"msg_a{number}") for number in range(MOST_CUTS - 1)))
    whole = part("step-finish", message="msg_b", reason="tool-calls", tokens={"input": 9, "output": 1})
    assert not driver.feed("stdout", whole)
    for number in range(MOST_CUTS - 1):
        assert [type(each) for each in driver.feed("stdout", cut(f"msg_c{number}") * 2)] == [Retrying]
    driver = restored(driver)
    retry_, abort = driver.feed("stdout", cut("msg_last"))
    assert isinstance(retry_, Retrying) and retry_.attempt == MOST_CUTS
    assert isinstance(abort, Write) and json.loads(abort.data)["path"] == "/session/ses_1/abort"
    assert not driver.feed("stdout", cut("msg_more"))
    ended = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
    lines = event("session.error", error=ended) + event("session.status", status={"type": "idle"})
    info = {"id": "msg_more", "role": "assistant", "time": {"completed": 2}, "error": ended}
    events = driver.feed("stdout", lines + event("message.updated", info=info) + IDLE)
    (end,) = (each for each in events if isinstance(each, TurnEnded))
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.CONNECTION)
    assert end.error == f"{MOST_CUTS} answers in a row were cut"


def far_away() -> OpenCodeDriver:
    """A driver that gave a turn up, whose next try was an hour away."""
    driver = running()
    assert [type(each) for each in driver.feed("stdout", retry(1, 3600))] == [Limited, Write]
    return restored(driver)


def quits(driver: OpenCodeDriver, lines: bytes) -> list[str]:
    return [each.id for each in driver.feed("stdout", lines) if isinstance(each, Write)]


@pytest.mark.parametrize(
    "answer",
    ['"error":"the server closed the connection"', '"status":500,"body":{}', '"status":404,"body":{}'],
)
def test_an_abort_that_fails_ends_the_server_and_with_it_the_turn(answer: str) -> None:
    driver = far_away()
    assert quits(driver, f'{{"id":"give-up:m1",{answer}}}\n'.encode()) == ["open:quit"]
    driver = restored(driver)
    assert quits(driver, retry(2, 3600) + cut("msg_a") + cut("msg_b")) == []
    (end,) = of(driver.reconcile({"HOME": "/nonexistent"}, "/"), TurnEnded)
    assert (end.outcome, end.message_id, end.failure) == (TurnOutcome.FAILED, "m1", FailureKind.LIMIT)
    assert not of(driver.reconcile({"HOME": "/nonexistent"}, "/"), TurnEnded)


@pytest.mark.parametrize(
    "further",
    [[retry(2, 2), retry(3, 4)], [cut("msg_a"), cut("msg_b")], [retry(2, 2, "ses_2"), cut("msg_a")]],
)
def test_a_turn_that_goes_on_after_its_abort_ends_the_server(further: list[bytes]) -> None:
    driver = far_away()
    first, second = further
    assert quits(driver, b'{"id":"give-up:m1","status":200,"body":true}\n') == []
    assert quits(driver, first * 2) == [], "it may have been on its way"
    assert quits(restored(driver), second) == ["open:quit"]


def test_an_abort_that_fails_after_the_turn_ended_it_by_itself_ends_nothing() -> None:
    driver = far_away()
    done = event("message.updated", info={"id": "msg_2", "role": "assistant", "time": {"completed": 2}})
    assert of(list(driver.feed("stdout", done + IDLE)), TurnEnded)
    assert quits(driver, b'{"id":"give-up:m1","status":404,"body":{}}\n') == []


def test_a_far_try_that_is_no_limit_gives_the_turn_up_as_what_it_is() -> None:
    driver = running()
    status = {"type": "retry", "attempt": 1, "message": "Service Unavailable", "next": 90_001}
    again, abort = driver.feed("stdout", event("session.status", status=status))
    assert again == Retrying(FailureKind.OVERLOADED, 1, 90.0, "Service Unavailable")
    assert isinstance(abort, Write) and abort.id == "give-up:m1"
    done = event("message.updated", info={"id": "msg_2", "role": "assistant", "time": {"completed": 2}})
    events = [each for each in driver.feed("stdout", done + IDLE) if not isinstance(each, Write)]
    (end,) = of(events, TurnEnded)
    assert (end.failure, end.error, of(events, Limited)) == (
        FailureKind.OVERLOADED,
        "Service Unavailable",
        [],
    )


def test_each_model_has_its_own_figures_and_its_own_price() -> None:
    driver = running()
    tokens = {"input": 10, "output": 2, "cache": {"read": 1, "write": 3}}
    answers = [
        ("msg_2", "ses_1", "large", 0.5),
        ("msg_3", "ses_2", "small", 0),
        ("msg_4", "ses_1", "large", 0.25),
    ]
    for identity, session, model, cost in answers:
        info = {"id": identity, "role": "assistant", "tokens": tokens, "cost": cost, "time": {"completed": 1}}
        named = {"sessionID": session, "providerID": "p", "modelID": model}
        driver.feed("stdout", event("message.updated", sessionID=session, info=info | named))
    events = list(driver.feed("stdout", event("session.status", status={"type": "idle"})))
    assert [each.usage for each in events if isinstance(each, UsageReported)] == [
        Usage(26, 2, 4, 0.75, 2, "p/large"),
        Usage(13, 1, 2, None, 1, "p/small"),
    ]


def looking() -> OpenCodeDriver:
    """A driver of a resumed session that asks whether the CLI has its first prompt."""
    driver = OpenCodeDriver()
    driver.launch(request("ses_1"))
    driver.prompt("m:1", "Hello")
    opened = READY.replace(b"open:create", b"open:resume")
    assert [each.id for each in driver.feed("stdout", opened) if isinstance(each, Write)][-1] == "look:m:1"
    return driver


FAILED = ['"status":500,"body":{}', '"error":"refused"', '"status":429,"body":{}']


@pytest.mark.parametrize(
    "then, next_write",
    [('"status":404,"body":{}', "prompt:m:1"), ('"status":200,"body":{}', None)],
    ids=["absent", "there"],
)
def test_a_look_up_that_fails_is_made_again(then: str, next_write: str | None) -> None:
    driver = looking()
    for number, failed in enumerate(FAILED[:2], 1):
        name = "look" if number == 1 else f"look.{number}"
        (again,) = driver.feed("stdout", f'{{"id":"{name}:m:1",{failed}}}\n'.encode())
        assert isinstance(again, Write) and again.id == f"look.{number + 1}:m:1"
        assert driver.prompt("m:1", "Hello") == [again]
        driver = restored(driver)
    events = list(driver.feed("stdout", f'{{"id":"look.3:m:1",{then}}}\n'.encode()))
    assert [each.id for each in events if isinstance(each, Write)] == [next_write] * (next_write is not None)
    assert (PromptAccepted("m:1", repeated=True) in events) is (next_write is None)


def test_a_look_up_that_always_fails_ends_the_process_and_posts_nothing() -> None:
    driver = looking()
    events: list[DriverEvent | Write] = []
    for name, failed in zip(("look", "look.2", "look.3"), FAILED, strict=True):
        events += driver.feed("stdout", f'{{"id":"{name}:m:1",{failed}}}\n'.encode())
    assert [each.id for each in events if isinstance(each, Write)] == [
        "look.2:m:1",
        "look.3:m:1",
        "open:quit",
    ]
    assert [type(each) for each in events if not isinstance(each, Write)] == [Unparsed]


def test_an_inner_agent_is_known_to_the_next_process() -> None:
    driver = running()
    driver.launch(request("ses_1"))
    driver.feed("stdout", READY.replace(b"open:create", b"open:resume"))
    asked = {"id": "per_1", "permission": "bash", "patterns": ["make"], "metadata": {}}
    (ask,) = driver.feed("stdout", event("permission.asked", sessionID="ses_2", **asked))
    assert isinstance(ask, AskOpened)


def test_prompts_wait_for_the_session_and_for_each_other() -> None:
    driver = ready()
    assert [driver.prompt(each, each) for each in ("m1", "m2", "m1")] == [[], [], []]
    written = [each.id for each in driver.feed("stdout", READY) if isinstance(each, Write)]
    assert written == ["open:create", "prompt:m1"]
    (again,) = driver.prompt("m1", "m1")
    assert again.id == "prompt:m1" and driver.prompt("m3", "m3") == []
    user = {"id": json.loads(again.data)["body"]["messageID"], "role": "user"}
    busy, idle = ({"type": each} for each in ("busy", "idle"))
    driver.feed("stdout", event("message.updated", info=user) + event("session.status", status=busy))
    assert driver.prompt("m1", "m1") == [again]
    after = list(driver.feed("stdout", event("session.status", status=idle)))
    assert [each.id for each in after if isinstance(each, Write)] == ["prompt:m2"]
    (look,) = driver.prompt("m1", "m1")
    assert look.id == "look:m1"
    assert list(driver.feed("stdout", b'{"id":"look:m1","status":200,"body":{}}\n')) == [
        PromptAccepted("m1", repeated=True)
    ]


def test_a_turn_ends_once_though_the_session_is_idle_twice() -> None:
    driver = ready()
    driver.prompt("m1", "Hello")
    (_, post) = [each for each in driver.feed("stdout", READY) if isinstance(each, Write)]
    user = {"id": json.loads(post.data)["body"]["messageID"], "role": "user"}
    idle = event("session.status", status={"type": "idle"})
    answer = {"id": "msg_2", "role": "assistant", "time": {"created": 1}}
    error = {"name": "APIError", "data": {"message": "No.", "statusCode": 500}}
    stream = [
        event("message.updated", info=user),
        event("session.status", status={"type": "busy"}),
        event("message.updated", info=answer),
        event("session.error", error=error),
        idle,
        event("message.updated", info={**answer, "error": error, "time": {"created": 1, "completed": 2}}),
        idle,
        idle,
    ]
    ends = [
        of([each for each in driver.feed("stdout", line) if not isinstance(each, Write)], TurnEnded)
        for line in stream
    ]
    assert ends[:6] + ends[7:] == [[]] * 7
    assert ends[6] == [TurnEnded(TurnOutcome.FAILED, "m1", "", FailureKind.API, "No. (500)")]


def test_a_refused_prompt_fails_its_turn_and_the_next_one_goes_on() -> None:
    driver = ready()
    driver.prompt("m1", "one")
    driver.prompt("m2", "two")
    driver.feed("stdout", READY)
    events = list(driver.feed("stdout", b'{"id":"prompt:m1","status":400,"body":{"name":"BadRequest"}}\n'))
    assert isinstance(events[0], TurnEnded) and events[0].outcome is TurnOutcome.FAILED
    assert isinstance(events[1], Write) and events[1].id == "prompt:m2"


def test_a_launch_keeps_only_what_outlives_a_process() -> None:
    driver = ready()
    driver.prompt("m1", "Hello")
    driver.feed("stdout", READY + b"{half")
    driver.state.values["counted"] = ["msg_1"]
    driver.launch(request("ses_1"))
    kept = {"counted", "names", "accepted"}
    assert {"counted", "names"} <= set(driver.state.values)
    assert not {"held", "handed", "session", "partial", "turn"} & (set(driver.state.values) - kept)


def test_a_new_session_has_taken_nothing() -> None:
    driver = running()
    assert driver.state.values["accepted"]
    driver.launch(request("ses_1"))
    assert driver.state.values["accepted"]
    driver.launch(request())
    assert not {"accepted", "names", "children"} & set(driver.state.values)
    driver.prompt("m1", "Hello")
    (_, post) = [each for each in driver.feed("stdout", READY) if isinstance(each, Write)]
    assert json.loads(post.data)["method"] == "POST"


@pytest.mark.parametrize("allow, asked", [(Allow.ASK, True), (Allow.EDITS, True), (Allow.ALL, False)])
def test_the_bridge_is_started_with_the_modes_rules(allow: Allow, asked: bool) -> None:
    launch = OpenCodeDriver().launch(request(allow=allow))
    assert launch.argv[-6:] == ("opencode", "serve", "--hostname", "127.0.0.1", "--port", "0")
    assert launch.env["OPENCODE_DISABLE_AUTOUPDATE"] == "1"
    assert ("OPENCODE_PERMISSION" in launch.env) is asked
