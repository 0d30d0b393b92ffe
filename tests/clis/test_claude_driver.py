"""The driver against the real Claude Code, on plain pipes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from clis.claude_stage import CLAUDE, ClaudeStage, bash
from clis.conftest import Ground
from clis.figures import figures, reported
from clis.pipes import PipedAgent

from at_session.drivers.claude_record import has_conversation
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Hang, Refuse, Reply, Say, Stream, ToolUse, UseTools
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
    SessionLost,
    SessionStarted,
    Text,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
)

Start = Callable[..., PipedAgent]

RESET = 1_900_000_000


@pytest.fixture
def start(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Start]:
    """Start Claude Code on the test's ground."""
    with ExitStack() as stack:
        yield ClaudeStage(endpoint, ground, commands, stack).start


def test_a_write_under_edits_lands_and_its_usage_is_exact(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    path = ground.repository / "hello.txt"
    write = UseTools((CLAUDE.write(str(path), "hi\n"),), text="I write it.")
    marker = endpoint.script("write", write, Say("Done."))
    session = str(uuid4())
    agent = start(session)
    agent.prompt("m1", f"Please write. {marker}")
    end = agent.wait_for(TurnEnded)
    assert path.read_text() == "hi\n"
    assert (end.outcome, end.message_id, end.text, end.denied) == (TurnOutcome.COMPLETED, "m1", "Done.", ())
    assert agent.of(SessionStarted) == [SessionStarted(session, "claude-opus-4-8[1m]", "2.1.197")]
    assert agent.of(PromptAccepted) == [PromptAccepted("m1")]
    assert agent.of(TurnStarted) == [TurnStarted("m1")]
    assert [each.text for each in agent.of(Text)] == ["I write it.", "Done."]
    assert [each.ok for each in agent.of(ToolEnded)] == [True]
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("write"))
    assert agent.close() == 0


def test_usage_and_cost_are_of_each_turn(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    for number in (1, 2, 3):
        agent.prompt(f"m{number}", endpoint.script(f"say{number}", Say(f"answer {number}")))
        agent.wait_for(TurnEnded, count=number)
    usages = agent.of(UsageReported)
    assert [reported(each) for each in usages] == [
        figures(endpoint, endpoint.of(f"say{n}")) for n in (1, 2, 3)
    ]
    costs = [each.usage.cost_usd or 0.0 for each in usages]
    assert 0 < costs[0] < costs[1] < costs[2] < 2 * costs[0]


def test_usage_has_the_tokens_of_inner_agents(start: Start, endpoint: Endpoint) -> None:
    task = {
        "description": "Look",
        "prompt": endpoint.script("inner", Say("Seen.")),
    }
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("outer", UseTools((ToolUse("Task", task),)), Say("Done.")))
    assert agent.wait_for(TurnEnded).text == "Done."
    assert (len(endpoint.of("outer")), len(endpoint.of("inner"))) == (2, 1)
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.exchanges())


def test_a_command_asks_with_its_exact_text_and_goes_on_when_approved(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    command = "git config --local demo.key 'two  words'; true"
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("ask", bash(command), Say("Configured.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what, ask.tool, ask.argv) == (AskKind.COMMAND, command, "Bash", None)
    agent.decide(ask.request_id, approve=True)
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.COMPLETED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id)]
    assert ground.git("config", "demo.key") == "two  words\n"


def test_a_denied_command_is_not_run_and_is_named(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("ask", bash("git config demo.key 1"), Say("I could not.")))
    ask = agent.wait_for(AskOpened)
    assert ask.argv == ("git", "config", "demo.key", "1")
    agent.decide(ask.request_id, approve=False, text="Not this one.")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.denied) == (TurnOutcome.COMPLETED, ("git config demo.key 1",))
    assert [(each.ok, each.output) for each in agent.of(ToolEnded)] == [(False, "Not this one.")]
    assert "demo" not in (ground.repository / ".git" / "config").read_text()


def test_in_ask_mode_an_edit_asks_with_its_change(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    path = ground.repository / "poem.txt"
    path.write_text("one\ntwo\n")
    steps = [UseTools(tools) for tools in CLAUDE.edit(str(path), "two", "2")]
    agent = start(str(uuid4()), Allow.ASK)
    agent.prompt("m1", endpoint.script("edit", *steps, Say("Edited.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.EDIT, f"{path}\n-two\n+2")
    agent.decide(ask.request_id, approve=True)
    agent.wait_for(TurnEnded)
    assert path.read_text() == "one\n2\n"


def test_with_all_allowed_nothing_asks(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    agent = start(str(uuid4()), Allow.ALL, IS_SANDBOX="1")
    agent.prompt("m1", endpoint.script("all", bash("git config demo.key 1"), Say("Done.")))
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.COMPLETED
    assert (agent.of(AskOpened), ground.git("config", "demo.key")) == ([], "1\n")


def test_a_question_is_answered(start: Start, endpoint: Endpoint) -> None:
    options = [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": ""}]
    question = {"question": "Which colour?", "header": "Colour", "multiSelect": False, "options": options}
    agent = start(str(uuid4()))
    asked = UseTools((ToolUse("AskUserQuestion", {"questions": [question]}),))
    agent.prompt("m1", endpoint.script("question", asked, Say("Blue it is.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.QUESTION, "Which colour?\n  1. Red (warm)\n  2. Blue")
    agent.decide(ask.request_id, approve=True, text="2")
    agent.wait_for(TurnEnded)
    assert '"Which colour?"="Blue"' in agent.of(ToolEnded)[0].output


@pytest.mark.parametrize("reply", [Stream(30), Hang()], ids=["streaming", "silent"])
def test_an_interrupt_ends_the_turn_and_the_next_prompt_works(
    start: Start, endpoint: Endpoint, reply: Reply
) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("long", reply))
    agent.wait_for(TurnStarted)
    assert endpoint.wait_for(lambda: bool(endpoint.of("long")))
    agent.interrupt("i1")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.message_id) == (TurnOutcome.INTERRUPTED, "m1")
    agent.prompt("m2", endpoint.script("next", Say("Here.")))
    assert agent.wait_for(TurnEnded, count=2).text == "Here."


def test_an_interrupt_withdraws_the_open_ask(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("ask", bash("make something")))
    ask = agent.wait_for(AskOpened)
    agent.interrupt("i1")
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.INTERRUPTED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id, withdrawn=True)]
    assert agent.driver.decide(ask.request_id, Decision(approve=True)) == []


def test_a_short_rate_limit_is_retried_by_the_cli(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("busy", CLAUDE.slow_down(), CLAUDE.slow_down(), Say("At last.")))
    assert agent.wait_for(TurnEnded).text == "At last."
    assert [(each.kind, each.attempt) for each in agent.of(Retrying)] == [
        (FailureKind.LIMIT, 1),
        (FailureKind.LIMIT, 2),
    ]
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("busy"))
    assert agent.of(Limited) == []


def test_a_subscriptions_limit_tells_its_reset_time_each_time(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()), **CLAUDE.subscribed())
    for number in (1, 2):
        agent.prompt(f"m{number}", endpoint.script(f"quota{number}", CLAUDE.quota(RESET)))
        end = agent.wait_for(TurnEnded, count=number)
        assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LIMIT)
    assert [each.reset_at for each in agent.of(Limited)] == ["2030-03-17T17:46:40Z"] * 2


def test_a_limit_of_an_api_key_has_no_reset_time(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("quota", CLAUDE.quota(RESET)))
    assert agent.wait_for(TurnEnded).failure is FailureKind.LIMIT
    assert [each.reset_at for each in agent.of(Limited)] == [None]


def test_a_refused_login_is_told_at_the_first_refusal(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("login", CLAUDE.login_refused()))
    refused = agent.wait_for(LoginRefused)
    assert "/login" in refused.how
    agent.interrupt("i1")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LOGIN)


def test_no_login_at_all_is_told(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()), ANTHROPIC_API_KEY="")
    agent.prompt("m1", "Hello")
    assert agent.wait_for(TurnEnded).failure is FailureKind.LOGIN
    assert [each.message for each in agent.of(LoginRefused)] == ["Not logged in · Please run /login"]


@pytest.mark.parametrize(
    "reply, kind",
    [
        pytest.param(
            Refuse(400, "invalid_request_error", "prompt is too long: 3 > 2"),
            FailureKind.CONTEXT,
            id="context",
        ),
        pytest.param(
            Refuse(400, "invalid_request_error", "no such thing"), FailureKind.API, id="bad-request"
        ),
        pytest.param(CLAUDE.broken(), FailureKind.API, id="server-error"),
        pytest.param(Refuse(529, "overloaded_error", "Overloaded"), FailureKind.OVERLOADED, id="overloaded"),
        pytest.param(Cut("Half a sen", after_block=True), FailureKind.CONNECTION, id="cut"),
    ],
)
def test_an_api_error_fails_the_turn_with_its_kind(
    start: Start, endpoint: Endpoint, reply: Reply, kind: FailureKind
) -> None:
    agent = start(str(uuid4()), CLAUDE_CODE_MAX_RETRIES="1")
    agent.prompt("m1", endpoint.script("error", reply))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert end.error


def test_a_stream_that_is_cut_early_is_asked_for_again_by_the_cli(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("cut", Cut("Half a sen"), Say("A whole sentence.")))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "A whole sentence.")
    assert [exchange.request.streams for exchange in endpoint.of("cut")] == [True, False]
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("cut")[1:])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("/help me with {}", id="slash"),
        pytest.param("  /compact {}", id="spaces-and-slash"),
        pytest.param("/nonsense {}", id="unknown-command"),
        pytest.param("!ls {}", id="bang"),
        pytest.param("# remember {}", id="hash"),
        pytest.param("\N{ROCKET} emoji \u05e9\u05dc\u05d5\u05dd \u202e {}", id="emoji-and-right-to-left"),
        pytest.param("tab\t\x1b[31m \x07 {}\r\nend", id="control"),
        pytest.param("long " + "\u00e9" * 100_000 + " {}", id="200-kB"),
    ],
)
def test_a_prompt_reaches_the_model_byte_for_byte(start: Start, endpoint: Endpoint, text: str) -> None:
    prompt = text.format(endpoint.script("exact", Say("Read.")))
    agent = start(str(uuid4()))
    agent.prompt("m1", prompt)
    assert agent.wait_for(TurnEnded).text == "Read."
    assert endpoint.of("exact")[0].request.texts[-1] == prompt


def test_a_prompt_handed_over_twice_is_delivered_once(start: Start, endpoint: Endpoint) -> None:
    marker = endpoint.script("once", Say("Heard."))
    session = str(uuid4())
    agent = start(session)
    for _ in range(2):
        agent.prompt("m1", marker)
    agent.wait_for(TurnEnded)
    agent.close()
    again = start(session)
    again.prompt("m1", marker)
    assert again.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    again.prompt("m2", endpoint.script("after", Say("After.")))
    again.wait_for(TurnEnded)
    assert (len(endpoint.of("once")), endpoint.deliveries("once")) == (1, 1)


def test_a_prompt_during_a_tool_joins_the_turn(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("slow", bash("make first"), Say("Both done.")))
    ask = agent.wait_for(AskOpened)
    agent.prompt("m2", "And this as well.")
    agent.decide(ask.request_id, approve=True)
    end = agent.wait_for(TurnEnded)
    assert (end.message_id, end.joined, end.text) == ("m1", ("m2",), "Both done.")
    assert PromptAccepted("m2") in agent.of(PromptAccepted)


def test_prompts_that_wait_get_a_turn_each(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    for number in (1, 2, 3, 4):
        agent.prompt(f"m{number}", endpoint.script(f"turn{number}", Stream(0.5), Say("Never.")))
    ends = [agent.wait_for(TurnEnded, count=number).message_id for number in (1, 2, 3, 4)]
    assert ends == ["m1", "m2", "m3", "m4"]
    assert [len(endpoint.of(f"turn{number}")) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_after_a_kill_in_mid_turn_the_same_session_goes_on(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    write = UseTools((CLAUDE.write(str(ground.repository / "a.txt"), "a\n"),))
    session = str(uuid4())
    agent = start(session)
    agent.prompt("m1", f"First. {endpoint.script('first', write, Stream(30))}")
    assert endpoint.wait_for(lambda: len(endpoint.of("first")) == 2)
    # The CLI writes its transcript a moment after what it is about; killed before that it has no conversation.
    while has_conversation({"HOME": str(ground.home)}, session) is None:
        threading.Event().wait(0.05)
    os.killpg(agent.process.pid, signal.SIGKILL)
    agent.process.wait()
    resumed = start(session)
    resumed.prompt("m1", f"First. {endpoint.script('never', Say('No.'))}")
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    resumed.prompt("m2", f"Go on. {endpoint.script('second', Say('Finished.'))}")
    end = resumed.wait_for(TurnEnded)
    assert (end.message_id, end.text) == ("m2", "Finished.")
    assert resumed.of(SessionStarted)[0].session_id == session
    seen = endpoint.of("second")[0]
    assert [text.count("rehearse:first") for text in seen.request.texts if "rehearse:" in text] == [1, 0]
    assert reported(resumed.of(UsageReported)[0]) == figures(endpoint, [seen])
    assert resumed.of(UsageReported)[0].usage.cost_usd


def test_a_session_killed_before_its_first_prompt_begins_anew(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    session = str(uuid4())
    start(session).kill()
    assert has_conversation({"HOME": str(ground.home)}, session) is None
    agent = start(session)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    assert agent.wait_for(TurnEnded).text == "Hello."
    assert agent.of(SessionStarted)[0].session_id == session


def test_a_session_without_a_prompt_in_its_record_gets_another_id(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    session = str(uuid4())
    projects = ground.home / ".claude" / "projects" / str(ground.repository).replace("/", "-")
    projects.mkdir(parents=True)
    (projects / f"{session}.jsonl").write_text(f'{{"type":"queue-operation","sessionId":"{session}"}}\n')
    agent = start(session)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    agent.wait_for(TurnEnded)
    assert agent.of(SessionStarted)[0].session_id != session


def test_a_lost_session_is_told(start: Start, ground: Ground) -> None:
    session = str(uuid4())
    projects = ground.home / ".claude" / "projects" / "elsewhere"
    projects.mkdir(parents=True)
    (projects / f"{session}.jsonl").write_text('{"type":"user"}\n')
    agent = start(session)
    assert agent.wait_for(SessionLost) == SessionLost(session)
    assert agent.process.wait(10) == 1


def test_a_long_answer_is_not_silent(start: Start, endpoint: Endpoint) -> None:
    agent = start(str(uuid4()))
    agent.prompt("m1", endpoint.script("stream", Stream(2, per_second=10)))
    assert agent.wait_for(TurnEnded).text == "".join(f"line {number}\n" for number in range(1, 21))
    assert agent.output().count(b"text_delta") == 20
