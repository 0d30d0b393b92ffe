"""What an agent's document says of its context: the CLI's own size before the list's, and of the session that it is in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from at_core.types import SessionRecord
from at_core.vocabulary import BeadFact
from at_daemon.acts.price import note_price, price_from
from at_daemon.context import context_document
from at_daemon.ingest import Intake
from at_daemon.ledger import Change
from at_daemon.testing import Desk
from at_session.vocabulary import ContextUsed, DriverEvent, SessionStarted

GPT = "openai/gpt-5"


def hear(desk: Desk, session: SessionRecord, *events: DriverEvent) -> None:
    def take(change: Change) -> None:
        agent = change.tx.agent(session.agent_id)
        bead = change.tx.bead(session.bead_id) if session.bead_id else None
        assert agent is not None
        Intake(change, session, agent, bead).take(events)

    desk.do(take)


def shown(desk: Desk, session: SessionRecord) -> dict[str, Any] | None:
    def look(change: Change) -> dict[str, Any] | None:
        assert session.bead_id is not None
        bead = change.tx.bead(session.bead_id)
        assert bead is not None
        return context_document(change.tx, desk.ledger.worlds.of(change.tx, bead))

    return desk.do(look)


@pytest.fixture
def session(desk: Desk) -> SessionRecord:
    """A process that has told which session of its CLI it is."""
    agent = desk.agent("wren")
    started = desk.start(agent, desk.bead(agent))
    hear(desk, started, SessionStarted("one"))
    return started


def look_ups(desk: Desk) -> int:
    return sum(intent.kind == "price" for intent in desk.do(lambda change: change.tx.open_intents()))


@pytest.mark.parametrize(
    ("used", "left"), [(0, 100), (1, 99), (49_999, 50), (99_999, 0), (100_000, 0), (130_000, 0)]
)
def test_what_is_left_is_never_said_to_be_more_than_it_is(
    desk: Desk, session: SessionRecord, used: int, left: int
) -> None:
    hear(desk, session, ContextUsed(used, 100_000, GPT, "it"))
    assert shown(desk, session) == {"used": used, "size": 100_000, "left_percent": left, "source": "it"}
    assert look_ups(desk) == 0, "the CLI told it"


def test_a_size_that_the_cli_does_not_tell_is_looked_up_once(desk: Desk, session: SessionRecord) -> None:
    hear(desk, session, ContextUsed(30, None, GPT, "it"), ContextUsed(40, None, GPT, "it"))
    assert look_ups(desk) == 1
    unknown = {"used": 40, "size": None, "left_percent": None, "source": "it"}
    assert shown(desk, session) == unknown
    desk.do(lambda change: note_price(change, price_from(GPT, [1.0, 0.1, 2.0, None], change.now)))
    assert shown(desk, session) == unknown, "the list does not have it either"
    desk.do(lambda change: note_price(change, price_from(GPT, [1.0, 0.1, 2.0, 400], change.now)))
    found = shown(desk, session)
    assert found is not None and (found["size"], found["left_percent"]) == (400, 90)
    assert found["source"].startswith("it; size: price list ")


@pytest.mark.parametrize("model", [None, "big-pickle"])
def test_of_a_model_whose_provider_nobody_knows_nothing_is_looked_up(
    desk: Desk, session: SessionRecord, model: str | None
) -> None:
    hear(desk, session, ContextUsed(30, None, model, "it"))
    found = shown(desk, session)
    assert found is not None and found["left_percent"] is None and look_ups(desk) == 0


def test_another_session_begins_with_nothing_known(desk: Desk, session: SessionRecord) -> None:
    assert shown(desk, session) is None
    hear(desk, session, ContextUsed(30, 100, GPT, "it"))
    assert shown(desk, session) is not None
    hear(desk, session, SessionStarted("two"))
    assert shown(desk, session) is None


def test_nothing_is_known_before_a_new_session_has_begun(desk: Desk, session: SessionRecord) -> None:
    hear(desk, session, ContextUsed(97, 100, GPT, "it"))
    bead = session.bead_id
    assert bead is not None
    before = desk.do(lambda change: change.fact(bead, BeadFact.SESSION))
    desk.do(lambda change: change.put(bead, BeadFact.SESSION, None))
    assert shown(desk, session) is None, "it waits for its start, as after `at retry --fresh`"
    desk.do(lambda change: change.put(bead, BeadFact.SESSION, before))
    assert shown(desk, session) is not None, "that was taken back"


def test_of_the_agents_bead_before_nothing_is_said(desk: Desk, session: SessionRecord) -> None:
    hear(desk, session, ContextUsed(97, 100, GPT, "it"))
    agent = desk.do(lambda change: change.tx.agent(session.agent_id))
    assert agent is not None
    following = desk.bead(agent, title="next")
    assert shown(desk, dataclasses.replace(session, bead_id=following.id)) is None
