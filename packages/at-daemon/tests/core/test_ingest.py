"""What is heard of one bead is believed of that bead only, and words of a CLI never stop the daemon."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from at_agents.decisions import derived_id
from at_core.types import BeadStatus, MessageKind, SessionRecord
from at_core.vocabulary import AgentFact
from at_daemon.ingest import Intake
from at_daemon.ledger import Change
from at_daemon.testing import Desk
from at_session.vocabulary import (
    DriverEvent,
    FailureKind,
    Limited,
    Retrying,
    Text,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Usage,
    UsageReported,
)


def hear(desk: Desk, session: SessionRecord, *events: DriverEvent) -> None:
    def take(change: Any) -> None:
        agent = change.tx.agent(session.agent_id)
        bead = change.tx.bead(session.bead_id) if session.bead_id else None
        Intake(change, session, agent, bead).take(events)

    desk.do(take)


def test_a_session_whose_bead_is_gone_answers_nobody_elses_message(desk: Desk) -> None:
    first, second = desk.agent("wren"), desk.agent("teal")
    gone, other = desk.bead(first), desk.bead(second)
    session = desk.start(first, gone)
    identity = derived_id(other.id, "prompt")
    desk.do(lambda change: change.say(other, identity, MessageKind.PROMPT, "do it"))
    desk.do(lambda change: change.tx.mark_message(identity, sent_at=change.now))
    desk.do(lambda change: change.tx.remove_bead(gone.id))
    hear(desk, session, TurnEnded(TurnOutcome.COMPLETED))
    message = desk.do(lambda change: change.tx.message(identity))
    assert message is not None
    assert message.answered_at is None


@pytest.mark.parametrize(
    ("reset_at", "seconds"),
    [("2026-11-01T01:00:00Z", 3600), ("2026-10-31T00:00:00Z", 1), ("soon", 900), (None, 900)],
)
def test_a_limit_is_tried_again_after_its_reset_but_never_at_once(
    desk: Desk, reset_at: str | None, seconds: int
) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    ended = TurnEnded(TurnOutcome.FAILED, failure=FailureKind.LIMIT, error="limit")
    hear(desk, desk.start(agent, bead), Limited("limit", reset_at), ended)
    assert (desk.wakes[-1] - desk.clock.now()).total_seconds() == seconds


def test_a_limit_is_over_when_a_turn_is_complete(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, Limited("limit", "2026-11-02T00:00:00Z"), TurnEnded(TurnOutcome.COMPLETED))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT)) is None
    after = desk.do(lambda change: change.tx.bead(bead.id))
    assert after is not None
    assert after.status is BeadStatus.REVIEW


def test_calls_are_retried_since_the_first_error_in_a_row_and_until_something_is_heard(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    for awake in (10.0, 20.0):
        desk.do(partial(Change.put, subject=agent.id, name=AgentFact.SIGN_OF_LIFE, value={"awake": awake}))
        hear(desk, session, Retrying(FailureKind.API, 1, 2.0, "server_error (500)"))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.RETRYING))["awake"] == 10.0
    hear(desk, session, Text("here it is"))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.RETRYING)) is None


FIGURES = [UsageReported(Usage(10, 0, 5, model=model), "the stream") for model in ("large", "small")]
DONE = TurnEnded(TurnOutcome.COMPLETED)


@pytest.mark.parametrize(
    ("heard", "turns"),
    [
        ([TurnStarted(), *FIGURES, DONE], [1, 1]),
        ([TurnStarted(), DONE, *FIGURES], [1, 1]),
        ([TurnStarted(), FIGURES[0], DONE, FIGURES[1], TurnStarted(), FIGURES[0], DONE], [1, 1, 2]),
        ([FIGURES[0], TurnStarted(), FIGURES[1]], [0, 1]),
    ],
)
def test_figures_belong_to_their_turn_whenever_they_come(
    desk: Desk, heard: list[DriverEvent], turns: list[int]
) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, *heard)
    figures = desk.do(lambda change: change.tx.usage())
    assert [(each.cli, each.session, each.turn) for each in figures] == [
        ("demo", session.id, turn) for turn in turns
    ]
    totals = desk.do(lambda change: change.tx.usage_totals(bead.id))
    assert totals.turns == max(turns)


def test_figures_of_a_session_that_was_forgotten_meanwhile_are_of_its_last_turn(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, TurnStarted(), FIGURES[0], DONE, TurnStarted(), FIGURES[0], DONE)
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, None))
    hear(desk, session, FIGURES[1])
    assert [each.turn for each in desk.do(lambda change: change.tx.usage())] == [1, 2, 2]
