"""Turns of the real Gemini CLI with its driver, on plain pipes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clis.conftest import Ground
from clis.figures import counted, figures
from clis.gemini_stage import CLI, INSTRUCTIONS, VERSION, GeminiStage, shell

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Drop, Hang, Refuse, Reply, Say, Stall, Stream, UseTools
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    Decision,
    FailureKind,
    Limited,
    LoginRefused,
    PromptAccepted,
    Retrying,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
)

RESET = 1_900_000_000


@pytest.fixture
def stage(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[GeminiStage]:
    with ExitStack() as stack:
        yield GeminiStage(endpoint, ground, commands, stack)


def test_two_writes_in_one_response_land_and_usage_is_exact(stage: GeminiStage) -> None:
    tools = (CLI.write(stage.path("a.txt"), "a\n"), CLI.write(stage.path("b.txt"), "b\n"))
    marker = stage.endpoint.script("write", UseTools(tools, "I write."), Say("Done."))
    agent = stage.start()
    end = stage.turn(agent, "m1", f"Please write. {marker}")
    assert [Path(stage.path(name)).read_text() for name in ("a.txt", "b.txt")] == ["a\n", "b\n"]
    assert (end.outcome, end.text, end.denied) == (TurnOutcome.COMPLETED, "Done.", ())
    (session,) = agent.of(SessionStarted)
    assert (session.model, session.version) == ("auto", VERSION)
    assert agent.of(PromptAccepted) == [PromptAccepted("m1")]
    assert agent.of(TurnStarted) == [TurnStarted("m1")]
    assert [each.text for each in agent.of(Text)] == ["I write.", "Done."]
    started = agent.of(ToolStarted)
    assert [(each.name, each.what) for each in started] == [
        ("write_file", stage.path("a.txt")),
        ("write_file", stage.path("b.txt")),
    ]
    assert [each.ok for each in agent.of(ToolEnded)] == [True, True]
    usage = stage.usage(agent)
    assert (counted(usage), usage.requests) == (figures(stage.endpoint, stage.endpoint.of("write")), 2)
    assert stage.record(agent) == []


def test_usage_is_of_each_turn_and_the_routers_requests_are_not_in_it(stage: GeminiStage) -> None:
    agent = stage.start()
    for number in (1, 2, 3):
        stage.turn(agent, f"m{number}", stage.endpoint.script(f"say{number}", Say("Yes.")))
        assert counted(stage.usage(agent)) == figures(stage.endpoint, stage.endpoint.of(f"say{number}"))
    assert len(stage.endpoint.exchanges(auxiliary=True)) == 3


def test_a_named_model_is_used_without_a_router(stage: GeminiStage) -> None:
    agent = stage.start(model="gemini-2.5-pro")
    stage.turn(agent, "m1", stage.endpoint.script("say", Say("Yes.")))
    assert [each.request.model for each in stage.endpoint.exchanges()] == ["gemini-2.5-pro"]
    assert stage.endpoint.exchanges(auxiliary=True) == []
    assert agent.of(SessionStarted)[0].model == stage.usage(agent).model == "gemini-2.5-pro"


def test_instructions_reach_the_model_apart_from_the_prompt(stage: GeminiStage) -> None:
    marker = stage.endpoint.script("instructed", Say("Yes."))
    stage.turn(stage.start(), "m1", marker)
    texts = stage.endpoint.of("instructed")[0].request.texts
    assert [INSTRUCTIONS in text for text in texts] == [True, False]
    assert texts[-1] == marker


def test_a_command_asks_with_its_exact_text_and_goes_on_when_approved(stage: GeminiStage) -> None:
    command = "git config --local demo.key 'two  words'; true"
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("ask", shell(command), Say("Configured.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what, ask.argv) == (AskKind.COMMAND, command, None)
    assert ask.tool == "run_shell_command"
    agent.decide(ask.request_id, approve=True)
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.COMPLETED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id)]
    assert stage.ground.git("config", "demo.key") == "two  words\n"


def test_a_denied_command_is_not_run_and_the_turn_goes_on(stage: GeminiStage) -> None:
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("ask", shell("git config demo.key 1"), Say("I could not.")))
    ask = agent.wait_for(AskOpened)
    assert ask.argv == ("git", "config", "demo.key", "1")
    agent.decide(ask.request_id, approve=False, text="Not this one.")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "I could not.")
    assert end.denied == ("git config demo.key 1",)
    assert [each.ok for each in agent.of(ToolEnded)] == [False]
    assert "demo" not in (stage.ground.repository / ".git" / "config").read_text()
    assert counted(stage.usage(agent)) == figures(stage.endpoint, stage.endpoint.of("ask"))


def test_a_command_elsewhere_is_shown_with_its_folder_and_has_no_argument_list(stage: GeminiStage) -> None:
    (stage.ground.repository / "sub").mkdir()
    command = {"command": "make all", "dir_path": "sub", "is_background": True, "description": "Build"}
    agent = stage.start()
    there = CLI.command("x")
    use = UseTools((type(there)(there.name, command),))
    agent.prompt("m1", stage.endpoint.script("ask", use))
    ask = agent.wait_for(AskOpened)
    assert (ask.what, ask.argv) == ("[in sub] [background] make all", None)


@pytest.mark.parametrize("allow, asks", [(Allow.ASK, 1), (Allow.EDITS, 0)])
def test_an_edit_asks_with_its_change_in_ask_mode_only(stage: GeminiStage, allow: Allow, asks: int) -> None:
    path = stage.ground.repository / "poem.txt"
    path.write_text("one\ntwo\nthree\n")
    edits = [UseTools(tools) for tools in CLI.edit(str(path), "two", "2")]
    agent = stage.start(allow)
    agent.prompt("m1", stage.endpoint.script("edit", *edits, Say("Edited.")))
    for _ in range(asks):
        ask = agent.wait_for(AskOpened)
        assert (ask.kind, ask.tool) == (AskKind.EDIT, "replace")
        assert ask.what == f"{path}\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three"
        agent.decide(ask.request_id, approve=True)
    agent.wait_for(TurnEnded)
    assert (path.read_text(), len(agent.of(AskOpened))) == ("one\n2\nthree\n", asks)


def test_with_all_allowed_nothing_asks(stage: GeminiStage) -> None:
    agent = stage.start(Allow.ALL)
    end = stage.turn(agent, "m1", stage.endpoint.script("all", shell("git config demo.key 1"), Say("Done.")))
    assert end.outcome is TurnOutcome.COMPLETED
    assert (agent.of(AskOpened), stage.ground.git("config", "demo.key")) == ([], "1\n")


@pytest.mark.parametrize(
    "reply",
    [Stream(30), Hang(), Hang(headers=False), Stall("Half")],
    ids=["stream", "hang", "silent", "stall"],
)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_works(stage: GeminiStage, reply: Reply) -> None:
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("long", reply))
    assert stage.endpoint.wait_for(lambda: bool(stage.endpoint.of("long")))
    agent.interrupt("i1")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.message_id) == (TurnOutcome.INTERRUPTED, "m1")
    assert stage.record(agent) == []
    assert stage.turn(agent, "m2", stage.endpoint.script("next", Say("Here."))).text == "Here."


def test_an_interrupt_withdraws_the_open_ask_and_what_was_answered_counts(stage: GeminiStage) -> None:
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("ask", shell("make something")))
    ask = agent.wait_for(AskOpened)
    agent.interrupt("i1")
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.INTERRUPTED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id, withdrawn=True)]
    assert agent.driver.decide(ask.request_id, Decision(approve=True)) == []
    assert counted(stage.usage(agent)) == figures(stage.endpoint, stage.endpoint.of("ask"))


def test_a_short_rate_limit_is_retried_by_the_cli_and_told(stage: GeminiStage) -> None:
    agent = stage.start()
    assert stage.turn(agent, "m1", stage.endpoint.script("busy", CLI.slow_down(), Say("At last."))).text
    (retry,) = agent.of(Retrying)
    assert (retry.kind, retry.attempt) == (FailureKind.LIMIT, 1)
    assert retry.delay_seconds is not None and retry.delay_seconds > 1
    assert retry.message.startswith("You exceeded your current quota")
    assert counted(stage.usage(agent)) == figures(stage.endpoint, stage.endpoint.of("busy"))
    assert agent.of(Limited) == []


def test_a_limit_tells_its_reset_each_time(stage: GeminiStage) -> None:
    agent = stage.start()
    for number in (1, 2):
        end = stage.turn(agent, f"m{number}", stage.endpoint.script(f"quota{number}", CLI.quota(RESET)))
        assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LIMIT)
        left = agent.of(Limited)[-1].reset_in_seconds
        assert left is not None
        assert abs(left - (RESET - datetime.now(UTC).timestamp())) < 60


def test_a_daily_limit_of_a_key_has_no_reset_time(stage: GeminiStage) -> None:
    kind = "RESOURCE_EXHAUSTED:GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    agent = stage.start()
    end = stage.turn(agent, "m1", stage.endpoint.script("quota", Refuse(429, kind, "No more today.")))
    assert end.failure is FailureKind.LIMIT
    assert agent.of(Limited) == [Limited("You have exhausted your daily quota on this model.")]


@pytest.mark.parametrize(
    "reply",
    [
        CLI.login_refused(),
        Refuse(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        Refuse(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
    ],
    ids=["401", "400", "403"],
)
def test_a_refused_login_is_told_at_once(stage: GeminiStage, reply: Refuse) -> None:
    agent = stage.start()
    end = stage.turn(agent, "m1", stage.endpoint.script("login", reply))
    assert (end.outcome, end.failure, end.error) == (TurnOutcome.FAILED, FailureKind.LOGIN, reply.message)
    (refused,) = agent.of(LoginRefused)
    assert refused.message == reply.message and "GEMINI_API_KEY" in refused.how
    assert len(stage.endpoint.of("login")) == 1


@pytest.mark.parametrize(
    "reply, kind, retries",
    [
        pytest.param(CLI.too_long(), FailureKind.CONTEXT, 0, id="context"),
        pytest.param(Refuse(400, "INVALID_ARGUMENT", "No such thing."), FailureKind.API, 0, id="bad-request"),
        pytest.param(CLI.broken(), FailureKind.API, 2, id="server-error"),
        pytest.param(
            Refuse(503, "UNAVAILABLE", "The model is overloaded."), FailureKind.OVERLOADED, 2, id="overloaded"
        ),
        pytest.param(Drop(), FailureKind.CONNECTION, 2, id="drop"),
        pytest.param(Cut("Half a sen", after_block=True), FailureKind.CONNECTION, 0, id="cut"),
    ],
)
def test_an_api_error_fails_the_turn_with_its_kind(
    stage: GeminiStage, reply: Reply, kind: FailureKind, retries: int
) -> None:
    agent = stage.start()
    end = stage.turn(agent, "m1", stage.endpoint.script("error", reply))
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert end.error and (not isinstance(reply, Refuse) or end.error == reply.message)
    assert [(each.kind, each.attempt) for each in agent.of(Retrying)] == [
        (kind, attempt + 1) for attempt in range(retries)
    ]
    assert stage.record(agent) == []


@pytest.mark.parametrize("after_block", [False, True])
def test_a_stream_that_is_cut_is_asked_for_again_by_the_cli(stage: GeminiStage, after_block: bool) -> None:
    agent = stage.start()
    cut = Cut("Half a sen", after_block)
    end = stage.turn(agent, "m1", stage.endpoint.script("cut", cut, Say("A whole sentence.")))
    assert end.outcome is TurnOutcome.COMPLETED and end.text.endswith("A whole sentence.")
    assert counted(stage.usage(agent)) == figures(stage.endpoint, stage.endpoint.of("cut")[1:])
