"""Sessions of the real Gemini CLI with its driver: prompts and their receipts, resume, death, login, exit."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clis.conftest import Ground
from clis.figures import counted, figures, total
from clis.gemini_stage import CLI, INSTRUCTIONS, GeminiStage, session_of, shell
from clis.pipes import PATIENCE_SECONDS, PipedAgent

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Drop, Hang, Held, Reply, Say, Stream, ToolUse, UseTools
from at_session.vocabulary import (
    Allow,
    AskOpened,
    FailureKind,
    LoginRefused,
    PromptAccepted,
    PromptForgotten,
    Retrying,
    SessionLost,
    SessionStarted,
    Text,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
)


@pytest.fixture
def stage(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[GeminiStage]:
    with ExitStack() as stack:
        yield GeminiStage(endpoint, ground, commands, stack)


PROMPTS = {
    "slash": "/help me with {}",
    "spaces-and-slash": "  /memory show {}",
    "dollar": "$about {}",
    "unknown-command": "/nonsense {}",
    "bang": "!ls {}",
    "hash": "# remember {}",
    "at": "@README.md and @/etc/hostname {}",
    "emoji-and-right-to-left": "\N{ROCKET} emoji \u05e9\u05dc\u05d5\u05dd \u202e {}",
    "control": "tab\t\x1b[31m \x07 {}\r\nend",
    "lines": "one\n\ntwo\n {}\n\n",
    "200-kB": "long " + "\u00e9" * 100_000 + " {}",
}


def test_prompts_reach_the_model_byte_for_byte(stage: GeminiStage) -> None:
    agent = stage.start()
    for name, text in PROMPTS.items():
        prompt = text.format(stage.endpoint.script(name, Say("Read.")))
        assert stage.turn(agent, name, prompt).text == "Read."
        assert stage.endpoint.of(name)[0].request.texts[-1] == prompt


def test_prompts_wait_for_the_turn_before_and_each_gets_its_own(stage: GeminiStage) -> None:
    agent = stage.start()
    for number in (1, 2, 3):
        agent.prompt(f"m{number}", stage.endpoint.script(f"say{number}", Say(f"answer {number}")))
    agent.prompt("m2", "the same again")
    agent.wait_for(TurnEnded, count=3)
    assert [(each.message_id, each.text) for each in agent.of(TurnEnded)] == [
        (f"m{number}", f"answer {number}") for number in (1, 2, 3)
    ]
    assert [stage.endpoint.deliveries(f"say{number}") for number in (1, 2, 3)] == [1, 1, 1]
    asked = figures(stage.endpoint, stage.endpoint.exchanges())
    assert counted(stage.usage(agent)) == asked


def test_a_session_goes_on_in_a_new_process_within_the_same_minute(stage: GeminiStage) -> None:
    first = stage.start()
    stage.turn(first, "m1", stage.endpoint.script("first", Say("One.")))
    stage.usage(first)
    session = session_of(first)
    assert first.close() == 0
    second = stage.start(resume=session, state=first.driver.state)
    inner = ToolUse(
        "invoke_agent",
        {"agent_name": "codebase_investigator", "prompt": stage.endpoint.script("inner", Say("Seen."))},
    )
    end = stage.turn(second, "m2", stage.endpoint.script("second", UseTools((inner,)), Say("Two.")))
    assert end.text == "Two."
    assert [each.text for each in second.of(Text)] == ["Two."]
    assert second.of(SessionStarted)[0].session_id == session
    seen = stage.endpoint.of("second")[-1].request.texts
    assert [text.count("rehearse:") for text in seen if "rehearse:" in text] == [1, 1]
    assert sum(INSTRUCTIONS in text for text in seen) == 1
    reports = [event for event in stage.record(second) if isinstance(event, UsageReported)]
    sent = figures(stage.endpoint, stage.endpoint.exchanges()[1:])
    assert total(reports) == sent
    second.close()
    third = stage.start(resume=session, state=second.driver.state)
    assert stage.turn(third, "m3", stage.endpoint.script("third", Say("Three."))).text == "Three."
    assert stage.endpoint.deliveries("first") == stage.endpoint.deliveries("second") == 1
    assert counted(stage.usage(third)) == figures(stage.endpoint, stage.endpoint.of("third"))


def test_a_session_that_was_killed_in_a_turn_goes_on(stage: GeminiStage) -> None:
    agent = stage.start()
    path = stage.path("kept.txt")
    writes = UseTools((CLI.write(path, "kept\n"),), "I write.")
    agent.prompt("m1", stage.endpoint.script("killed", writes, shell("make it")))
    agent.wait_for(AskOpened)
    agent.kill()
    (usage,) = [event.usage for event in stage.record(agent) if isinstance(event, UsageReported)]
    assert counted(usage) == figures(stage.endpoint, stage.endpoint.of("killed"))
    resumed = stage.start(resume=session_of(agent), state=agent.driver.state)
    resumed.prompt("m1", "handed over again")
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    assert stage.turn(resumed, "m2", stage.endpoint.script("on", Say("Going on."))).text == "Going on."
    assert (len(stage.endpoint.of("killed")), stage.endpoint.deliveries("killed")) == (2, 1)
    assert counted(stage.usage(resumed)) == figures(stage.endpoint, stage.endpoint.of("on"))


@pytest.mark.parametrize("reply", [Hang(headers=False), Held("never", Say("Late."))], ids=["hang", "held"])
def test_a_prompt_without_a_receipt_is_found_in_the_record_of_a_killed_process(
    stage: GeminiStage, reply: Reply
) -> None:
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("unanswered", reply))
    assert stage.endpoint.wait_for(lambda: bool(stage.endpoint.of("unanswered")))
    assert agent.of(PromptAccepted) == []
    agent.kill()
    assert stage.record(agent) == [PromptAccepted("m1"), TurnStarted("m1")]
    assert stage.record(agent) == []


def test_a_prompt_that_the_cli_never_took_is_given_to_the_next_process(stage: GeminiStage) -> None:
    agent = stage.start()
    marker = stage.endpoint.script("once", Say("Heard."))
    session = session_of(agent)
    agent.kill()
    agent.driver.prompt("m1", marker)
    assert stage.record(agent) == []
    again = stage.start(resume=session, state=agent.driver.state)
    assert session_of(again) != session
    assert stage.turn(again, "m1", marker).text == "Heard."
    assert again.of(SessionLost) == [SessionLost(session)]
    assert again.of(PromptAccepted) == [PromptAccepted("m1")]


def test_a_lost_session_is_told_and_followed_by_a_new_one(stage: GeminiStage) -> None:
    stage.turn(stage.start(), "m0", stage.endpoint.script("other", Say("Of another session.")))
    agent = stage.start(resume="3f0c1d2e-0000-4000-8000-000000000001")
    assert session_of(agent) != "3f0c1d2e-0000-4000-8000-000000000001"
    end = stage.turn(agent, "m1", stage.endpoint.script("hello", Say("Hello.")))
    assert end.text == "Hello."
    assert agent.of(SessionLost) == [SessionLost("3f0c1d2e-0000-4000-8000-000000000001")]
    assert INSTRUCTIONS in stage.endpoint.of("hello")[0].request.texts[0]


def test_no_login_at_all_is_told_and_the_next_prompt_tries_again(stage: GeminiStage) -> None:
    del stage.env["GEMINI_API_KEY"]
    agent = stage.start()
    for number in (1, 2):
        end = stage.turn(agent, f"m{number}", "Hello")
        assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LOGIN)
    assert [each.message for each in agent.of(LoginRefused)] == [
        "Gemini API key is missing or not configured."
    ] * 2


def test_with_a_key_in_the_environment_alone_a_session_is_resumed_too(stage: GeminiStage) -> None:
    (stage.ground.home / ".gemini" / "settings.json").write_text("{}")
    agent = stage.start()
    stage.turn(agent, "m1", stage.endpoint.script("say", Say("Yes.")))
    assert agent.close() == 0  # killed right after its turn it may not have its record on disk yet
    del stage.env["GOOGLE_GEMINI_BASE_URL"]
    resumed = stage.start(resume=session_of(agent), state=agent.driver.state)
    assert session_of(resumed) == session_of(agent)
    assert (resumed.of(LoginRefused), resumed.of(SessionLost)) == ([], [])


def test_a_prompt_of_which_only_a_retry_was_told_is_in_the_record_by_then(stage: GeminiStage) -> None:
    agent = stage.start()
    agent.prompt("m1", stage.endpoint.script("retried", Drop()))
    agent.wait_for(Retrying)
    assert agent.of(PromptAccepted) == [PromptAccepted("m1")]
    agent.kill()
    assert [event for event in stage.record(agent) if isinstance(event, PromptForgotten)] == []


def busy(stage: GeminiStage, agent: PipedAgent, reply: Reply) -> None:
    agent.prompt("m1", stage.endpoint.script("busy", reply))
    assert stage.endpoint.wait_for(lambda: bool(stage.endpoint.of("busy")))
    agent.wait_for(TurnStarted if not isinstance(reply, Hang) else SessionStarted)


@pytest.mark.parametrize("reply", [Stream(60), Hang(), shell("sleep 60")], ids=["stream", "silent", "tool"])
def test_a_sigterm_ends_it_in_the_middle_of_a_turn(stage: GeminiStage, reply: Reply) -> None:
    agent = stage.start(Allow.ALL)
    busy(stage, agent, reply)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(PATIENCE_SECONDS) == 0


def test_the_end_of_input_ends_it_between_turns(stage: GeminiStage) -> None:
    agent = stage.start()
    stage.turn(agent, "m1", stage.endpoint.script("say", Say("Yes.")))
    assert agent.close() == 0
