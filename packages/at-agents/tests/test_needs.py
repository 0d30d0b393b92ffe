"""What only a person can decide, and which of it comes first."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest

from at_agents.needs import KINDS, Need, needs, ordered
from at_agents.simulation import Simulation
from at_core.types import Ask, Bead, BeadStatus, Lane
from at_core.vocabulary import AgentFact, BeadFact


def proved(land: bool | None = None) -> Simulation:
    """A bead whose work is proved."""
    life = Simulation(land=land)
    for _ in range(2):
        while keys := life.open_intents:
            life.execute(keys[0])
        if life.bead.status is BeadStatus.SLUNG:
            life.accept()
            life.end_turn(commits=1)
    return life


def asked(life: Simulation, kind: str) -> Ask:
    return Ask(
        id=UUID(int=0xABCD << 96),
        agent_id=life.agent.id,
        session="s-1",
        request_id="r",
        kind=kind,
        what="make test\nall of it",
        asked_at=life.now - timedelta(minutes=3),
    )


def test_work_at_its_work_needs_nobody() -> None:
    life = Simulation()
    assert needs(life.world()) == []
    life.accept()
    assert needs(life.world()) == []


def test_proved_work_waits_for_a_review_unless_it_may_land() -> None:
    (need,) = needs(proved().world(), followers=2)
    assert (need.kind, need.blocks) == ("review", 2)
    assert need.acts == ("at diff 00000000", "at land 00000000", "at send-back 00000000 -m TEXT")
    assert needs(proved(land=True).world()) == []


@pytest.mark.parametrize(
    ("kind", "named", "acts"),
    [
        ("question", "question", ("at answer 0000abcd TEXT",)),
        (
            "command",
            "approval",
            ("at approve 0000abcd", "at approve 0000abcd --always", "at deny 0000abcd -m TEXT"),
        ),
    ],
)
def test_what_an_agent_asks_is_shown_whole_and_keeps_it_from_going_on(
    kind: str, named: str, acts: tuple[str, ...]
) -> None:
    life = Simulation()
    ask = asked(life, kind)
    (need,) = needs(dataclasses.replace(life.world(), asks=(ask,)), followers=1)
    assert (need.kind, need.reason, need.acts) == (named, "make test\nall of it", acts)
    assert (need.blocks, need.since, need.ask) == (2, ask.asked_at, str(ask.id))


def test_what_passes_by_itself_is_no_need() -> None:
    life = Simulation()
    until = (life.now + timedelta(hours=1)).isoformat()
    life.agent_facts[AgentFact.LIMIT] = {"message": "limit", "reset_at": until, "try_at": until}
    parked = {"scope": "day", "reason": "full", "hint": "at config budget.day_usd AMOUNT", "passes_at": until}
    life.facts[BeadFact.PARKED] = parked
    assert needs(life.world()) == []
    life.facts[BeadFact.PARKED] = parked | {"scope": "bead", "passes_at": None}
    (need,) = needs(life.world())
    assert (need.kind, need.acts) == ("budget", ("at config budget.day_usd AMOUNT",))


def test_failed_work_is_begun_again_or_removed() -> None:
    life = Simulation()
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.FAILED)
    life.facts[BeadFact.OUTCOME] = {
        "kind": "no_change",
        "reason": "no change was made",
        "hint": "at retry 00000000",
    }
    (need,) = needs(life.world())
    assert (need.kind, need.reason) == ("failed", "no change was made")
    assert need.acts == ("at retry 00000000", "at rm 00000000")


def test_first_comes_what_keeps_most_from_going_on() -> None:
    now = Simulation().now

    def need(
        name: str, kind: str, blocks: int = 0, lane: Lane = Lane.STANDARD, priority: int = 0, age: int = 0
    ) -> Need:
        bead = dataclasses.replace(Bead.new(name, lane), priority=priority)
        return Need(kind, bead, None, "", (), now - timedelta(minutes=age), blocks)

    expected = [
        need("three wait for it", "review", 3),
        need("an agent cannot log in", "login", 1),
        need("an agent asks", "approval", 1),
        need("an agent asks too, later", "approval", 1, age=-1),
        need("of a higher lane", "review", 0, Lane.CRITICAL),
        need("of a higher priority", "review", 0, priority=5),
        need("older", "review", 0, age=9),
        need("newer", "review", 0),
    ]
    assert ordered(reversed(expected)) == expected
    assert {each.kind for each in expected} <= set(KINDS)
