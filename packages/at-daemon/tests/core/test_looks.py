"""Looks at the target that overlap: the newest is what is known, whichever ends last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from at_core.types import Bead
from at_core.vocabulary import BeadFact
from at_daemon.acts.proof import note_look
from at_daemon.testing import Desk, head_of


def saw(desk: Desk, bead: Bead, look: int, head: str | None = None) -> None:
    """A look of this number ends."""
    forecast = desk.do(lambda change: change.fact(bead.id, BeadFact.FORECAST))
    rules = {"state": "absent", "gates": [], "landing": f"as of {look}"}
    found = {**forecast, "head": head or head_of(bead), "look": look, "tree": f"{look}" * 40}
    desk.do(lambda change: note_look(change, bead, (rules, found)))


def known(desk: Desk, bead: Bead) -> tuple[Any, ...]:
    forecast = desk.do(lambda change: change.fact(bead.id, BeadFact.FORECAST))
    rules = desk.do(lambda change: change.fact(bead.id, BeadFact.RULES))
    return forecast["head"], forecast["look"], rules["landing"]


def test_a_look_that_ends_late_does_not_hide_a_later_one(desk: Desk) -> None:
    bead = desk.proved("work", uuid4(), timedelta())
    for look in (2, 1):
        saw(desk, bead, look)
    assert known(desk, bead) == (head_of(bead), 2, "as of 2")
    saw(desk, bead, 3)
    assert known(desk, bead) == (head_of(bead), 3, "as of 3")


def test_a_look_at_a_former_head_tells_nothing_of_the_present_one(desk: Desk) -> None:
    bead = desk.proved("work", uuid4(), timedelta())
    saw(desk, bead, 2)
    saw(desk, bead, 5, head="f" * 40)
    assert known(desk, bead) == (head_of(bead), 2, "as of 2")
