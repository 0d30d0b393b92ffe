"""A new try says what was not said yet, and a permission is for one head."""

from __future__ import annotations

import pytest

from at_agents.decisions import Do, IntentKind, derived_id
from at_core.types import MessageKind, SessionRecord
from at_core.vocabulary import BeadFact
from at_daemon.acts.process import session_number
from at_daemon.acts.proof import pin_permission
from at_daemon.handlers.beads import fresh_body, retry_body
from at_daemon.leftovers import sessions_awaited
from at_daemon.testing import Desk


@pytest.mark.parametrize(
    ("sent", "accepted", "added", "said"),
    [
        (False, False, "", ""),
        (True, False, "", ""),
        (False, False, "with care", "with care"),
        (True, True, "with care", "with care"),
    ],
)
def test_a_prompt_that_is_on_its_way_is_not_said_twice(
    desk: Desk, sent: bool, accepted: bool, added: str, said: str
) -> None:
    bead = desk.bead(desk.agent("wren"))
    identity = derived_id(bead.id, "prompt")
    desk.do(lambda change: change.say(bead, identity, MessageKind.PROMPT, "work"))
    now = desk.clock.now()
    desk.do(
        lambda change: change.tx.mark_message(
            identity, sent_at=now if sent else None, accepted_at=now if accepted else None
        )
    )
    assert desk.do(lambda change: retry_body(change.tx, bead, added)) == said


def test_a_bead_that_was_never_said_is_said_whole(desk: Desk) -> None:
    bead = desk.bead(desk.agent("wren"))
    assert desk.do(lambda change: retry_body(change.tx, bead, "")) == "work"
    assert desk.do(lambda change: retry_body(change.tx, bead, "with care")) == "work\n\nwith care"


@pytest.mark.parametrize(("given", "kept"), [(None, "h2"), ("h1", "h1")])
def test_a_permission_given_before_the_collection_is_for_what_it_finds(
    desk: Desk, given: str | None, kept: str
) -> None:
    bead = desk.bead(desk.agent("wren"))
    desk.do(lambda change: change.put(bead.id, BeadFact.LAND_ALLOWED, {"by": "person", "head": given}))
    desk.do(lambda change: pin_permission(change, bead, "h2"))
    assert desk.do(lambda change: change.fact(bead.id, BeadFact.LAND_ALLOWED)) == {
        "by": "person",
        "head": kept,
    }


def test_a_session_on_record_is_no_stray_although_its_holder_is_silent(desk: Desk) -> None:
    agent = desk.agent("wren")
    record = SessionRecord(
        id="s-1", agent_id=agent.id, bead_id=None, cli="demo", attempt=1, started_at=desk.clock.now()
    )
    desk.do(lambda change: change.tx.add_session(record))
    assert desk.do(lambda change: sessions_awaited(change.tx)) == {"s-1"}


def test_only_sessions_of_open_starts_and_gates_are_waited_for(desk: Desk) -> None:
    agent = desk.agent("wren")
    spawn, gate = Do("spawn", IntentKind.SPAWN, {"attempt": 2}), Do("gate", IntentKind.GATE, {})
    desk.do(lambda change: change.intend(spawn, None, agent.id))
    desk.do(lambda change: change.intend(gate, None, None))
    awaited = desk.do(lambda change: sessions_awaited(change.tx))
    assert f"{agent.id.hex[:12]}-2" in awaited
    assert len(awaited) == 2


def test_a_new_session_is_told_the_whole_prompt_unless_it_is_on_its_way(desk: Desk) -> None:
    bead = desk.bead(desk.agent("wren"), title="the work")
    identity = derived_id(bead.id, "prompt")
    desk.do(lambda change: change.say(bead, identity, MessageKind.PROMPT, "the work"))
    assert desk.do(lambda change: fresh_body(change.tx, bead, "with care")) == "with care"
    desk.do(lambda change: change.tx.mark_message(identity, sent_at=change.now, accepted_at=change.now))
    said = desk.do(lambda change: fresh_body(change.tx, bead, "with care"))
    assert said.split("\n\n")[:2] == ["the work", "with care"]
    assert "already done" in said


def test_sessions_begun_anew_have_names_of_their_own() -> None:
    assert [session_number(order) for order in ({}, {"session": 0}, {"session": 2})] == [(), (), (2,)]
