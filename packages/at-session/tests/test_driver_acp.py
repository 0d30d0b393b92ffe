"""The core of the Agent Client Protocol, on a dialect without any particularities."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers.acp import AcpDriver
from at_session.drivers.acp_dialect import GUARD, Dialect, failure_of
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    CallAnswered,
    Capabilities,
    ContextUsed,
    Decision,
    DriverEvent,
    FailureKind,
    LaunchRequest,
    Limited,
    LoginRefused,
    PromptAccepted,
    PromptForgotten,
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
    Usage,
    UsageReported,
    Write,
)

from .replay import json_values, of, restored

Events = list[DriverEvent | Write]

CAPABILITIES = Capabilities(
    chooses_session_id=False,
    resumes=True,
    acknowledges_prompts=True,
    asks_over_protocol=True,
    reports_cost=False,
    queues_prompts=True,
    exits_on_eof=True,
    login_hint="run `plain login`",
    memory_mb=1,
    draws_on="the login of `plain`",
    asks_questions=False,
)
MODES = {Allow.ASK: "ask", Allow.EDITS: "edits", Allow.ALL: "all"}


class PlainDriver(AcpDriver):
    dialect: ClassVar[Dialect] = Dialect("plain", CAPABILITIES, ("acp",), modes=MODES, replays_late=True)


def request(**changes: object) -> LaunchRequest:
    plain: dict[str, object] = {
        "agent_id": "a1",
        "binary": "",
        "args": ("--debug",),
        "cwd": "/work/folder",
        "env": {"HOME": "/nowhere"},
        "private_dir": "/nowhere/private",
        "session_id": "s1",
    }
    return LaunchRequest(**{**plain, **changes})  # type: ignore[arg-type]


def sent(write: Write) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(write.data)
    return line


class Dialogue:
    """The agent's side of a conversation; the driver is stored and restored before every line."""

    def __init__(self, **launch: object) -> None:
        self.driver = PlainDriver()
        self.events: Events = []
        self.driver.launch(request(**launch))
        self.writes = {write.id: sent(write) for write in self.driver.open()}

    def line(self, value: dict[str, Any]) -> Events:
        self.driver = restored(self.driver)
        given_ = list(self.driver.feed("stdout", json.dumps({"jsonrpc": "2.0", **value}).encode() + b"\n"))
        self.events += given_
        self.took(of(given_, Write))
        return given_

    def took(self, writes: list[Write]) -> None:
        for write in writes:
            assert write.id not in self.writes or self.writes[write.id] == sent(write)
            self.writes[write.id] = sent(write)

    def answer(self, method: str, result: dict[str, Any] | None = None, **error: object) -> Events:
        """Answer the last request of a method."""
        rpc_id = [each["id"] for each in self.writes.values() if each.get("method") == method][-1]
        return self.line({"id": rpc_id, **({"error": error} if error else {"result": result or {}})})

    def update(self, kind: str, /, **fields: object) -> Events:
        update = {"sessionUpdate": kind, **fields}
        return self.line({"method": "session/update", "params": {"sessionId": "new", "update": update}})

    def say(self, text: str) -> Events:
        return self.update("agent_message_chunk", content={"type": "text", "text": text})

    def prompt(self, message_id: str, text: str) -> list[Write]:
        writes = self.driver.prompt(message_id, text)
        self.took(writes)
        return writes

    def ready(self) -> Dialogue:
        self.answer("initialize", INITIALIZED)
        self.answer("session/new", {"sessionId": "new", "modes": {"currentModeId": "ask"}})
        self.answer("session/set_mode")
        return self


INITIALIZED = {
    "protocolVersion": 1,
    "agentInfo": {"name": "plain", "version": "1.2"},
    "agentCapabilities": {"loadSession": True},
}
OPTIONS = [
    {"optionId": "for-ever", "kind": "allow_always"},
    {"optionId": "yes", "kind": "allow_once"},
    {"optionId": "no", "kind": "reject_once"},
]
COMMAND = {"toolCallId": "t1", "kind": "execute", "title": "make all", "rawInput": {"command": "make all"}}


def asked(dialogue: Dialogue, **changes: object) -> Events:
    params = {"sessionId": "new", "toolCall": COMMAND, "options": OPTIONS, **changes}
    return dialogue.line({"id": 0, "method": "session/request_permission", "params": params})


def test_a_turn_from_handshake_to_end() -> None:
    dialogue = Dialogue()
    assert dialogue.prompt("m1", "Hello") == []
    dialogue.ready()
    assert dialogue.writes["prompt:m1"]["params"] == {
        "sessionId": "new",
        "prompt": [{"type": "text", "text": "Hello"}],
    }
    dialogue.say("I ")
    dialogue.say("run it.")
    dialogue.update("tool_call", **COMMAND, status="in_progress")
    done = {"type": "content", "content": {"type": "text", "text": "ok"}}
    dialogue.update("tool_call_update", toolCallId="t1", status="completed", content=[done])
    dialogue.say("Done.")
    usage = {"inputTokens": 3, "cachedReadTokens": 4, "outputTokens": 5}
    dialogue.answer("session/prompt", {"stopReason": "end_turn", "usage": usage})
    assert [event for event in dialogue.events if not isinstance(event, Write)] == [
        SessionStarted("new", None, "1.2"),
        PromptAccepted("m1"),
        TurnStarted("m1"),
        Text("I run it."),
        ToolStarted("t1", "execute", "make all"),
        ToolEnded("t1", True, "ok"),
        Text("Done."),
        UsageReported(Usage(3, 4, 5), "usage of the response to session/prompt"),
        TurnEnded(TurnOutcome.COMPLETED, "m1", "Done."),
    ]


@pytest.mark.parametrize(
    ("told", "size"),
    [({"used": 53, "size": 200}, 200), ({"used": 53}, None), ({"used": 0, "size": 200}, None)],
)
def test_an_agent_may_tell_how_full_its_context_is(told: dict[str, int], size: int | None) -> None:
    found = of(Dialogue().ready().update("usage_update", **told), ContextUsed)
    assert [(each.used, each.size) for each in found] == ([] if size is None else [(53, size)])


RETRY = Retrying(FailureKind.API, 1, None, "again")


@pytest.mark.parametrize(
    "sign, answers",
    [
        (lambda dialogue: dialogue.say("Well."), True),
        (lambda dialogue: dialogue.update("agent_thought_chunk"), True),
        (lambda dialogue: dialogue.update("tool_call", **COMMAND), True),
        (lambda dialogue: asked(dialogue), True),
        (lambda dialogue: dialogue.update("user_message_chunk"), False),
        (lambda dialogue: dialogue.update("current_mode_update"), False),
    ],
    ids=["words", "thought", "tool", "ask", "prompt", "mode"],
)
def test_the_first_sign_of_an_answer_after_a_retry_is_told_once(
    monkeypatch: pytest.MonkeyPatch, sign: Callable[[Dialogue], Events], answers: bool
) -> None:
    monkeypatch.setattr(PlainDriver, "heard", lambda _driver, _line: [RETRY])
    dialogue = Dialogue().ready()
    dialogue.prompt("m1", "Hello")
    assert of(dialogue.update("agent_thought_chunk"), CallAnswered) == []
    assert dialogue.driver.feed("stderr", b"again\n") == [RETRY]
    assert of(sign(dialogue), CallAnswered) == [CallAnswered()] * answers
    assert of(dialogue.say("More."), CallAnswered) == [CallAnswered()] * (not answers)


@pytest.mark.parametrize(
    "approve, option, denied", [(True, "yes", ()), (False, "no", ("make all",))], ids=["yes", "no"]
)
def test_a_decision_takes_the_option_by_its_kind(approve: bool, option: str, denied: tuple[str, ...]) -> None:
    dialogue = Dialogue().ready()
    dialogue.prompt("m1", "Hello")
    (ask,) = of(asked(dialogue), AskOpened)
    assert ask == AskOpened("0:t1", AskKind.COMMAND, "make all", "execute", ("make", "all"))
    (write,) = dialogue.driver.decide("0:t1", Decision(approve))
    assert sent(write)["result"] == {"outcome": {"outcome": "selected", "optionId": option}}
    assert dialogue.driver.decide("0:t1", Decision(not approve)) == [write]
    closed = dialogue.say("Well.")
    assert closed[0] == AskClosed("0:t1")
    assert [event.ok for event in of(closed, ToolEnded)] == [False] * (not approve)
    (end,) = of(dialogue.answer("session/prompt", {"stopReason": "end_turn"}), TurnEnded)
    assert end == TurnEnded(TurnOutcome.COMPLETED, "m1", "Well.", denied=denied)
    assert dialogue.driver.decide("0:t1", Decision(approve)) == []


def test_an_interrupt_cancels_the_turn_and_its_asks() -> None:
    dialogue = Dialogue().ready()
    assert dialogue.driver.interrupt("i0") == []
    dialogue.prompt("m1", "Hello")
    asked(dialogue)
    cancel, answer = dialogue.driver.interrupt("i1")
    assert (sent(cancel)["method"], "id" in sent(cancel)) == ("session/cancel", False)
    assert sent(answer)["result"] == {"outcome": {"outcome": "cancelled"}}
    events = dialogue.answer("session/prompt", {"stopReason": "cancelled"})
    assert of(events, AskClosed) == [AskClosed("0:t1", withdrawn=True)]
    assert of(events, TurnEnded) == [TurnEnded(TurnOutcome.INTERRUPTED, "m1")]


def test_prompts_are_held_while_a_turn_runs() -> None:
    dialogue = Dialogue().ready()
    (first,) = dialogue.prompt("m1", "one")
    assert [dialogue.prompt(each, each) for each in ("m2", "m3", "m2")] == [[], [], []]
    assert dialogue.prompt("m1", "one") == [first]
    for number in (1, 2, 3):
        events = dialogue.answer("session/prompt", {"stopReason": "end_turn"})
        assert of(events, TurnEnded)[0].message_id == f"m{number}"
    assert [name for name in dialogue.writes if name.startswith("prompt:")] == [
        "prompt:m1",
        "prompt:m2",
        "prompt:m3",
    ]


def test_a_prompt_that_the_cli_had_is_told_as_repeated_and_not_sent() -> None:
    dialogue = Dialogue().ready()
    dialogue.prompt("m1", "one")
    dialogue.answer("session/prompt", {"stopReason": "end_turn"})
    dialogue.driver.launch(request(resume=True))
    dialogue.prompt("m1", "one")
    dialogue.writes = {write.id: sent(write) for write in dialogue.driver.open()}
    dialogue.answer("initialize", INITIALIZED)
    dialogue.answer("session/load")
    dialogue.answer("session/set_mode")
    events = dialogue.answer("_at/ping", code=-32601, message="no such method")
    assert of(events, PromptAccepted) == [PromptAccepted("m1", repeated=True)]
    (ping,) = dialogue.prompt("m1", "one")
    dialogue.prompt("m2", "two")
    assert sent(ping)["method"] == "_at/ping"
    events = dialogue.line({"id": sent(ping)["id"], "error": {"code": -32601, "message": "no"}})
    assert of(events, PromptAccepted) == [PromptAccepted("m1", repeated=True)]
    assert [write.id for write in of(events, Write)] == ["prompt:m2"]


def test_a_replayed_history_is_no_news_however_late_it_comes() -> None:
    dialogue = Dialogue(resume=True)
    dialogue.prompt("m1", "Go on")
    dialogue.answer("initialize", INITIALIZED)
    assert dialogue.writes["acp:session:1"]["params"]["sessionId"] == "s1"
    dialogue.update("user_message_chunk", content={"type": "text", "text": "before"})
    dialogue.answer("session/load", {"modes": {"currentModeId": "edits"}})
    for _ in range(3):
        dialogue.say("late")
        assert "prompt:m1" not in dialogue.writes
        dialogue.answer("_at/ping", code=-32601, message="no such method")
    dialogue.answer("_at/ping", code=-32601, message="no such method")
    assert "prompt:m1" in dialogue.writes
    assert [event for event in dialogue.events if not isinstance(event, Write)] == [
        SessionStarted("s1", None, "1.2")
    ]


@pytest.mark.parametrize("loads", [True, False])
def test_a_lost_session_is_followed_by_a_new_one(loads: bool) -> None:
    dialogue = Dialogue(resume=True)
    dialogue.answer("initialize", INITIALIZED | {"agentCapabilities": {"loadSession": loads}})
    if loads:
        dialogue.answer("session/load", code=-32603, message="no such session")
    dialogue.answer("session/new", {"sessionId": "new"})
    dialogue.answer("session/set_mode")
    assert [event for event in dialogue.events if not isinstance(event, Write)] == [
        SessionLost("s1"),
        SessionStarted("new", None, "1.2"),
    ]


@pytest.mark.parametrize("loads", [True, False])
def test_a_prompt_that_waited_for_a_lost_session_is_not_said_unless_it_is_handed_over_anew(
    loads: bool,
) -> None:
    dialogue = Dialogue(resume=True)
    dialogue.prompt("m1", "And this")
    dialogue.answer("initialize", INITIALIZED | {"agentCapabilities": {"loadSession": loads}})
    if loads:
        dialogue.answer("session/load", code=-32603, message="no such session")
    dialogue.answer("session/new", {"sessionId": "new"})
    dialogue.answer("session/set_mode")
    assert "prompt:m1" not in dialogue.writes
    assert [write.id for write in dialogue.prompt("m2", "The work, and this")] == ["prompt:m2"]
    dialogue.answer("session/prompt", {"stopReason": "end_turn"})
    assert [write.id for write in dialogue.prompt("m1", "And this")] == ["prompt:m1"]


def test_a_prompt_that_counts_as_sent_is_forgotten_with_the_session() -> None:
    dialogue = Dialogue(resume=True)
    dialogue.answer("initialize", INITIALIZED)
    dialogue.answer("session/load", code=-32000, message="Authentication required")
    assert [write.id for write in dialogue.prompt("m1", "Hello")] == ["acp:session:2"]
    events = dialogue.answer("session/load", code=-32603, message="no such session")
    assert events[:2] == [PromptForgotten("m1"), SessionLost("s1")]
    dialogue.answer("session/new", {"sessionId": "new"})
    dialogue.answer("session/set_mode")
    assert "prompt:m1" not in dialogue.writes


def test_a_refused_login_fails_the_prompts_and_the_next_prompt_tries_again() -> None:
    dialogue = Dialogue()
    dialogue.prompt("m1", "Hello")
    dialogue.answer("initialize", INITIALIZED)
    events = dialogue.answer("session/new", code=-32000, message="Authentication required")
    assert events == [
        LoginRefused("Authentication required", "run `plain login`"),
        TurnEnded(TurnOutcome.FAILED, "m1", failure=FailureKind.LOGIN, error="Authentication required"),
    ]
    dialogue.prompt("m2", "Hello")
    dialogue.answer("session/new", {"sessionId": "new"})
    assert of(dialogue.answer("session/set_mode"), Write)[0].id == "prompt:m2"


@pytest.mark.parametrize("method", ["fs/read_text_file", "fs/write_text_file", "terminal/create", "x/y"])
@pytest.mark.parametrize("rpc_id", [0, "seven"])
def test_requests_for_what_was_not_offered_are_refused(method: str, rpc_id: int | str) -> None:
    told, write = Dialogue().ready().line({"id": rpc_id, "method": method, "params": {}})
    assert isinstance(told, Unparsed) and isinstance(write, Write)
    assert (sent(write)["id"], sent(write)["error"]["code"]) == (rpc_id, -32601)


@pytest.mark.parametrize(
    "code, message, kind",
    [
        (-32000, "Authentication required", FailureKind.LOGIN),
        (401, "API key not valid", FailureKind.LOGIN),
        (429, "Rate limit exceeded", FailureKind.LIMIT),
        (-32603, "You have exhausted your quota", FailureKind.LIMIT),
        (503, "The model is overloaded", FailureKind.OVERLOADED),
        (400, "The input token count (9) exceeds the maximum", FailureKind.CONTEXT),
        (400, "Too many tokens in the prompt", FailureKind.CONTEXT),
        (-32603, "Too many tokens, please wait before trying again.", FailureKind.LIMIT),
        (-32603, "429: too many tokens per minute", FailureKind.LIMIT),
        (-32603, "Too many tokens per day", FailureKind.LIMIT),
        (500, "Internal error", FailureKind.API),
        (-32603, "fetch failed", FailureKind.CONNECTION),
        (-32603, "Internal error", FailureKind.OTHER),
        (None, "", FailureKind.OTHER),
    ],
)
def test_an_error_has_a_kind(code: object, message: str, kind: FailureKind) -> None:
    assert failure_of({"code": code, "message": message}).kind is kind


def test_a_limit_is_told_before_its_turn_ends() -> None:
    dialogue = Dialogue().ready()
    dialogue.prompt("m1", "Hello")
    events = dialogue.answer("session/prompt", code=429, message="Rate limit exceeded")
    assert [type(event) for event in events] == [PromptAccepted, TurnStarted, Limited, TurnEnded]


@pytest.mark.parametrize("text, guarded", [("/help", True), (" \n/x", True), ("a /b", False), ("!ls", False)])
def test_a_prompt_is_never_taken_for_a_command(text: str, guarded: bool) -> None:
    dialogue = Dialogue().ready()
    (write,) = dialogue.prompt("m1", text)
    assert [block["text"] for block in sent(write)["params"]["prompt"]] == [GUARD, text][not guarded :]


def test_instructions_come_before_the_first_prompt_only() -> None:
    dialogue = Dialogue(instructions="Be brief.").ready()
    for number, texts in ((1, ["Be brief.\n\n", "Hello"]), (2, ["Hello"])):
        (write,) = dialogue.prompt(f"m{number}", "Hello")
        assert [block["text"] for block in sent(write)["params"]["prompt"]] == texts
        dialogue.answer("session/prompt", {"stopReason": "end_turn"})


UPDATES = ["agent_message_chunk", "tool_call", "tool_call_update", "plan", "user_message_chunk"]
updates = st.fixed_dictionaries(
    {"sessionUpdate": st.sampled_from(UPDATES)},
    optional=dict.fromkeys(["content", "toolCallId", "status", "kind", "title", "rawInput"], json_values),
)
asks = st.fixed_dictionaries(
    {},
    optional={
        "options": json_values,
        "toolCall": st.dictionaries(st.sampled_from(list(COMMAND)), json_values),
    },
)
IDS = ["initialize", "session:1", "mode:2", "prompt:m1", "ping:settle:3", 0, None]
lines = st.one_of(
    st.fixed_dictionaries({"id": st.sampled_from(IDS), "result": json_values}),
    st.fixed_dictionaries({"id": st.sampled_from(IDS), "error": json_values}),
    st.builds(lambda update: {"method": "session/update", "params": {"update": update}}, updates),
    st.builds(lambda ask: {"id": 1, "method": "session/request_permission", "params": ask}, asks),
    st.fixed_dictionaries(
        {"method": st.text(max_size=5)}, optional={"id": json_values, "params": json_values}
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(lines, max_size=8), st.booleans())
def test_no_shape_of_a_line_breaks_the_driver(given_: list[dict[str, object]], ready: bool) -> None:
    dialogue = Dialogue().ready() if ready else Dialogue()
    dialogue.prompt("m1", "Hello")
    for line in given_:
        for event in dialogue.line(line):
            str(event).encode()
        dialogue.driver.decide("1", Decision(approve=True))
    assert isinstance(dialogue.driver.state.values, dict)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_break_the_driver(data: bytes) -> None:
    dialogue = Dialogue().ready()
    for stream in ("stdout", "stderr"):
        events = list(dialogue.driver.feed(stream, data + b"\n"))
        assert all(isinstance(event, Unparsed | Write) for event in events)
