"""Which of the works that would conflict a person is asked to review: one of them, and in the end each of them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from at_core.paths import Home
from at_core.types import Bead, BeadStatus, MessageKind
from at_core.vocabulary import EventType, RigFact
from at_daemon.handlers import pull_requests, review
from at_daemon.ledger import Change
from at_daemon.overlaps import Compared, Overlaps, overlaps_of
from at_daemon.patrol import look_again_at_waits
from at_daemon.testing import TARGET, Desk, head_of
from at_daemon.waiting import review_waits

RIG = uuid4()
AGE = ("old", "young", "youngest")


def proved(desk: Desk, title: str, land: bool | None = None) -> Bead:
    """A bead in review that only a person's word keeps from landing; what it meets is not known yet."""
    return desk.proved(title, RIG, timedelta(minutes=AGE.index(title)), land=land)


def compared(desk: Desk, bead: Bead, *others: Bead) -> None:
    """It was compared, and conflicts with these."""

    def note(change: Change) -> None:
        known = overlaps_of(change.tx, str(RIG)).compared({bead.id: Compared(head_of(bead), TARGET)})
        known = known.paired(bead.id, {other.id: ("same.txt",) for other in others})
        change.put(RIG, RigFact.OVERLAPS, known.to_json())
        for each in (bead, *others):
            change.touch(each.id)

    desk.do(note)


def asked(desk: Desk) -> list[str]:
    """Titles of the beads that a person is asked to review."""
    wanted = desk.do(lambda change: change.tx.open_interruptions())
    return [each.title for each in wanted if each.kind == "review"]


def waits(desk: Desk, bead: Bead) -> str | None:
    """Why its review waits."""

    def why(change: Change) -> str | None:
        facts = {name: fact.value for name, fact in change.tx.facts(bead.id).items()}
        found = review_waits(change.tx, change.tx.bead(bead.id) or bead, facts)
        return found.reason if found is not None else None

    return desk.do(why)


def two_that_conflict(desk: Desk, first: str = "old", then: str = "young") -> tuple[Bead, Bead]:
    """The first is asked for, the other was compared after it."""
    one, two = proved(desk, first), proved(desk, then)
    compared(desk, one)
    compared(desk, two, one)
    assert asked(desk) == [first]
    return one, two


def let_land(desk: Desk, bead: Bead) -> None:
    desk.do(lambda change: review._allow(change, str(bead.id), None))


def send_back(desk: Desk, bead: Bead) -> None:
    words = (uuid4(), MessageKind.SEND_BACK, "again")
    desk.do(lambda change: review.return_to_agent(change, bead, *words))


@pytest.mark.parametrize(("first", "then"), [("old", "young"), ("young", "old")])
def test_none_is_asked_for_while_the_other_is_about_to_merge(desk: Desk, first: str, then: str) -> None:
    one, two = two_that_conflict(desk, first, then)
    let_land(desk, one)
    assert asked(desk) == []
    desk.do(look_again_at_waits)
    assert asked(desk) == []
    assert f"after that of {str(one.id)[:8]}" in (waits(desk, two) or "")
    desk.do(lambda change: change.move(one, BeadStatus.FAILED, EventType.BEAD_FAILED))
    assert asked(desk) == [then]


def test_what_merges_without_a_word_comes_before_what_waits_for_one(desk: Desk) -> None:
    young, old = proved(desk, "young", land=True), proved(desk, "old")
    compared(desk, young)
    compared(desk, old, young)
    assert asked(desk) == []
    assert waits(desk, young) is None


def test_a_third_that_meets_both_waits_for_both(desk: Desk) -> None:
    old, young = two_that_conflict(desk)
    compared(desk, proved(desk, "youngest"), old, young)
    send_back(desk, old)
    assert asked(desk) == ["young"]
    send_back(desk, young)
    assert asked(desk) == ["youngest"]


def test_what_was_not_compared_as_it_is_now_is_not_asked_for(desk: Desk) -> None:
    bead = proved(desk, "old")
    desk.do(look_again_at_waits)
    assert asked(desk) == []
    compared(desk, bead)
    assert asked(desk) == ["old"]


def test_the_patrol_asks_for_what_nobody_was_told_of(desk: Desk) -> None:
    one, two = two_that_conflict(desk)

    def forget(change: Change) -> None:  # nothing is touched by it
        known = Overlaps().compared({each.id: Compared(head_of(each), TARGET) for each in (one, two)})
        change.put(RIG, RigFact.OVERLAPS, known.to_json())

    desk.do(forget)
    assert asked(desk) == ["old"]
    desk.do(look_again_at_waits)
    assert sorted(asked(desk)) == ["old", "young"]


def test_a_round_of_the_patrol_that_finds_nothing_new_writes_nothing(desk: Desk) -> None:
    beads = two_that_conflict(desk)
    desk.do(look_again_at_waits)

    def written(change: Change) -> object:
        facts = change.tx.facts_of([RIG, *(each.id for each in beads)])
        return change.tx.last_seq(), facts, [change.tx.bead(each.id) for each in beads]

    before = desk.do(written)
    desk.clock.pass_time(60)
    desk.do(look_again_at_waits)
    assert desk.do(written) == before


PUSHED = {"remote": "origin", "branch": "at/b", "pushed": "b" * 40}


@pytest.mark.parametrize(
    ("known", "others_wait"),
    [
        ({"remote": "origin", "branch": "at/b", "pushing": "b" * 40}, True),
        (PUSHED, False),
        (PUSHED | {"number": 1, "state": "OPEN"}, False),
        (PUSHED | {"number": 1, "state": "MERGED"}, False),
        (PUSHED | {"number": 1, "state": "CLOSED"}, True),
    ],
)
def test_an_open_pull_request_keeps_nobody_waiting(
    desk: Desk, tmp_path: Path, known: dict[str, Any], others_wait: bool
) -> None:
    old, young = two_that_conflict(desk)
    parts = desk.parts(Home(tmp_path))
    anyio.run(partial(pull_requests._note, parts, old, known))
    assert asked(desk) == (["old"] if others_wait else ["old", "young"])
    assert (waits(desk, young) is not None) is others_wait


@pytest.mark.parametrize("forgotten", [False, True])
def test_while_the_target_is_looked_at_none_is_asked_for_that_conflicts_with_it(
    desk: Desk, forgotten: bool
) -> None:
    one, two = two_that_conflict(desk)

    def land(change: Change) -> None:
        change.look_at_target(two, "another landed")
        change.move(one, BeadStatus.DONE, EventType.BEAD_LANDED)
        if forgotten:  # the landed one, for the target was compared that has it
            known = Overlaps().compared({two.id: Compared(head_of(two), "b" * 40, ["same.txt"])})
            change.put(RIG, RigFact.OVERLAPS, known.to_json())

    desk.do(land)
    desk.do(look_again_at_waits)
    assert asked(desk) == []
    assert waits(desk, two) == "what it would conflict with is being looked at"
