"""The Claude driver on recorded streams of the real CLI (`tests/clis` at the root records them)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers.claude import ClaudeDriver
from at_session.errors import LaunchRefused
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    ContextUsed,
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
    Transport,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Unparsed,
    UsageReported,
    Write,
)

from .replay import Act, Chunk, Recordings, Restart, json_values, of, perform, restored

RECORDED = Recordings("claude-2.1.197")
REPOSITORY = "/var/tmp/demo/repo"
HOW = "run `claude` and type /login, or set ANTHROPIC_API_KEY"

Events = list[DriverEvent]


def play(case: str, cuts: Iterable[int] = ()) -> Events:
    """A recording's events; at each cut, counted in bytes of the streams, the driver is stored and restored."""
    driver = ClaudeDriver()
    events: Events = []
    for step in RECORDED.steps(case, cuts):
        match step:
            case Act():
                assert len(perform(driver, step)) == 1
            case Chunk(stream, data):
                events += feed(driver, stream, data)
            case Restart():
                driver = restored(driver)
    return events


def feed(driver: ClaudeDriver, stream: str, data: bytes) -> Events:
    return [event for event in driver.feed(stream, data) if not isinstance(event, Write)]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_chunks_and_restored_states_change_no_event(data: st.DataObject, case: str) -> None:
    cuts = data.draw(st.lists(st.integers(0, RECORDED.size(case)), max_size=30))
    assert play(case, cuts) == play(case)


def test_a_state_survives_every_byte_boundary() -> None:
    assert play("repeated", range(RECORDED.size("repeated"))) == play("repeated")


def test_a_turn_with_a_write() -> None:
    events = play("write")
    assert [type(event) for event in events] == [
        *(
            SessionStarted,
            PromptAccepted,
            TurnStarted,
            Text,
            ToolStarted,
            ToolEnded,
            Text,
            UsageReported,
            ContextUsed,
            TurnEnded,
        ),
        *(PromptAccepted, TurnStarted, ContextUsed, Text, UsageReported, TurnEnded),
    ]
    assert of(events, ToolStarted)[0].what == f"{REPOSITORY}/hello.txt"
    assert of(events, TurnEnded) == [
        TurnEnded(TurnOutcome.COMPLETED, "m1", "Done."),
        TurnEnded(TurnOutcome.COMPLETED, "m2", "Again."),
    ]


def test_usage_counts_cache_writes_as_input_and_costs_are_per_turn() -> None:
    first, second = (each.usage for each in of(play("write"), UsageReported))
    # What the endpoint sends: response n has 101+7n input, 53+3n written, 1009+13n read, 31+11n output tokens.
    assert (first.input_tokens, first.cached_tokens, first.output_tokens) == (223 + 115, 2057, 95)
    assert (second.input_tokens, second.cached_tokens, second.output_tokens) == (122 + 62, 1048, 64)
    assert first.cost_usd is not None and second.cost_usd is not None
    assert 0 < second.cost_usd < first.cost_usd
    assert first.model == second.model == "claude-opus-4-8[1m]"


def turn_of(**models: tuple[int, float]) -> bytes:
    spent = {
        name: {"inputTokens": tokens, "outputTokens": tokens, "costUSD": cost}
        for name, (tokens, cost) in models.items()
    }
    begin = {"type": "system", "subtype": "init", "session_id": "s", "model": "large"}
    end = {"type": "result", "subtype": "success", "modelUsage": spent, "duration_ms": 7}
    return b"".join(json.dumps(line).encode() + b"\n" for line in (begin, end))


def test_each_model_of_a_turn_has_its_own_figures() -> None:
    driver = ClaudeDriver()
    turns = [
        turn_of(large=(100, 0.5)),
        turn_of(large=(150, 0.75), small=(10, 0.01)),
        turn_of(large=(150, 0.75), small=(30, 0.04)),
        turn_of(large=(150, 0.75), small=(30, 0.04)),
    ]
    told = []
    for line in turns:
        found = [each.usage for each in of(feed(driver, "stdout", line), UsageReported)]
        told.append([(each.model, each.input_tokens, each.cost_usd, each.duration_ms) for each in found])
        driver = restored(driver)
    assert told == [
        [("large", 100, 0.5, 7)],
        [("large", 50, 0.25, 7), ("small", 10, 0.01, None)],
        [("small", 20, 0.03, 7)],
        [],
    ]


@pytest.mark.parametrize(
    "case, kind, what, argv",
    [
        ("approved", AskKind.COMMAND, "git config demo.key 1", ("git", "config", "demo.key", "1")),
        ("denied", AskKind.COMMAND, "make -k all; true", None),
        ("edit", AskKind.EDIT, f"{REPOSITORY}/poem.txt\n-two\n+2", None),
        ("question", AskKind.QUESTION, "Which colour?\n  1. Red (warm)\n  2. Blue (cold)", None),
    ],
)
def test_an_ask_shows_exactly_what_is_asked(
    case: str, kind: AskKind, what: str, argv: tuple[str, ...] | None
) -> None:
    events = play(case)
    ask = of(events, AskOpened)[0]
    assert (ask.kind, ask.what, ask.argv) == (kind, what, argv)
    assert of(events, AskClosed) == [AskClosed(ask.request_id)]


@pytest.mark.parametrize(
    "case, end",
    [
        ("approved", TurnEnded(TurnOutcome.COMPLETED, "m1", "Configured.")),
        ("denied", TurnEnded(TurnOutcome.COMPLETED, "m1", "I could not.", denied=("make -k all; true",))),
        ("interrupted", TurnEnded(TurnOutcome.INTERRUPTED, "m1")),
        ("withdrawn", TurnEnded(TurnOutcome.INTERRUPTED, "m1", denied=("make something",))),
        ("joined", TurnEnded(TurnOutcome.COMPLETED, "m1", "Both done.", joined=("m2",))),
        ("retried", TurnEnded(TurnOutcome.COMPLETED, "m1", "At last.")),
        (
            "cut",
            TurnEnded(
                TurnOutcome.FAILED,
                "m1",
                "Half a sen",
                FailureKind.CONNECTION,
                "the connection was cut in the middle of an answer",
            ),
        ),
        ("login", TurnEnded(TurnOutcome.FAILED, "m1", "", FailureKind.LOGIN, "the login was refused")),
    ],
)
def test_how_a_turn_ended(case: str, end: TurnEnded) -> None:
    assert of(play(case), TurnEnded) == [end]


@pytest.mark.parametrize(
    "case, failure",
    [
        ("limited", FailureKind.LIMIT),
        ("no-login", FailureKind.LOGIN),
        ("context", FailureKind.CONTEXT),
        ("server-error", FailureKind.API),
    ],
)
def test_a_failed_turn_has_its_kind_and_the_clis_words(case: str, failure: FailureKind) -> None:
    end = of(play(case), TurnEnded)[0]
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, failure)
    assert end.error == end.text != ""


def test_a_limit_tells_its_reset_also_where_the_cli_does_not_repeat_it() -> None:
    assert [each.reset_at for each in of(play("limited"), Limited)] == ["2030-03-17T17:46:40Z"] * 2


@pytest.mark.parametrize(
    ("overage", "limited"),
    [
        ({}, True),
        ({"isUsingOverage": False, "overageStatus": "rejected"}, True),
        ({"isUsingOverage": True}, False),
        ({"overageStatus": "allowed"}, False),
        ({"overageStatus": "allowed_warning", "isUsingOverage": False}, False),
    ],
)
def test_a_limit_that_extra_usage_goes_beyond_is_none(overage: dict[str, object], limited: bool) -> None:
    info = {"status": "rejected", "resetsAt": 1_900_000_000, **overage}
    line = json.dumps({"type": "rate_limit_event", "rate_limit_info": info}).encode() + b"\n"
    driver = ClaudeDriver()
    told = of(feed(driver, "stdout", INIT + line), Limited)
    assert [each.reset_at for each in told] == ["2030-03-17T17:46:40Z"] * limited
    # What is refused nevertheless has another cause, whose end is not known.
    refused = {"type": "result", "is_error": True, "api_error_status": 429, "result": "slow down"}
    told += of(feed(driver, "stdout", json.dumps(refused).encode() + b"\n"), Limited)
    assert [each.reset_at for each in told] == ["2030-03-17T17:46:40Z" if limited else None]


@pytest.mark.parametrize(
    "case, refused",
    [
        ("login", LoginRefused("authentication_failed (401)", HOW)),
        ("no-login", LoginRefused("Not logged in · Please run /login", HOW)),
    ],
)
def test_a_refused_login_is_told_once(case: str, refused: LoginRefused) -> None:
    assert of(play(case), LoginRefused) == [refused]


def test_the_clis_own_retries_are_told() -> None:
    told = [(each.kind, each.attempt, each.message) for each in of(play("retried"), Retrying)]
    assert told == [
        (FailureKind.LIMIT, 1, "rate_limit (429)"),
        (FailureKind.OVERLOADED, 2, "overloaded (529)"),
    ]


@pytest.mark.parametrize(
    "error, status, said",
    [
        ("unknown", None, "connection error"),
        ("", None, "connection error"),
        ("server_error", 500, "server_error (500)"),
    ],
)
def test_a_retry_says_what_failed(error: str, status: int | None, said: str) -> None:
    line = {"type": "system", "subtype": "api_retry", "attempt": 1, "error": error, "error_status": status}
    told = of(feed(ClaudeDriver(), "stdout", json.dumps(line).encode() + b"\n"), Retrying)
    assert [each.message for each in told] == [said]


def test_a_prompt_that_the_cli_has_already_is_told_as_repeated() -> None:
    assert play("repeated") == [PromptAccepted("m1", repeated=True)]


def test_a_lost_session_is_told_and_ends_no_turn() -> None:
    events = play("lost")
    assert [type(event) for event in events] == [SessionLost, Unparsed]


@pytest.mark.parametrize(
    "line",
    [
        b"plain words",
        b"\xff\xfe\x00 not UTF-8",
        b"[1, 2]",
        b"{" * 100_000,
        b'{"type": "result", "result": ' + b"9" * 10_000 + b"}",
    ],
    ids=["words", "bytes", "list", "deep", "number"],
)
def test_a_line_that_is_not_of_the_protocol_is_a_fact(line: bytes) -> None:
    events = feed(ClaudeDriver(), "stdout", line + b"\n")
    assert [type(event) for event in events] == [Unparsed]
    assert len(of(events, Unparsed)[0].excerpt) <= 500


def test_a_line_of_ten_megabytes_is_read() -> None:
    block = {"type": "text", "text": "x" * 10_000_000}
    line = json.dumps({"type": "assistant", "message": {"id": "1", "content": [block]}}).encode() + b"\n"
    driver = ClaudeDriver()
    chunks = [line[start : start + 65536] for start in range(0, len(line), 65536)]
    events = [event for chunk in chunks for event in feed(driver, "stdout", chunk)]
    assert [len(each.text) for each in of(events, Text)] == [10_000_000]


LINE_TYPES = [
    "system",
    "assistant",
    "user",
    "control_request",
    "control_response",
    "control_cancel_request",
    "result",
]
KEYS = [
    "subtype",
    "message",
    "request",
    "response",
    "content",
    "request_id",
    "uuid",
    "isReplay",
    "errors",
    "usage",
]
lines = st.fixed_dictionaries(
    {"type": st.sampled_from([*LINE_TYPES, "stream_event", "rate_limit_event"])},
    optional={
        **dict.fromkeys(KEYS, json_values),
        "subtype": st.sampled_from(["init", "api_retry", "success", "can_use_tool"]),
        "request": st.fixed_dictionaries({"subtype": st.just("can_use_tool"), "input": json_values}),
        "permission_denials": json_values,
        "modelUsage": json_values | st.dictionaries(st.text(max_size=3), json_values, max_size=2),
        "rate_limit_info": st.fixed_dictionaries({"status": st.just("rejected"), "resetsAt": json_values}),
    },
)


@settings(max_examples=50, deadline=None)
@given(st.lists(lines, max_size=6))
def test_no_shape_of_a_line_breaks_the_driver(given_: list[dict[str, object]]) -> None:
    driver = ClaudeDriver()
    driver.prompt("m1", "Hello")
    for line in given_:
        for event in feed(driver, "stdout", json.dumps(line).encode() + b"\n"):
            str(event).encode()
        driver = restored(driver)
    assert isinstance(driver.state.values, dict)


def request(**changes: object) -> LaunchRequest:
    plain: dict[str, object] = {
        "agent_id": "a1",
        "binary": "claude",
        "args": ("--debug",),
        "cwd": REPOSITORY,
        "env": {"HOME": "/nowhere", "PATH": "/bin"},
        "private_dir": "/nowhere/private",
        "session_id": "3f0c1d2e-0000-4000-8000-000000000001",
    }
    return LaunchRequest(**{**plain, **changes})  # type: ignore[arg-type]


def option(argv: tuple[str, ...], name: str) -> str | None:
    return argv[argv.index(name) + 1] if name in argv else None


@pytest.mark.parametrize("allow, mode", [(Allow.ASK, "default"), (Allow.EDITS, "acceptEdits")])
def test_a_launch_says_the_permission_mode(allow: Allow, mode: str) -> None:
    launch = ClaudeDriver().launch(request(allow=allow, model="opus", instructions="Be brief."))
    assert launch.transport is Transport.PIPE
    assert option(launch.argv, "--permission-mode") == mode
    assert option(launch.argv, "--model") == "opus"
    assert option(launch.argv, "--append-system-prompt") == "Be brief."
    assert launch.argv[-1] == "--debug"
    assert launch.env == {"DISABLE_AUTOUPDATER": "1", "HOME": "/nowhere", "PATH": "/bin"}


@pytest.mark.parametrize(
    "env", [{}, {"IS_SANDBOX": "yes"}, {"IS_SANDBOX": "1"}], ids=["plain", "yes", "sandbox"]
)
def test_all_as_root_is_refused_before_launching(env: dict[str, str]) -> None:
    wanted = request(allow=Allow.ALL, env={"HOME": "/nowhere", **env})
    if os.geteuid() == 0 and env.get("IS_SANDBOX") != "1":
        with pytest.raises(LaunchRefused, match="as root; allow `edits`, or set IS_SANDBOX=1"):
            ClaudeDriver().launch(wanted)
    else:
        assert option(ClaudeDriver().launch(wanted).argv, "--permission-mode") == "bypassPermissions"


@pytest.mark.parametrize(
    "transcript, flag, same",
    [
        (None, "--session-id", True),
        ('{"type":"user"}\n', "--resume", True),
        ('{"type":"queue-operation"}\n', "--session-id", False),
    ],
    ids=["none", "with-a-prompt", "without-a-prompt"],
)
@pytest.mark.parametrize("variable", ["HOME", "CLAUDE_CONFIG_DIR"])
def test_the_clis_own_record_decides_about_resuming(
    tmp_path: Path, variable: str, transcript: str | None, flag: str, same: bool
) -> None:
    wanted = request(env={variable: str(tmp_path)})
    if transcript is not None:
        folder = tmp_path / (".claude" if variable == "HOME" else "") / "projects" / "-some-folder"
        folder.mkdir(parents=True)
        (folder / f"{wanted.session_id}.jsonl").write_text(transcript)
    argv = ClaudeDriver().launch(wanted).argv
    assert (option(argv, flag) == wanted.session_id) is same
    assert ("--resume" in argv) is (flag == "--resume")


@pytest.mark.parametrize("text, blocks", [("Hello", 1), ("/help", 2), (" \n/help", 2), ("!ls", 1)])
def test_a_prompt_is_one_line_with_its_id(text: str, blocks: int) -> None:
    driver = ClaudeDriver()
    (write,) = driver.prompt("3f0c1d2e-0000-4000-8000-000000000002", text)
    assert driver.prompt("3f0c1d2e-0000-4000-8000-000000000002", text) == [write]
    line = json.loads(write.data)
    assert write.id == "prompt:3f0c1d2e-0000-4000-8000-000000000002"
    assert line["uuid"] == "3f0c1d2e-0000-4000-8000-000000000002"
    assert [block["text"] for block in line["message"]["content"]] == [text, ""][:blocks]
    assert write.data.count(b"\n") == 1


INIT = b'{"type":"system","subtype":"init","session_id":"s"}\n'


def test_one_prompt_waits_in_the_cli_and_the_others_are_held_back() -> None:
    driver = ClaudeDriver()
    (first,) = driver.prompt("m1", "one")
    assert [driver.prompt(each, each) for each in ("m2", "m3", "m2")] == [[], [], []]
    assert driver.prompt("m1", "one") == [first]
    written = []
    for _ in range(3):
        driver = restored(driver)
        written += [event.id for event in driver.feed("stdout", INIT) if isinstance(event, Write)]
    assert written == ["prompt:m2", "prompt:m3"]


UUID = "3f0c1d2e-0000-4000-8000-000000000002"
ECHO = f'{{"type":"user","uuid":"{UUID}","timestamp":"2030-01-01T00:00:00Z","isReplay":true}}\n'.encode()
RESULT = (
    b'{"type":"result","subtype":"success","is_error":false,"result":"Done.","terminal_reason":"completed"}\n'
)


@pytest.mark.parametrize("handed_over_again_before", [0, 1, 2])
def test_a_daemon_that_forgot_a_prompt_learns_it_from_the_echo(handed_over_again_before: int) -> None:
    driver = ClaudeDriver()  # its state was stored before the prompt was written
    events: Events = []
    for number, data in enumerate((INIT, ECHO, RESULT)):
        if number == handed_over_again_before:
            assert [write.id for write in driver.prompt(UUID, "Hello")] == [f"prompt:{UUID}"]
        events += feed(driver, "stdout", data)
    assert of(events, PromptAccepted) == [PromptAccepted(UUID)]
    assert of(events, TurnEnded) == [TurnEnded(TurnOutcome.COMPLETED, UUID, "Done.")]
    assert [write.id for write in driver.prompt("next", "Go on")] == ["prompt:next"]


def test_a_launch_forgets_the_process_before() -> None:
    driver = ClaudeDriver()
    driver.prompt("m1", "Hello")
    driver.feed("stdout", b'{"type":"system","subtype":"init","session_id":"s"}\n{"half')
    driver.launch(request())
    assert driver.state.values == {}
