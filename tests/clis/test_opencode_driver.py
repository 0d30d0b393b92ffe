"""Turns of the real OpenCode with its driver, on plain pipes. It starts slowly, so all share one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from clis.figures import figures, total
from clis.opencode_stage import (
    CLI,
    INSTRUCTIONS,
    VERSION,
    OpenCodeStage,
    Turn,
    bash,
    cost,
    made_stage,
)
from clis.pipes import PipedAgent

from at_session.rehearsal.replies import Cut, Drop, Hang, Refuse, Reply, Say, Stall, Stream, ToolUse, UseTools
from at_session.vocabulary import (
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
    UsageReported,
)


@pytest.fixture(scope="module")
def shared(commands: Path) -> Iterator[tuple[OpenCodeStage, PipedAgent]]:
    """A stage with an agent under `edits`, for cases that leave nothing behind but a conversation."""
    with ExitStack() as stack:
        stage = made_stage(commands, stack)
        yield stage, stage.start()


def test_a_write_lands_and_its_usage_and_cost_are_exact(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    tools = UseTools(
        (CLI.write(stage.path("a.txt"), "a\n"), CLI.write(stage.path("b.txt"), "b\n")), "I write."
    )
    turn = Turn(stage, agent, f"Please write. {stage.endpoint.script('write', tools, Say('Done.'))}")
    end = turn.end()
    assert [(stage.repository / name).read_text() for name in ("a.txt", "b.txt")] == ["a\n", "b\n"]
    assert (end.outcome, end.text, end.denied) == (TurnOutcome.COMPLETED, "Done.", ())
    assert [each.version for each in agent.of(SessionStarted)] == [VERSION]
    assert (turn.of(PromptAccepted), turn.of(TurnStarted)) == (
        [PromptAccepted(turn.message)],
        [TurnStarted(turn.message)],
    )
    assert [each.text for each in turn.of(Text)] == ["I write.", "Done."]
    assert [each.what for each in turn.of(ToolStarted)] == [stage.path("a.txt"), stage.path("b.txt")]
    assert [each.ok for each in turn.of(ToolEnded)] == [True, True]
    sent = figures(stage.endpoint, stage.endpoint.of("write"))
    (usage,) = turn.of(UsageReported)
    assert (total([usage]), usage.usage.requests) == (sent, 2)
    assert usage.usage.cost_usd == pytest.approx(cost(sent))


def test_instructions_reach_the_model_apart_from_the_prompt(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    marker = stage.endpoint.script("instructed", Say("Yes."))
    Turn(stage, agent, marker).end()
    body = stage.endpoint.of("instructed")[0].body
    system = [each["content"] for each in body["messages"] if each["role"] == "system"]
    assert INSTRUCTIONS in system[0] and "The person's own words." in system[0]
    assert stage.endpoint.of("instructed")[0].request.texts[-1] == marker


def test_the_cli_makes_no_request_for_a_title(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    Turn(stage, agent, stage.endpoint.script("titled", Say("Yes."))).end()
    summaries = [each for each in stage.endpoint.exchanges(auxiliary=True) if "title" in str(each.body)]
    assert summaries == []


def test_an_existing_file_is_edited(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    (stage.repository / "poem.txt").write_text("one\ntwo\n")
    steps = [UseTools(tools) for tools in CLI.edit(stage.path("poem.txt"), "two", "2")]
    assert Turn(stage, agent, stage.endpoint.script("edit", *steps, Say("Edited."))).end().text == "Edited."
    assert (stage.repository / "poem.txt").read_text() == "one\n2\n"


def test_a_command_asks_with_its_exact_text_and_goes_on_when_approved(
    shared: tuple[OpenCodeStage, PipedAgent],
) -> None:
    stage, agent = shared
    command = "git config --local demo.key 'two  words'; true"
    turn = Turn(stage, agent, stage.endpoint.script("ask", bash(command), Say("Configured.")))
    ask = turn.wait_for(AskOpened)
    assert (ask.kind, ask.what, ask.tool, ask.argv) == (AskKind.COMMAND, command, "bash", None)
    agent.decide(ask.request_id, approve=True)
    assert turn.end().outcome is TurnOutcome.COMPLETED
    assert turn.of(AskClosed) == [AskClosed(ask.request_id)]
    assert "two  words" in (stage.repository / ".git" / "config").read_text()


def test_a_denied_command_is_not_run_and_the_turn_goes_on(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    turn = Turn(
        stage, agent, stage.endpoint.script("deny", bash("git config no.such 1"), Say("I could not."))
    )
    ask = turn.wait_for(AskOpened)
    assert ask.argv == ("git", "config", "no.such", "1")
    agent.decide(ask.request_id, approve=False, text="Not this one.")
    end = turn.end()
    assert (end.outcome, end.text, end.denied) == (
        TurnOutcome.COMPLETED,
        "I could not.",
        ("git config no.such 1",),
    )
    (ended,) = turn.of(ToolEnded)
    assert not ended.ok and "Not this one." in ended.output
    assert "no.such" not in (stage.repository / ".git" / "config").read_text()


@pytest.mark.parametrize("approve, text, answer", [(True, "2", "Blue"), (False, "Ask later.", "Ask later.")])
def test_a_question_is_answered(
    shared: tuple[OpenCodeStage, PipedAgent], approve: bool, text: str, answer: str
) -> None:
    stage, agent = shared
    tool = CLI.question("Which colour?", ("Red", "Blue"))
    assert tool is not None
    turn = Turn(stage, agent, stage.endpoint.script(f"question{approve}", UseTools((tool,)), Say("Good.")))
    ask = turn.wait_for(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.QUESTION, "Which colour?\n  1. Red\n  2. Blue")
    agent.decide(ask.request_id, approve=approve, text=text)
    end = turn.end()
    assert (end.text, end.denied) == ("Good.", () if approve else (ask.what,))
    assert f'"Which colour?"="{answer}"' in turn.of(ToolEnded)[0].output


@pytest.mark.parametrize(
    "name, reply",
    [("streaming", Stream(60)), ("silent", Hang()), ("mute", Hang(headers=False)), ("stalled", Stall("So"))],
)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_works(
    shared: tuple[OpenCodeStage, PipedAgent], name: str, reply: Reply
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script(name, reply))
    turn.wait_for(TurnStarted)
    assert stage.endpoint.wait_for(lambda: bool(stage.endpoint.of(name)))
    agent.interrupt(f"interrupt-{name}")
    assert turn.end().outcome is TurnOutcome.INTERRUPTED
    after = Turn(stage, agent, stage.endpoint.script(f"after-{name}", Say("Here.")))
    assert (after.end().outcome, after.end().text) == (TurnOutcome.COMPLETED, "Here.")


def test_an_interrupt_withdraws_the_open_ask(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script("withdrawn", bash("make something")))
    ask = turn.wait_for(AskOpened)
    agent.interrupt("interrupt-ask")
    assert turn.end().outcome is TurnOutcome.INTERRUPTED
    assert turn.of(AskClosed) == [AskClosed(ask.request_id, withdrawn=True)]
    assert agent.driver.decide(ask.request_id, Decision(approve=True)) == []


@pytest.mark.parametrize(
    "name, refusal, kind",
    [("slow", CLI.slow_down(), FailureKind.LIMIT), ("drop", Drop(), FailureKind.CONNECTION)],
)
def test_what_passes_is_tried_again_by_the_cli(
    shared: tuple[OpenCodeStage, PipedAgent], name: str, refusal: Reply, kind: FailureKind
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script(name, refusal, Say("At last.")))
    assert turn.end().text == "At last."
    (retry,) = turn.of(Retrying)
    assert (retry.kind, retry.attempt) == (kind, 1)
    assert retry.delay_seconds is not None and 0.5 < retry.delay_seconds < 5
    assert total(turn.of(UsageReported)) == figures(stage.endpoint, stage.endpoint.of(name))


def test_a_server_error_is_tried_again_until_it_is_interrupted(
    shared: tuple[OpenCodeStage, PipedAgent],
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script("broken", CLI.broken()))
    retry = turn.wait_for(Retrying)
    assert (retry.kind, retry.attempt) == (FailureKind.API, 1)
    agent.interrupt("interrupt-broken")
    assert turn.end().outcome is TurnOutcome.INTERRUPTED


@pytest.mark.parametrize(
    "name, refusal, told",
    [
        ("quota", CLI.quota(0), False),
        ("hour", Refuse(429, "requests:rate_limit_exceeded", "Slow down.", retry_after=3600), True),
    ],
)
def test_a_usage_limit_ends_the_turn_with_the_time_that_the_cli_gives(
    shared: tuple[OpenCodeStage, PipedAgent], name: str, refusal: Refuse, told: bool
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script(name, refusal))
    end = turn.end()
    assert (end.outcome, end.failure, end.error) == (TurnOutcome.FAILED, FailureKind.LIMIT, refusal.message)
    (limited,) = turn.of(Limited)
    assert (limited.message, limited.reset_at is not None) == (refusal.message, told)
    assert len(stage.endpoint.of(name)) == 1


@pytest.mark.parametrize(
    "name, refusal, kind",
    [
        ("login", CLI.login_refused(), FailureKind.LOGIN),
        ("bad", Refuse(400, "invalid_request_error:bad", "No such thing."), FailureKind.API),
    ],
)
def test_a_final_error_fails_the_turn(
    shared: tuple[OpenCodeStage, PipedAgent], name: str, refusal: Refuse, kind: FailureKind
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script(name, refusal))
    end = turn.end()
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert refusal.message in (end.error or "") and str(refusal.status) in (end.error or "")
    assert ["opencode auth login" in each.how for each in turn.of(LoginRefused)] == [True] * (name == "login")
    assert len(stage.endpoint.of(name)) == 1


def test_a_conversation_that_is_too_long_is_summarised_and_counted(
    shared: tuple[OpenCodeStage, PipedAgent],
) -> None:
    stage, agent = shared
    before = len(stage.endpoint.exchanges(auxiliary=True))
    turn = Turn(stage, agent, stage.endpoint.script("context", CLI.too_long(), Say("Shorter.")))
    end = turn.end()
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "Shorter.")
    summary = stage.endpoint.exchanges(auxiliary=True)[before:]
    assert len(summary) == 1
    assert total(turn.of(UsageReported)) == figures(stage.endpoint, [*summary, *stage.endpoint.of("context")])


def test_a_stream_that_is_cut_is_asked_for_again(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script("cut", Cut("Half a sen"), Say("A whole sentence.")))
    assert (turn.end().outcome, turn.end().text) == (TurnOutcome.COMPLETED, "A whole sentence.")
    assert total(turn.of(UsageReported)) == figures(stage.endpoint, stage.endpoint.of("cut")[1:])


def test_an_answer_that_is_cut_after_its_end_is_whole_but_has_no_figures(
    shared: tuple[OpenCodeStage, PipedAgent],
) -> None:
    stage, agent = shared
    turn = Turn(stage, agent, stage.endpoint.script("cut-late", Cut("All of it.", after_block=True)))
    assert (turn.end().outcome, turn.end().text) == (TurnOutcome.COMPLETED, "All of it.")
    assert turn.of(UsageReported) == []


@pytest.mark.parametrize(
    "name, text",
    [
        ("slash", "/help me with {}"),
        ("known-command", " \t/init {}"),
        ("bang", "!ls {}"),
        ("hash", "# remember {}"),
        ("at", "@AGENTS.md @general {}"),
        ("emoji-and-right-to-left", "\N{ROCKET} emoji \u05e9\u05dc\u05d5\u05dd \u202e {}"),
        ("control", "tab\t\x1b[31m \x07 {}\r\nend"),
        ("lines", "\n\none\n\ntwo {}\n\n"),
        ("200-kB", "long " + "\u00e9" * 100_000 + " {}"),
    ],
)
def test_a_prompt_reaches_the_model_byte_for_byte(
    shared: tuple[OpenCodeStage, PipedAgent], name: str, text: str
) -> None:
    stage, agent = shared
    prompt = text.replace("{}", stage.endpoint.script(name, Say("Read.")))
    assert Turn(stage, agent, prompt).end().text == "Read."
    assert stage.endpoint.of(name)[0].request.texts[-1] == prompt


def test_prompts_that_wait_get_a_turn_each(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    names = ("first", "second", "third")
    turns = [
        Turn(stage, agent, stage.endpoint.script(f"wait-{name}", Stream(0.4), Say("No."))) for name in names
    ]
    assert [turn.end().outcome for turn in turns] == [TurnOutcome.COMPLETED] * 3
    ends = [event.message_id for event in turns[0].of(TurnEnded)]
    assert ends == [turn.message for turn in turns]
    assert [len(stage.endpoint.of(f"wait-{name}")) for name in names] == [1, 1, 1]


def test_a_long_answer_is_not_silent(shared: tuple[OpenCodeStage, PipedAgent]) -> None:
    stage, agent = shared
    before = agent.output().count(b"message.part.delta")
    turn = Turn(stage, agent, stage.endpoint.script("long", Stream(1, per_second=20)))
    assert turn.end().text == "".join(f"line {number}\n" for number in range(1, 21))
    assert agent.output().count(b"message.part.delta") - before >= 20


def test_usage_has_the_tokens_of_inner_agents_and_their_commands_ask(
    shared: tuple[OpenCodeStage, PipedAgent],
) -> None:
    stage, agent = shared
    inner = stage.endpoint.script("inner", bash("git config inner.key 1"), Say("Seen."))
    task = ToolUse("task", {"description": "Look", "prompt": inner, "subagent_type": "general"})
    turn = Turn(stage, agent, stage.endpoint.script("outer", UseTools((task,)), Say("Done.")))
    ask = turn.wait_for(AskOpened)
    assert ask.what == "git config inner.key 1"
    agent.decide(ask.request_id, approve=True)
    assert turn.end().text == "Done."
    spent = [*stage.endpoint.of("outer"), *stage.endpoint.of("inner")]
    assert (len(spent), total(turn.of(UsageReported))) == (4, figures(stage.endpoint, spent))
