"""Whoever waits for a bead hears when nothing more happens to it by itself, whatever that came of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from at_agents.attention import settled
from at_core.types import Bead, Rig
from at_core.vocabulary import BeadFact, EventType, RigFact
from at_daemon.acts.proof import note_look
from at_daemon.ledger import Change
from at_daemon.overlaps import Compared, Overlaps
from at_daemon.testing import TARGET, Desk, head_of

ELSEWHERE = "b" * 40


@pytest.fixture(name="rig")
def made_rig(desk: Desk) -> Rig:
    rig = Rig(id=uuid4(), name="shop", path="/shop", target="main", created_at=desk.clock.now())
    desk.do(lambda change: change.tx.add_rig(rig))
    return rig


def is_settled(desk: Desk, bead: Bead) -> tuple[bool, int]:
    def read(change: Change) -> tuple[bool, int]:
        found = change.tx.bead(bead.id)
        assert found is not None
        verdict = settled(desk.ledger.worlds.of(change.tx, found))
        return verdict.settled, verdict.exit_code

    return desk.do(read)


def told(desk: Desk, bead: Bead) -> list[Any]:
    """The exit codes that were told."""
    events = desk.do(lambda change: change.tx.events(bead_id=bead.id, types=[EventType.BEAD_SETTLED.value]))
    return [(event.payload or {})["exit_code"] for event in events]


def compared(change: Change, rig: Rig, found: Overlaps, *touched: Bead) -> None:
    change.put(rig.id, RigFact.OVERLAPS, found.to_json(), "git")
    for bead in touched:
        change.touch(bead.id)


def alone(bead: Bead) -> Overlaps:
    return Overlaps().compared({bead.id: Compared(head_of(bead), TARGET)})


def ended(change: Change, bead: Bead, rules: Any, **seen: Any) -> None:
    note_look(change, bead, (rules, {**change.fact(bead.id, BeadFact.FORECAST), **seen}))
    change.touch(bead.id)


def test_a_review_that_comes_after_another_is_told_though_its_conflict_was_known(
    desk: Desk, rig: Rig
) -> None:
    first = desk.proved("first", rig.id, timedelta(0))
    second = desk.proved("second", rig.id, timedelta(1))
    before = alone(first).compared({second.id: Compared(ELSEWHERE, TARGET)})
    desk.do(lambda c: compared(c, rig, before.paired(second.id, {first.id: ("f",)}), first, second))
    assert (is_settled(desk, second), told(desk, second)) == ((False, 0), [])
    now = before.compared({second.id: Compared(head_of(second), TARGET)})
    desk.do(lambda c: compared(c, rig, now.paired(second.id, {first.id: ("f",)}), first, second))
    assert (is_settled(desk, second), told(desk, second)) == ((True, 0), [0])


def test_a_look_that_finds_what_was_there_is_told_to_be_over(desk: Desk, rig: Rig) -> None:
    bead = desk.proved("work", rig.id, timedelta(0))
    desk.do(lambda c: compared(c, rig, alone(bead), bead))
    assert told(desk, bead) == [0]
    desk.do(lambda c: c.look_again(rig.id, "the settings were trusted"))
    assert is_settled(desk, bead) == (False, 0)
    desk.do(lambda c: ended(c, bead, c.fact(bead.id, BeadFact.RULES), look=1))
    assert (is_settled(desk, bead), told(desk, bead)) == ((True, 0), [0, 0])


def test_what_stays_blocked_after_another_look_is_told_again(desk: Desk, rig: Rig) -> None:
    bead = desk.proved("work", rig.id, timedelta(0))
    rules = {"state": "untrusted", "gates": [], "landing": "manual"}
    desk.do(lambda c: c.put(bead.id, BeadFact.RULES, rules))
    desk.do(lambda c: compared(c, rig, alone(bead), bead))
    assert told(desk, bead) == [3]
    desk.do(lambda c: c.look_again(rig.id, "another landed"))
    assert is_settled(desk, bead) == (False, 0)
    desk.do(lambda c: ended(c, bead, rules, look=1, target="c" * 40))
    assert (is_settled(desk, bead), told(desk, bead)) == ((True, 3), [3, 3])


def test_looking_whether_the_checkout_is_free_by_now_is_no_news(desk: Desk, rig: Rig) -> None:
    bead = desk.proved("work", rig.id, timedelta(0))
    desk.do(lambda c: compared(c, rig, alone(bead), bead))
    blocked = "uncommitted changes of yours are in the way: a.txt"
    desk.do(lambda c: c.block(bead.id, head_of(bead), "checkout", blocked))
    desk.do(lambda c: c.look_at_target(bead, "it waits for the checkout"))
    assert (is_settled(desk, bead), told(desk, bead)) == ((True, 3), [0, 3])
