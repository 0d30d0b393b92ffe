"""The Codex driver on recorded streams of the real CLI (`tests/clis` at the root records them)."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers.codex import CodexDriver
from at_session.vocabulary import (
    AskClosed,
    AskKind,
    AskOpened,
    CallAnswered,
    ContextUsed,
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
    Unparsed,
    UsageReported,
    Write,
)

from .replay import Act, Chunk, Found, Recordings, Restart, json_values, of, perform, restored

RECORDED = Recordings("codex-0.169.0")
REPOSITORY = "/var/tmp/demo-codex/repo"
HOW = "run `codex login`, or set the key that its model provider reads"
LOST = "01a204db-1130-7011-b699-29c08635506b"

Events = list[DriverEvent]


def session_in(case: str) -> str:
    lines = map(json.loads, RECORDED.lines(case))
    return next(str(line["result"]["thread"]["id"]) for line in lines if "thread" in line.get("result", {}))


def launched(case: str = "") -> CodexDriver:
    """A driver at the beginning of a recorded process."""
    driver = CodexDriver()
    resume = {"lost": LOST}.get(case) or (session_in(case) if case == "repeated" else None)
    if case == "repeated":
        driver.state.values["known"] = ["m1"]
    driver.launch(
        LaunchRequest(
            "a1",
            "codex",
            (),
            REPOSITORY,
            {"HOME": "/nowhere"},
            "/nowhere/private",
            session_id=resume,
            resume=resume is not None,
        )
    )
    assert [write.id for write in driver.open()] == ["initialize"]
    return driver


class Played:
    """A recording's events and the ids of the driver's writes; at each cut, counted in bytes of the streams, the driver
    is stored and restored."""

    def __init__(self, case: str, cuts: Iterable[int] = ()) -> None:
        self.driver = launched(case)
        self.events: Events = []
        self.written: list[str] = []
        for step in RECORDED.steps(case, cuts):
            match step:
                case Act():
                    self.written += [write.id for write in perform(self.driver, step)]
                case Chunk(stream, data):
                    self._feed(stream, data)
                case Restart():
                    self.driver = restored(self.driver)

    def _feed(self, stream: str, data: bytes) -> None:
        for event in self.driver.feed(stream, data):
            if isinstance(event, Write):
                self.written.append(event.id)
            else:
                self.events.append(event)

    def of(self, kind: type[Found]) -> list[Found]:
        return of(self.events, kind)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_chunks_and_restored_states_change_nothing(data: st.DataObject, case: str) -> None:
    cuts = data.draw(st.lists(st.integers(0, RECORDED.size(case)), max_size=30))
    torn, whole = Played(case, cuts), Played(case)
    assert (torn.events, torn.written) == (whole.events, whole.written)


def test_a_state_survives_every_byte_boundary() -> None:
    assert Played("lost", range(RECORDED.size("lost"))).events == Played("lost").events


def test_two_turns_with_a_write() -> None:
    played = Played("write")
    kinds = [type(event) for event in played.events if not isinstance(event, Unparsed | ContextUsed)]
    assert kinds == [
        *(SessionStarted, PromptAccepted, TurnStarted, Text, ToolStarted, ToolEnded, Text),
        *(UsageReported, TurnEnded),
        *(PromptAccepted, TurnStarted, Text, UsageReported, TurnEnded),
    ]
    assert played.of(ToolStarted)[0].what == f"{REPOSITORY}/hello.txt"
    assert played.of(TurnEnded) == [
        TurnEnded(TurnOutcome.COMPLETED, "m1", "Done."),
        TurnEnded(TurnOutcome.COMPLETED, "m2", "Again."),
    ]
    assert played.written == ["initialized", "thread", "prompt:m1", "prompt:m2"]


def test_usage_is_of_each_turn_and_its_input_without_cache_reads() -> None:
    first, second = (each.usage for each in Played("write").of(UsageReported))
    # What the endpoint sends: response n has 101+7n input, 53+3n written, 1009+13n read, 31+11n output tokens.
    assert (first.input_tokens, first.cached_tokens, first.output_tokens) == (223 + 115, 2057, 95)
    assert (second.input_tokens, second.cached_tokens, second.output_tokens) == (122 + 62, 1048, 64)
    assert (first.model, first.cost_usd) == ("gpt-5.5", None)


@pytest.mark.parametrize(
    "case, kind, what, argv",
    [
        ("approved", AskKind.COMMAND, "git config demo.key 1", ("git", "config", "demo.key", "1")),
        ("denied", AskKind.COMMAND, "make -k all; true", None),
        ("edit", AskKind.EDIT, f"{REPOSITORY}/poem.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2", None),
        ("question", AskKind.QUESTION, "Which colour?\n  1. Red (Red)\n  2. Blue (Blue)", None),
    ],
)
def test_an_ask_shows_exactly_what_is_asked(
    case: str, kind: AskKind, what: str, argv: tuple[str, ...] | None
) -> None:
    played = Played(case)
    (ask,) = played.of(AskOpened)
    assert (ask.kind, ask.what, ask.argv) == (kind, what, argv)
    assert played.of(AskClosed) == [AskClosed(ask.request_id)]
    assert f"answer:{ask.request_id}" in played.written


@pytest.mark.parametrize(
    "case, ends",
    [
        ("approved", [TurnEnded(TurnOutcome.COMPLETED, "m1", "Configured.")]),
        ("denied", [TurnEnded(TurnOutcome.COMPLETED, "m1", "I could not.", denied=("make -k all; true",))]),
        ("question", [TurnEnded(TurnOutcome.COMPLETED, "m1", "Blue it is.")]),
        ("interrupted", [TurnEnded(TurnOutcome.INTERRUPTED, "m1")]),
        ("withdrawn", [TurnEnded(TurnOutcome.INTERRUPTED, "m1")]),
        ("retried", [TurnEnded(TurnOutcome.COMPLETED, "m1", "At last.")]),
        ("repeated", [TurnEnded(TurnOutcome.COMPLETED, "m2", "Next.")]),
        ("killed", []),
        ("lost", []),
        (
            "cut",
            [
                TurnEnded(
                    TurnOutcome.FAILED,
                    "m1",
                    "",
                    FailureKind.CONNECTION,
                    "stream disconnected before completion: stream closed before response.completed",
                )
            ],
        ),
    ],
)
def test_how_turns_ended(case: str, ends: list[TurnEnded]) -> None:
    assert Played(case).of(TurnEnded) == ends


@pytest.mark.parametrize(
    "case, failure, said",
    [
        ("limited", FailureKind.LIMIT, "usage limit"),
        ("login", FailureKind.LOGIN, "401"),
        ("no-login", FailureKind.LOGIN, "OPENAI_API_KEY"),
        ("context", FailureKind.CONTEXT, "context window"),
        ("server-error", FailureKind.API, "high demand"),
    ],
)
def test_a_failed_turn_has_its_kind_and_the_clis_words(case: str, failure: FailureKind, said: str) -> None:
    end = Played(case).of(TurnEnded)[0]
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, failure)
    assert said in (end.error or "")


def test_a_prompt_during_a_turn_waits_for_its_own() -> None:
    played = Played("queued")
    assert [(end.message_id, end.joined) for end in played.of(TurnEnded)] == [("m1", ()), ("m2", ())]
    assert played.written.count("prompt:m2") == 1


def test_a_limit_tells_its_reset() -> None:
    assert [each.reset_at for each in Played("limited").of(Limited)] == ["2030-03-17T17:46:40Z"]


@pytest.mark.parametrize("case", ["login", "no-login"])
def test_a_refused_login_is_told_once(case: str) -> None:
    assert [each.how for each in Played(case).of(LoginRefused)] == [HOW]


def test_the_clis_own_retries_are_told() -> None:
    told = [(each.kind, each.attempt) for each in Played("retried").of(Retrying)]
    assert told == [(FailureKind.LIMIT, 1), (FailureKind.CONNECTION, 2)]


def test_each_retry_is_answered_once() -> None:
    kinds = [type(each) for each in Played("retried").events if isinstance(each, Retrying | CallAnswered)]
    assert kinds == [Retrying, CallAnswered, Retrying, CallAnswered]
    assert Played("server-error").of(CallAnswered) == []


def notified(method: str, **params: object) -> bytes:
    return json.dumps({"method": method, "params": {"threadId": "t", **params}}).encode() + b"\n"


REASONING = notified("item/started", item={"type": "reasoning", "id": "i"})
TOOL = {"type": "commandExecution", "id": "c", "command": "make", "status": "inProgress"}


@pytest.mark.parametrize(
    "lines, told",
    [
        ([REASONING, REASONING], [True, False]),
        ([b'{"method":"item/agentMessage/delta","params":{"threadId":"t","delta":"x"}}\n'], [True]),
        ([b'{"method":"item/reasoning/textDelta","params":{"threadId":"t","delta":"x"}}\n'], [True]),
        ([b'{"method":"item/commandExecution/outputDelta","params":{"threadId":"t"}}\n'], [False]),
        ([notified("item/started", item=TOOL | {"id": "d"})], [True]),
        ([notified("item/completed", item=TOOL), REASONING], [False, True]),
        ([notified("item/started", item={"type": "userMessage", "id": "u"}), REASONING], [False, True]),
        ([notified("item/started", threadId="other", item={"type": "reasoning"})], [False]),
        ([notified("turn/started", turn={"id": "v"}), REASONING], [False, False]),
    ],
)
def test_the_first_sign_of_an_answer_after_a_retry_is_told(lines: list[bytes], told: list[bool]) -> None:
    driver = launched()
    driver.feed("stdout", b'{"id":"thread","result":{"thread":{"id":"t"}}}\n')
    driver.feed("stdout", notified("turn/started", turn={"id": "u"}) + notified("item/started", item=TOOL))
    assert CallAnswered() not in driver.feed("stdout", REASONING)
    driver.feed("stdout", notified("error", willRetry=True, error={"message": "Reconnecting... 1/5"}))
    for line, answered in zip(lines, told, strict=True):
        driver = restored(driver)
        assert (CallAnswered() in driver.feed("stdout", line)) is answered


def test_a_conversation_that_became_too_long_takes_nothing_from_the_figures_after_it() -> None:
    # Its totals begin at zero again; the summary that the CLI asked for is response 2, the answer response 3.
    figures = [
        (each.usage.input_tokens, each.usage.output_tokens) for each in Played("context").of(UsageReported)
    ]
    assert figures == [(115 + 59 + 122 + 62, 53 + 64)]


def test_a_prompt_that_the_record_has_is_told_as_repeated_and_not_sent() -> None:
    played = Played("repeated")
    assert played.of(PromptAccepted) == [PromptAccepted("m1", repeated=True), PromptAccepted("m2")]
    assert "prompt:m1" not in played.written


def test_a_lost_session_is_told_before_the_new_one() -> None:
    played = Played("lost")
    assert [event for event in played.events if not isinstance(event, Unparsed)] == [
        SessionLost(LOST),
        *played.of(SessionStarted),
    ]
    assert played.written == ["initialized", f"resume:{LOST}", "thread"]
    assert played.of(SessionStarted)[0].session_id != LOST


@pytest.mark.parametrize("known", [[], ["m1"]], ids=["new", "had-before"])
def test_a_prompt_that_waited_for_a_lost_session_is_not_said_unless_it_is_handed_over_anew(
    known: list[str],
) -> None:
    driver = launched("lost")
    driver.state.values["known"] = known
    assert driver.prompt("m1", "And this") == []
    driver.feed("stdout", b'{"id":"initialize","result":{}}\n')
    gone = {"id": f"resume:{LOST}", "error": {"message": f"no rollout found for thread id {LOST}"}}
    driver.feed("stdout", json.dumps(gone).encode() + b"\n")
    driver = restored(driver)
    there = driver.feed("stdout", b'{"id":"thread","result":{"thread":{"id":"t"}}}\n')
    assert of(there, Write) == []
    assert [write.id for write in driver.prompt("m1", "And this")] == ["prompt:m1"]


@pytest.mark.parametrize(
    "error, lost",
    [
        (f"no rollout found for thread id {LOST}", True),
        ("invalid session id: no UUID", True),
        (f"thread not found: {LOST}", True),
        (f"failed to read thread: rollout at /home/me/.codex/sessions/rollout-{LOST}.jsonl is empty", True),
        ("model provider `mine` not found", False),
        ("profile not found", False),
        ("no rollout could be read", False),
    ],
)
def test_only_an_unknown_thread_is_given_up_for_another(error: str, lost: bool) -> None:
    driver = launched("lost")
    driver.feed("stdout", b'{"id":"initialize","result":{}}\n')
    line = {"id": f"resume:{LOST}", "error": {"code": -32600, "message": error}}
    events = driver.feed("stdout", json.dumps(line).encode() + b"\n")
    assert (SessionLost(LOST) in events) is lost
    assert ([event.id for event in events if isinstance(event, Write)] == ["thread"]) is lost


def test_an_interrupt_before_the_turn_has_begun_is_given_in_time() -> None:
    driver = launched()
    lines = RECORDED.lines("write")
    begin = next(index for index, line in enumerate(lines) if '"turn/started"' in line)
    driver.prompt("m1", "Hello")
    for line in lines[:begin]:
        driver.feed("stdout", line.encode() + b"\n")
    assert driver.interrupt("i1") == []
    given_ = driver.feed("stdout", lines[begin].encode() + b"\n")
    assert [event.id for event in given_ if isinstance(event, Write)] == ["interrupt:i1"]


def test_with_nothing_to_interrupt_nothing_is_written() -> None:
    assert launched().interrupt("i1") == []


def test_a_request_that_is_not_understood_is_refused_and_told() -> None:
    line = b'{"method":"item/tool/call","id":7,"params":{"threadId":"t"}}\n'
    told, write = launched().feed("stdout", line)
    assert isinstance(told, Unparsed) and isinstance(write, Write)
    assert json.loads(write.data) == {
        "id": 7,
        "error": {"code": -32601, "message": "requests of this kind are not supported"},
    }


def test_without_a_thread_prompts_fail_with_the_reason() -> None:
    driver = launched()
    driver.feed("stdout", b'{"id":"initialize","result":{}}\n')
    driver.prompt("m1", "Hello")
    given_ = driver.feed("stdout", b'{"id":"thread","error":{"code":1,"message":"no such provider"}}\n')
    assert [event.id for event in given_ if isinstance(event, Write)] == ["refused:m1"]
    events = driver.feed("stdout", b'{"id":"refused:m1","result":{}}\n')
    assert [event for event in events if isinstance(event, TurnEnded)] == [
        TurnEnded(TurnOutcome.FAILED, "m1", failure=FailureKind.OTHER, error="no such provider")
    ]


@pytest.mark.parametrize(
    "line",
    [b"plain words", b"\xff\xfe\x00 not UTF-8", b"[1, 2]", b"{" * 100_000],
    ids=["words", "bytes", "list", "deep"],
)
def test_a_line_that_is_not_of_the_protocol_is_a_fact(line: bytes) -> None:
    events = launched().feed("stdout", line + b"\n")
    assert [type(event) for event in events] == [Unparsed]


METHODS = [
    *("turn/started", "turn/completed", "item/started", "item/completed", "error", "serverRequest/resolved"),
    *("thread/tokenUsage/updated", "account/rateLimits/updated", "configWarning"),
    *("item/commandExecution/requestApproval", "item/fileChange/requestApproval"),
    *("item/permissions/requestApproval", "item/tool/requestUserInput", "mcpServer/elicitation/request"),
]
ITEM_TYPES = ["userMessage", "agentMessage", "commandExecution", "fileChange", "mcpToolCall", "webSearch"]
items = st.fixed_dictionaries(
    {"type": st.sampled_from(ITEM_TYPES)},
    optional={
        **dict.fromkeys(["id", "text", "command", "changes", "status", "arguments", "result"], json_values),
        "clientId": st.sampled_from(["m1", "m2"]),
        "changes": st.lists(st.fixed_dictionaries({"path": json_values, "kind": json_values}), max_size=2),
    },
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "threadId": st.just("t") | json_values,
        "turn": st.fixed_dictionaries(
            {"id": st.just("u")}, optional={"error": json_values, "items": json_values}
        ),
        "turnId": st.just("u"),
        "item": items,
        "error": st.fixed_dictionaries({"codexErrorInfo": json_values}, optional={"message": json_values}),
        "willRetry": st.booleans(),
        "tokenUsage": st.fixed_dictionaries({"total": st.dictionaries(st.just("inputTokens"), json_values)}),
        "rateLimits": st.dictionaries(st.sampled_from(["primary", "individualLimit"]), json_values),
        "questions": st.lists(st.fixed_dictionaries({"options": json_values}), max_size=2),
        "requestedSchema": st.fixed_dictionaries({"properties": json_values}),
        "command": st.text(max_size=9),
        "requestId": json_values,
    },
)
lines = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS), "params": parameters}
) | st.fixed_dictionaries(
    {"id": st.sampled_from(["initialize", "thread", "resume:t", "prompt:m1", "repeated:m1", 3])},
    optional={
        "result": st.fixed_dictionaries({"thread": st.fixed_dictionaries({"id": st.just("t")})})
        | json_values,
        "error": json_values,
        "method": st.sampled_from(METHODS),
        "params": parameters,
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(lines, max_size=12))
def test_no_shape_of_a_line_breaks_the_driver(given_: list[dict[str, object]]) -> None:
    driver = launched()
    driver.prompt("m1", "Hello")
    for line in given_:
        for event in driver.feed("stdout", json.dumps(line).encode() + b"\n"):
            str(event).encode()
            if isinstance(event, AskOpened):
                for decision in (Decision(True, "1"), Decision(False)):
                    assert all(write.data for write in driver.decide(event.request_id, decision))
        driver = restored(driver)
        driver.prompt("m2", "More")
        driver.interrupt("i1")
    assert isinstance(driver.state.values, dict)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_lines_in_any_order_and_number_break_nothing(data: st.DataObject, case: str) -> None:
    recorded = RECORDED.lines(case)
    driver = launched()
    driver.prompt("m1", "Hello")
    for line in data.draw(st.lists(st.sampled_from(recorded), max_size=30)):
        cut = data.draw(st.integers(0, len(line)))
        for event in driver.feed("stdout", (line[:cut] if cut % 3 == 0 else line).encode() + b"\n"):
            str(event).encode()
    assert restored(driver).state.values == json.loads(json.dumps(driver.state.values))


@pytest.mark.parametrize(("folder", "works"), [(REPOSITORY, True), ("/home/ada/shop", False)])
def test_a_thread_that_works_in_another_folder_is_told_nothing(folder: str, works: bool) -> None:
    driver = launched("lost")
    result = {"thread": {"id": LOST}, "cwd": folder}
    answers: list[dict[str, object]] = [
        {"id": "initialize", "result": {}},
        {"id": f"resume:{LOST}", "result": result},
    ]
    driver.prompt("m1", "go on")
    given = [each for line in answers for each in driver.feed("stdout", json.dumps(line).encode() + b"\n")]
    writes = [each.id for each in given if isinstance(each, Write)]
    assert ("prompt:m1" in writes) is works
    if works:
        return
    assert "refused:m1" in writes
    answer = {"id": "refused:m1", "result": {}}
    (end,) = of(driver.feed("stdout", json.dumps(answer).encode() + b"\n"), TurnEnded)
    assert end.error == f"the session works in {folder}, not in {REPOSITORY}"
