"""The driver against the real Codex CLI: interrupts, limits, logins, errors of the model's endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clis.codex_stage import CODEX, CodexStage, escalated, shell
from clis.conftest import Ground
from clis.figures import figures, reported, total

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Drop, Hang, Refuse, Reply, Say, Stall, Stream, UseTools
from at_session.vocabulary import (
    AskClosed,
    AskOpened,
    Decision,
    FailureKind,
    Limited,
    LoginRefused,
    Retrying,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
)

RESET = 1_900_000_000


@pytest.fixture
def start(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[CodexStage]:
    """Start Codex on the test's ground."""
    with CodexStage(endpoint, ground, commands) as stage:
        yield stage


@pytest.mark.parametrize(
    "reply",
    [Stream(30), Hang(), Hang(headers=False), Stall("Half"), shell("sleep 30")],
    ids=["streaming", "silent", "no-headers", "stalled", "command"],
)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_works(
    start: CodexStage, endpoint: Endpoint, reply: Reply
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("long", reply))
    agent.wait_for(TurnStarted)
    assert endpoint.wait_for(lambda: bool(endpoint.of("long")))
    if isinstance(reply, UseTools):
        agent.wait_for(ToolStarted)
    agent.interrupt("i1")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.message_id) == (TurnOutcome.INTERRUPTED, "m1")
    agent.prompt("m2", endpoint.script("next", Say("Here.")))
    assert agent.wait_for(TurnEnded, count=2).text == "Here."
    sent = [exchange for exchange in endpoint.exchanges() if isinstance(exchange.reply, Say | UseTools)]
    assert total(agent.of(UsageReported)) == figures(endpoint, sent)


def test_an_interrupt_withdraws_the_open_ask(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("ask", escalated("make something")))
    ask = agent.wait_for(AskOpened)
    agent.interrupt("i1")
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.INTERRUPTED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id, withdrawn=True)]
    assert agent.driver.decide(ask.request_id, Decision(approve=True)) == []


def test_a_short_rate_limit_is_retried_by_the_cli(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("busy", CODEX.slow_down(), Say("At last.")))
    assert agent.wait_for(TurnEnded).text == "At last."
    assert [(each.kind, each.attempt) for each in agent.of(Retrying)] == [(FailureKind.LIMIT, 1)]
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("busy"))
    assert agent.of(Limited) == []


def test_a_usage_limit_tells_its_reset_time_each_time(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2):
        agent.prompt(f"m{number}", endpoint.script(f"quota{number}", CODEX.quota(RESET)))
        end = agent.wait_for(TurnEnded, count=number)
        assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LIMIT)
    assert [each.reset_at for each in agent.of(Limited)] == ["2030-03-17T17:46:40Z"] * 2


def test_a_limit_without_windows_has_no_reset_time(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt(
        "m1", endpoint.script("quota", Refuse(429, "insufficient_quota", "You exceeded your quota."))
    )
    assert agent.wait_for(TurnEnded).failure is FailureKind.LIMIT
    assert [each.reset_at for each in agent.of(Limited)] == [None]


def test_a_refused_login_is_told_once_with_the_way_to_log_in(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("login", CODEX.login_refused()))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LOGIN)
    (refused,) = agent.of(LoginRefused)
    assert "codex login" in refused.how
    assert "401" in refused.message


def test_no_login_at_all_is_told(start: CodexStage) -> None:
    agent = start(OPENAI_API_KEY="")
    agent.prompt("m1", "Hello")
    assert agent.wait_for(TurnEnded).failure is FailureKind.LOGIN
    assert [each.message for each in agent.of(LoginRefused)] == [
        "Missing environment variable: `OPENAI_API_KEY`."
    ]


@pytest.mark.parametrize(
    "reply, kind",
    [
        pytest.param(CODEX.too_long(), FailureKind.CONTEXT, id="context"),
        pytest.param(
            Refuse(400, "invalid_request_error", "no such thing"), FailureKind.API, id="bad-request"
        ),
        pytest.param(CODEX.broken(), FailureKind.API, id="server-error"),
        pytest.param(
            Refuse(503, "server_is_overloaded", "Overloaded"), FailureKind.OVERLOADED, id="overloaded"
        ),
        pytest.param(Cut("Half a sen"), FailureKind.CONNECTION, id="cut"),
        pytest.param(Cut("Half a sen", after_block=True), FailureKind.CONNECTION, id="cut-after-the-text"),
        pytest.param(Drop(), FailureKind.CONNECTION, id="dropped"),
    ],
)
def test_an_api_error_fails_the_turn_with_its_kind(
    start: CodexStage, endpoint: Endpoint, reply: Reply, kind: FailureKind
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("error", reply))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert end.error


@pytest.mark.parametrize("reply", [Cut("Half a sen"), Drop()], ids=["cut", "dropped"])
def test_a_connection_that_is_lost_once_is_asked_for_again_by_the_cli(
    start: CodexStage, endpoint: Endpoint, reply: Reply
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("cut", reply, Say("A whole sentence.")))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "A whole sentence.")
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("cut")[-1:])


def test_usage_stays_exact_over_a_conversation_that_became_too_long(
    start: CodexStage, endpoint: Endpoint
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("one", Say("One.")))
    agent.wait_for(TurnEnded)
    agent.prompt("m2", endpoint.script("long", CODEX.too_long()))
    assert agent.wait_for(TurnEnded, count=2).failure is FailureKind.CONTEXT
    agent.prompt("m3", endpoint.script("three", Say("Three.")))
    assert agent.wait_for(TurnEnded, count=3).text == "Three."
    told = [reported(each) for each in agent.of(UsageReported)]
    everything = [*endpoint.exchanges(), *endpoint.exchanges(auxiliary=True)]
    assert tuple(sum(each) for each in zip(*told, strict=True)) == figures(endpoint, everything)


def test_a_prompt_that_the_cli_refuses_fails_with_its_words(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", "x" * 1_200_000)
    agent.prompt("m2", endpoint.script("next", Say("Here.")))
    first = agent.wait_for(TurnEnded)
    assert (first.outcome, first.message_id) == (TurnOutcome.FAILED, "m1")
    assert "maximum length" in (first.error or "")
    assert agent.wait_for(TurnEnded, count=2).text == "Here."
