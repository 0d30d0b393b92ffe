"""The Gemini driver on recorded streams, logs and records of the real CLI (`tests/clis` at the root records them)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_session.drivers.gemini import GeminiDriver
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    CallAnswered,
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
    Write,
)

from .replay import Act, Chunk, Recordings, Restart, of, perform, restored

RECORDED = Recordings("gemini-0.61.0")
REPOSITORY = "/var/tmp/demo/repo"
LOST = "3f0c1d2e-0000-4000-8000-000000000001"
HOW = "set GEMINI_API_KEY, or run `gemini` and log in"

Events = list[DriverEvent | Write]


def request(**changes: object) -> LaunchRequest:
    plain: dict[str, object] = {
        "agent_id": "a1",
        "binary": "gemini",
        "args": ("--debug",),
        "cwd": REPOSITORY,
        "env": {"HOME": "/nowhere", "PATH": "/bin"},
        "private_dir": "/nowhere/private",
    }
    return LaunchRequest(**{**plain, **changes})  # type: ignore[arg-type]


def play(case: str, cuts: Iterable[int] = ()) -> Events:
    """A recording's events; at each cut, counted in bytes of the streams, the driver is stored and restored."""
    driver = GeminiDriver()
    if case == "resumed":
        driver.state.values["accepted"] = ["m1"]
    events: Events = []
    for step in RECORDED.steps(case, cuts):
        match step:
            case Act():
                act(driver, step)
            case Chunk(stream, data):
                events += driver.feed(stream, data)
            case Restart():
                driver = restored(driver)
    return events


def act(driver: GeminiDriver, step: Act) -> None:
    if step.name == "launch":
        (session,) = step.arguments
        driver.launch(request(session_id=session or "unused", resume=bool(session)))
        driver.open()
        return
    writes = perform(driver, step)
    if step.name in ("approve", "deny"):
        assert len(writes) == 1
    elif step.name == "interrupt":
        assert writes


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(RECORDED.cases))
def test_chunks_and_restored_states_change_no_event(data: st.DataObject, case: str) -> None:
    cuts = data.draw(st.lists(st.integers(0, RECORDED.size(case)), max_size=30))
    assert play(case, cuts) == play(case)


def test_a_state_survives_every_byte_boundary() -> None:
    assert play("no-login", range(RECORDED.size("no-login"))) == play("no-login")


def test_a_turn_with_a_write() -> None:
    events = [event for event in play("write") if not isinstance(event, Write)]
    assert [type(event) for event in events] == [
        *(SessionStarted, PromptAccepted, TurnStarted, Text, ToolStarted, ToolEnded, Text, TurnEnded),
        *(PromptAccepted, TurnStarted, Text, TurnEnded),
    ]
    tool = of(play("write"), ToolStarted)[0]
    assert (tool.name, tool.what) == ("write_file", f"{REPOSITORY}/hello.txt")
    assert of(play("write"), TurnEnded) == [
        TurnEnded(TurnOutcome.COMPLETED, "m1", "Done."),
        TurnEnded(TurnOutcome.COMPLETED, "m2", "Again."),
    ]


def test_the_permission_mode_is_set_before_the_first_prompt_leaves() -> None:
    written = [event.id for event in of(play("write"), Write)]
    assert written == ["acp:session:1", "acp:mode:2"]


@pytest.mark.parametrize(
    "case, kind, tool, what, argv",
    [
        (
            "approved",
            AskKind.COMMAND,
            "run_shell_command",
            "git config demo.key 1",
            ("git", "config", "demo.key", "1"),
        ),
        ("denied", AskKind.COMMAND, "run_shell_command", "make -k all; true", None),
        ("edit", AskKind.EDIT, "replace", f"{REPOSITORY}/poem.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2", None),
    ],
)
def test_an_ask_shows_exactly_what_is_asked(
    case: str, kind: AskKind, tool: str, what: str, argv: tuple[str, ...] | None
) -> None:
    (ask,) = of(play(case), AskOpened)
    assert (ask.kind, ask.tool, ask.what, ask.argv) == (kind, tool, what, argv)
    assert of(play(case), AskClosed) == [AskClosed(ask.request_id)]


@pytest.mark.parametrize(
    "case, end",
    [
        ("approved", TurnEnded(TurnOutcome.COMPLETED, "m1", "Configured.")),
        ("denied", TurnEnded(TurnOutcome.COMPLETED, "m1", "I could not.", denied=("make -k all; true",))),
        ("withdrawn", TurnEnded(TurnOutcome.INTERRUPTED, "m1")),
        ("retried", TurnEnded(TurnOutcome.COMPLETED, "m1", "At last.")),
        ("resumed", TurnEnded(TurnOutcome.COMPLETED, "m2", "Two.")),
        (
            "cut",
            TurnEnded(
                TurnOutcome.FAILED,
                "m1",
                "Half a sen" * 3,
                FailureKind.CONNECTION,
                "the model's answer had no end, several times",
            ),
        ),
        (
            "login",
            TurnEnded(
                TurnOutcome.FAILED,
                "m1",
                failure=FailureKind.LOGIN,
                error="Request had invalid authentication credentials.",
            ),
        ),
        (
            "no-login",
            TurnEnded(
                TurnOutcome.FAILED,
                "m1",
                failure=FailureKind.LOGIN,
                error="Gemini API key is missing or not configured.",
            ),
        ),
        (
            "context",
            TurnEnded(
                TurnOutcome.FAILED,
                "m1",
                failure=FailureKind.CONTEXT,
                error="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
        ),
    ],
)
def test_how_a_turn_ended(case: str, end: TurnEnded) -> None:
    assert of(play(case), TurnEnded) == [end]


def test_an_interrupted_turn_keeps_what_was_said() -> None:
    (end,) = of(play("interrupted"), TurnEnded)
    assert end.outcome is TurnOutcome.INTERRUPTED and end.text.startswith("line 1\n")


def test_a_limits_end_is_told_as_the_span_of_its_message() -> None:
    (limited,) = of(play("limited"), Limited)
    assert limited.message.startswith("You have exhausted your capacity on this model.")
    assert (limited.reset_at, limited.reset_in_seconds) == (None, 29_060 * 3600.0 + 55 * 60.0 + 22.0)


@pytest.mark.parametrize("case", ["login", "no-login"])
def test_a_refused_login_is_told_once_with_what_to_do(case: str) -> None:
    assert [each.how for each in of(play(case), LoginRefused)] == [HOW]


def test_the_clis_own_retries_are_told_and_are_a_receipt() -> None:
    events = [event for event in play("retried") if isinstance(event, Retrying | PromptAccepted)]
    assert events[0] == PromptAccepted("m1")
    told = [
        (each.kind, each.attempt, each.delay_seconds) for each in events[1:] if isinstance(each, Retrying)
    ]
    assert told == [(FailureKind.LIMIT, 1, 5.144), (FailureKind.API, 2, None)]
    kinds = [type(event) for event in play("retried") if isinstance(event, Retrying | CallAnswered)]
    assert kinds == [Retrying, Retrying, CallAnswered]


def test_a_resumed_session_tells_no_history_and_knows_its_prompts() -> None:
    events = play("resumed")
    assert [each.text for each in of(events, Text)] == ["Two."]
    assert of(events, PromptAccepted) == [PromptAccepted("m1", repeated=True), PromptAccepted("m2")]
    assert of(events, SessionLost) == []


def test_a_lost_session_is_told_and_followed_by_another() -> None:
    events = play("lost")
    assert of(events, SessionLost) == [SessionLost(LOST)]
    assert [each.session_id == LOST for each in of(events, SessionStarted)] == [False]


@pytest.mark.parametrize("case", [case for case in RECORDED.cases if case not in ("no-login", "lost")])
def test_what_the_cli_prints_again_at_its_end_is_no_news(case: str) -> None:
    told = [each.excerpt for each in of(play(case), Unparsed)]
    assert [each for each in told if not each.startswith(("[20", "Error handling request"))] == []


# --- the launch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings_, names",
    [
        (None, ["GEMINI.md"]),
        ('{"context": {"fileName": "AGENTS.md"}}', ["AGENTS.md", "GEMINI.md"]),
        ('{"context": {"fileName": ["A.md", "../B.md", 7]}}', ["A.md", "GEMINI.md"]),
        ("// no JSON", ["GEMINI.md"]),
        ('{"context": {"fileName": 7}}', ["GEMINI.md"]),
    ],
)
def test_instructions_are_a_context_file_beside_the_workspace(
    tmp_path: Path, settings_: str | None, names: list[str]
) -> None:
    if settings_ is not None:
        (tmp_path / ".gemini").mkdir()
        (tmp_path / ".gemini" / "settings.json").write_text(settings_)
    env = {"HOME": str(tmp_path), "PATH": "/bin"}
    wanted = request(env=env, private_dir=str(tmp_path / "private"), instructions="Be brief.")
    for _ in range(2):
        launch = GeminiDriver().launch(wanted)
        (option,) = [each for each in launch.argv if each.startswith("--include-directories=")]
        folder = Path(option.partition("=")[2])
        assert sorted(path.name for path in folder.iterdir()) == names
        assert {path.read_text() for path in folder.iterdir()} == {"Be brief."}
        assert len({path.stat().st_ino for path in folder.iterdir()}) == 1


def test_a_launch_says_what_the_cli_must_not_do_by_itself() -> None:
    launch = GeminiDriver().launch(request(allow=Allow.ASK))
    assert launch.argv == ("gemini", "--acp", "--debug")
    assert launch.env["GEMINI_CLI_NO_RELAUNCH"] == launch.env["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    kept = GeminiDriver().launch(request(env={"GEMINI_CLI_TRUST_WORKSPACE": "false"}))
    assert kept.env["GEMINI_CLI_TRUST_WORKSPACE"] == "false"


@pytest.mark.parametrize(
    "env, settings_, resume, told",
    [
        ({"GEMINI_API_KEY": "k"}, None, True, True),
        ({"GEMINI_API_KEY": "k"}, "{}", True, True),
        ({"GEMINI_API_KEY": "k"}, None, False, False),
        ({"GEMINI_API_KEY": "k"}, '{"security": {"auth": {"selectedType": "gateway"}}}', True, False),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GENAI_USE_VERTEXAI": "true"}, None, True, False),
        ({}, None, True, False),
    ],
)
def test_a_key_in_the_environment_alone_is_told_where_to_go_when_resuming(
    tmp_path: Path, env: dict[str, str], settings_: str | None, resume: bool, told: bool
) -> None:
    (tmp_path / ".gemini").mkdir()
    if settings_ is not None:
        (tmp_path / ".gemini" / "settings.json").write_text(settings_)
    launch = GeminiDriver().launch(
        request(env={"HOME": str(tmp_path), **env}, session_id=LOST, resume=resume)
    )
    assert ("GOOGLE_GEMINI_BASE_URL" in launch.env) is told


@pytest.mark.parametrize(
    "message",
    ['{"error":{"message":"Inner words."}}', "Inner words.", '{"error":{"message":"Inner words."},"x":1}'],
)
def test_an_answer_of_the_api_within_a_message_is_opened(message: str) -> None:
    assert GeminiDriver().failure({"code": 500, "message": message}).message == "Inner words."


@pytest.mark.parametrize("message", ["{not JSON", "{" * 100_000, '{"error":7}'])
def test_a_message_that_only_looks_like_an_answer_is_kept(message: str) -> None:
    assert GeminiDriver().failure({"code": 500, "message": message}).message == message
