"""The real OpenCode with its driver: what needs a process of its own, such as modes, ends and resumes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clis.figures import figures, total
from clis.opencode_stage import (
    CLI,
    OpenCodeStage,
    Turn,
    bash,
    made_stage,
)
from clis.pipes import PipedAgent

from at_session.drivers.opencode import OpenCodeDriver
from at_session.rehearsal.replies import Say, Stream, ToolUse, UseTools
from at_session.vocabulary import (
    Allow,
    AskKind,
    AskOpened,
    DriverState,
    FailureKind,
    LaunchRequest,
    LoginRefused,
    PromptAccepted,
    SessionLost,
    SessionStarted,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Unparsed,
    UsageReported,
)


@pytest.fixture
def stage(commands: Path) -> Iterator[OpenCodeStage]:
    """A stage of the test's own."""
    with ExitStack() as stack:
        yield made_stage(commands, stack)


def test_the_end_of_input_ends_the_cli(stage: OpenCodeStage) -> None:
    agent = stage.start()
    turn = Turn(stage, agent, stage.endpoint.script("hello", Say("Hello.")))
    assert turn.end().text == "Hello."
    assert agent.close() == 0
    assert agent.driver.reconcile(stage.env, str(stage.repository)) == []


def test_in_ask_mode_edits_and_commands_ask(stage: OpenCodeStage) -> None:
    (stage.repository / "poem.txt").write_text("one\ntwo\n")
    steps = [UseTools(tools) for tools in CLI.edit(stage.path("poem.txt"), "two", "2")]
    agent = stage.start(Allow.ASK)
    turn = Turn(stage, agent, stage.endpoint.script("edit", *steps, bash("ls"), Say("Edited.")))
    ask = turn.wait_for(AskOpened)
    assert (ask.kind, ask.tool) == (AskKind.EDIT, "edit")
    assert "\n-two\n+2" in ask.what and stage.path("poem.txt") in ask.what
    assert (stage.repository / "poem.txt").read_text() == "one\ntwo\n"
    agent.decide(ask.request_id, approve=True)
    command = agent.wait_for(AskOpened, count=2)
    assert command.what == "ls"
    agent.decide(command.request_id, approve=True)
    assert turn.end().text == "Edited."
    assert (stage.repository / "poem.txt").read_text() == "one\n2\n"
    outside = UseTools((ToolUse("read", {"filePath": "/etc/hostname"}),))
    turn = Turn(stage, agent, stage.endpoint.script("outside", outside, Say("Read.")))
    ask = turn.wait_for(AskOpened)
    assert (ask.kind, ask.tool) == (AskKind.TOOL, "external_directory")
    assert "/etc/" in ask.what
    agent.decide(ask.request_id, approve=False)
    assert (turn.end().text, turn.end().denied) == ("Read.", (ask.what,))


def test_with_all_allowed_nothing_asks_but_what_is_denied_stays_denied(stage: OpenCodeStage) -> None:
    stage.configure(permission={"bash": {"*": "ask", "git config no*": "deny"}, "edit": "ask"})
    agent = stage.start(Allow.ALL)
    tools = (
        CLI.command("git config yes.key 1"),
        CLI.command("git config no.key 1"),
        CLI.write(stage.path("a.txt"), "a\n"),
        ToolUse("read", {"filePath": "/etc/hostname"}),
    )
    turn = Turn(stage, agent, stage.endpoint.script("all", UseTools(tools), Say("Done.")))
    assert (turn.end().outcome, turn.of(AskOpened)) == (TurnOutcome.COMPLETED, [])
    assert [each.ok for each in sorted(turn.of(ToolEnded), key=lambda each: each.tool_id)] == [
        True,
        False,
        True,
        True,
    ]
    config = (stage.repository / ".git" / "config").read_text()
    assert "[yes]" in config and "[no]" not in config


def test_the_persons_denials_hold_and_their_other_rules_get_no_looser(stage: OpenCodeStage) -> None:
    stage.configure(
        permission={"bash": {"git config no*": "deny", "git config yes*": "allow"}, "edit": "ask"}
    )
    agent = stage.start(Allow.EDITS)
    turn = Turn(
        stage,
        agent,
        stage.endpoint.script(
            "denied",
            bash("git config no.key 1"),
            bash("git config yes.key 1"),
            UseTools((CLI.write(stage.path("a.txt"), "a\n"),)),
            Say("Done."),
        ),
    )
    for number, what in ((1, "git config yes.key 1"), (2, "a.txt")):
        ask = agent.wait_for(AskOpened, count=number)
        assert what in ask.what
        agent.decide(ask.request_id, approve=True)
    assert turn.end().text == "Done."
    assert [each.ok for each in turn.of(ToolEnded)] == [False, True, True]
    assert "no" not in (stage.repository / ".git" / "config").read_text().split("[yes]")[1]


def test_after_a_kill_in_mid_turn_the_same_session_goes_on(stage: OpenCodeStage) -> None:
    agent = stage.start()
    session = agent.wait_for(SessionStarted).session_id
    write = UseTools((CLI.write(stage.path("a.txt"), "a\n"),))
    first = f"First. {stage.endpoint.script('first', write, Stream(60))}"
    agent.prompt("k1", first)
    assert stage.endpoint.wait_for(lambda: len(stage.endpoint.of("first")) == 2)
    os.killpg(agent.process.pid, signal.SIGKILL)
    agent.kill()
    record = agent.driver.reconcile(stage.env, str(stage.repository))
    told = [event for event in record if isinstance(event, UsageReported)]
    assert total(told) == figures(stage.endpoint, stage.endpoint.of("first")[:1])
    assert agent.driver.reconcile(stage.env, str(stage.repository)) == []
    state = DriverState(json.loads(json.dumps(agent.driver.state.values)))
    resumed = stage.start(session=session, state=state)
    resumed.prompt("k1", first)
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("k1", repeated=True)
    resumed.prompt("k2", f"Go on. {stage.endpoint.script('second', Say('Finished.'))}")
    end = resumed.wait_for(TurnEnded)
    assert (end.message_id, end.text) == ("k2", "Finished.")
    assert [each.session_id for each in resumed.of(SessionStarted)] == [session]
    (seen,) = stage.endpoint.of("second")
    assert [text.count("rehearse:first") for text in seen.request.texts if "rehearse:" in text] == [1, 0]
    assert total(resumed.of(UsageReported)) == figures(stage.endpoint, [seen])
    resumed.kill()
    assert resumed.driver.reconcile(stage.env, str(stage.repository)) == []


def test_a_prompt_that_was_sent_but_not_seen_accepted_is_not_run_twice(stage: OpenCodeStage) -> None:
    agent = stage.start()
    session = agent.wait_for(SessionStarted).session_id
    forgotten = DriverState(json.loads(json.dumps(agent.driver.state.values)))
    marker = stage.endpoint.script("once", Say("Heard."))
    agent.prompt("once", marker)
    agent.wait_for(TurnEnded)
    agent.kill()
    resumed = stage.start(session=session, state=forgotten)
    resumed.prompt("once", marker)
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("once", repeated=True)
    resumed.prompt("new", stage.endpoint.script("new", Say("New.")))
    assert resumed.wait_for(TurnEnded).message_id == "new"
    assert (len(stage.endpoint.of("once")), stage.endpoint.deliveries("once")) == (1, 1)


def test_a_lost_session_is_told_and_the_process_ends(stage: OpenCodeStage) -> None:
    agent = stage.start(session="ses_0000000000000NoSuchSession")
    assert agent.wait_for(SessionLost) == SessionLost("ses_0000000000000NoSuchSession")
    assert agent.process.wait(20) != 0


def test_a_model_without_a_login_fails_the_turn(stage: OpenCodeStage) -> None:
    stage.configure(model="anthropic/claude-sonnet-4-5", enabled_providers=["anthropic"])
    del stage.env["OPENCODE_MODELS_PATH"]  # its own catalogue knows the model
    agent = stage.start()
    turn = Turn(stage, agent, "Hello")
    assert (turn.end().outcome, turn.end().failure) == (TurnOutcome.FAILED, FailureKind.LOGIN)
    assert "anthropic/claude-sonnet-4-5" in turn.of(LoginRefused)[0].message


def test_a_missing_binary_is_told(stage: OpenCodeStage) -> None:
    request = LaunchRequest("a", "no-such-opencode", (), str(stage.repository), stage.env, str(stage.private))
    with PipedAgent(OpenCodeDriver(), request) as agent:
        assert agent.process.wait(20) == 127
        assert "no-such-opencode" in agent.wait_for(Unparsed).excerpt
