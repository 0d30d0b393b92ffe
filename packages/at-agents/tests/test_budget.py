"""A turn begins only within every budget that applies; what parks a bead, and what lets it go on."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from at_agents.attention import attention, reasons, settled
from at_agents.budget import amount, fits, park, reached
from at_agents.decisions import Budget, Scope, Unit
from at_agents.label import AgentLabel, label
from at_agents.simulated_store import Violation
from at_agents.simulation import Simulation
from at_core.types import AgentStatus, BeadStatus
from at_core.vocabulary import BeadFact

MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)


def of(
    limit: float, spent: float = 0.0, under_way: float = 0.0, expected: float = 0.0, **more: Any
) -> Budget:
    return Budget(Scope.BEAD, Unit.USD, limit, spent, under_way, expected, **more)


@pytest.mark.parametrize(
    ("budget", "may_begin"),
    [
        (of(1.0), True),
        (of(0.0), False),
        (of(1.0, 0.5, 0.0, 0.5), True),
        (of(1.0, 0.5, 0.0, 0.51), False),
        (of(1.0, 0.5, 0.3, 0.3), False),
        (of(1.0, 0.5, 0.5), False),
        (of(1.0, 1.0), False),
        (of(1.0, 1.2), False),
        (of(0.3, 0.1 + 0.1, 0.0, 0.1), True),
        (of(0.3, 0.1 + 0.1 + 0.1), False),
    ],
)
def test_a_turn_begins_only_if_what_it_is_expected_to_cost_is_left(budget: Budget, may_begin: bool) -> None:
    assert fits(budget) is may_begin


def test_what_only_a_person_can_raise_is_told_first() -> None:
    day = dataclasses.replace(of(1.0, 1.0), scope=Scope.DAY, passes_at=MIDNIGHT)
    world = dataclasses.replace(Simulation().world(), budgets=(day, of(2.0, 2.0)))
    found = reached(world)
    assert found is not None
    assert found.scope is Scope.BEAD


def test_while_a_price_is_looked_up_the_turn_waits_and_nothing_is_told() -> None:
    known, awaited, full = of(9.0, 1.0), of(9.0, 1.0, pricing=True), of(1.0, 2.0)
    world = dataclasses.replace(Simulation().world(), budgets=(known, awaited))
    assert reached(world) is awaited
    assert park(world, awaited) == []
    assert reached(dataclasses.replace(world, budgets=(awaited, full))) is full, "it can only get fuller"
    assert reached(dataclasses.replace(world, budgets=(known,))) is None


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2.5, Unit.USD, "$2.50"),
        (0.0, Unit.USD, "$0.00"),
        (0.0042, Unit.USD, "$0.0042"),
        (200_000.4, Unit.TOKENS, "200,000 tokens"),
    ],
)
def test_amounts_in_words(value: float, unit: Unit, words: str) -> None:
    assert amount(value, unit) == words


def carry_out_all(life: Simulation) -> None:
    while keys := life.open_intents:
        life.execute(keys[0])


def spend(life: Simulation, cost: float) -> None:
    """A turn that costs so much and is sent back by a failing gate."""
    life.gate_passes = False
    carry_out_all(life)
    life.accept()
    life.end_turn(commits=1, cost=cost)
    carry_out_all(life)


def test_a_bead_stops_before_the_turn_that_would_cross_its_budget_and_a_person_lets_it_go_on() -> None:
    life = Simulation(land=True, budget=2.5)
    spend(life, 1.0)
    spend(life, 1.0)
    world = life.world()
    assert life.bead.status is BeadStatus.SLUNG
    assert not life.open_intents
    assert label(world).label is AgentLabel.BUDGET
    assert label(world).status is AgentStatus.PENDING
    wants = attention(world)
    assert [(each.kind, each.reset_at, each.hint) for each in wants] == [
        ("budget", None, "at budget 00000000 AMOUNT")
    ]
    why = "its budget of $2.50 is reached: $2.00 spent, $1.00 expected of the next turn"
    assert wants[0].reason == why
    assert why in reasons(world)
    assert (settled(world).settled, settled(world).exit_code) == (True, 3)
    assert len(life.sent) == 2

    life.raise_budget(0.5)
    assert BeadFact.PARKED not in life.facts
    carry_out_all(life)
    assert len(life.sent) == 3
    life.gate_passes = True
    life.accept()
    life.end_turn(commits=1, cost=1.0)
    carry_out_all(life)
    assert life.world().bead.status is BeadStatus.DONE


def test_a_day_s_budget_begins_anew_by_itself() -> None:
    life = Simulation(land=True, day_budget=1.5)
    spend(life, 1.0)
    world = life.world()
    assert life.bead.status is BeadStatus.SLUNG
    assert not life.open_intents
    assert attention(world)[0].reset_at == MIDNIGHT.isoformat()
    assert not settled(world).settled
    assert life.wakes[-1] == MIDNIGHT
    life.pass_time(24 * 3600 + 1)
    carry_out_all(life)
    assert len(life.sent) == 2


def test_no_process_is_started_only_to_wait_for_money() -> None:
    life = Simulation(budget=0.0)
    carry_out_all(life)
    assert life.starts == 0
    assert label(life.world()).label is AgentLabel.BUDGET
    life.raise_budget(1.0)
    carry_out_all(life)
    assert life.starts == 1


def test_what_others_have_under_way_counts_and_is_told() -> None:
    life = Simulation(day_budget=2.0)
    life.others = 2.0
    carry_out_all(life)
    assert life.starts == 0
    assert "$2.00 expected of turns under way" in life.facts[BeadFact.PARKED]["reason"]
    life.others = 0.0
    life.settle()
    carry_out_all(life)
    assert life.starts == 1


def test_the_simulation_refuses_a_turn_beyond_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("at_agents.lifecycle.reached", lambda world: None)
    with pytest.raises(Violation, match="beyond its budget"):
        carry_out_all(Simulation(budget=0.0))
