"""How a bead goes on that was brought back: as it was, but nothing starts or lands by itself."""

from __future__ import annotations

from typing import Any

import pytest

from at_agents.decisions import Action, Put, Transition, World
from at_agents.simulation import Simulation
from at_agents.undo import settle_in
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact


def puts(actions: list[Action]) -> dict[str, Any]:
    return {str(action.name): action.value for action in actions if isinstance(action, Put)}


def at_work() -> World:
    life = Simulation()
    for _ in range(2):
        while keys := life.open_intents:
            life.execute(keys[0])
    life.accept()
    return life.world()


@pytest.mark.parametrize("busy_with", [None, "12345678 (other work)"])
def test_a_bead_at_work_waits_for_a_person(busy_with: str | None) -> None:
    actions = settle_in(at_work(), busy_with, new_folder=True)
    moves = [action for action in actions if isinstance(action, Transition)]
    if busy_with is None:
        assert not moves and puts(actions)[AgentFact.STOPPED]["by"] == "person"
    else:
        assert AgentFact.STOPPED not in puts(actions)
        assert [move.to for move in moves] == [BeadStatus.ESCALATED] and busy_with in moves[0].reason


def test_a_new_folder_is_set_up_again_and_an_old_one_is_not() -> None:
    life = Simulation()
    life.facts[BeadFact.COMMANDS] = {"state": "trusted", "look": 3}
    assert puts(settle_in(life.world(), None, new_folder=True))[BeadFact.COMMANDS] == {
        "state": "trusted",
        "look": 3,
        "stale": True,
    }
    assert BeadFact.SET_UP not in puts(settle_in(life.world(), None, new_folder=False))


def test_without_a_folder_a_new_one_is_made() -> None:
    world = Simulation().world()
    assert puts(settle_in(world, None, new_folder=True))[BeadFact.ORDER]["generation"] == world.generation + 1


def test_the_word_that_let_it_land_is_gone() -> None:
    assert puts(settle_in(at_work(), None, new_folder=False))[BeadFact.LAND_ALLOWED] is None
