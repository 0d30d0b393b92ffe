"""An agent that has nothing to do holds no process, and is had back by its session."""

from __future__ import annotations

import dataclasses

import pytest

from at_agents.decisions import Awake, Do, Policy, WakeAt, World
from at_agents.hibernation import HIBERNATES, hibernate
from at_agents.label import AgentLabel, label
from at_agents.simulation import Simulation
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact

SECONDS = 600.0


def waiting(rested: float, **facts: object) -> World:
    """A world in which the work was proved so long ago, the agent's process still there."""
    life = Simulation(policy=Policy(hibernate_seconds=SECONDS))
    while keys := life.open_intents:
        life.execute(keys[0])
    life.accept()
    life.end_turn(commits=1)
    while keys := life.open_intents:
        life.execute(keys[0])
    world = life.world()
    assert world.bead.status is BeadStatus.REVIEW and world.running
    turn = {**world.turn, "awake": world.awake.seconds - rested, "boot": world.awake.boot}
    kept = {**world.facts, BeadFact.SESSION: {"id": "s"}, **facts}
    return dataclasses.replace(world, facts=kept, agent_facts={**world.agent_facts, AgentFact.TURN: turn})


def test_it_ends_its_process_once_it_has_rested_long_enough() -> None:
    world = waiting(SECONDS)
    [do] = hibernate(world)
    assert isinstance(do, Do) and do.payload["reason"] == HIBERNATES
    early = waiting(SECONDS - 10)
    [wake] = hibernate(early)
    assert isinstance(wake, WakeAt) and (wake.at - early.now).total_seconds() == pytest.approx(10)


def test_time_asleep_is_no_rest_and_after_a_reboot_none_is_known() -> None:
    world = waiting(SECONDS - 10)
    later = dataclasses.replace(world, now=world.now.replace(year=2030))
    assert isinstance(hibernate(later)[0], WakeAt)
    rebooted = dataclasses.replace(world, awake=Awake(1.0, "another boot"))
    assert isinstance(hibernate(rebooted)[0], Do)


@pytest.mark.parametrize("what", ["no session", "cannot resume", "never", "in a turn"])
def test_who_stays(what: str) -> None:
    world = waiting(10 * SECONDS)
    match what:
        case "no session":
            world = dataclasses.replace(world, facts={**world.facts, BeadFact.SESSION: None})
        case "cannot resume":
            world = dataclasses.replace(world, policy=dataclasses.replace(world.policy, resumes=False))
        case "never":
            world = dataclasses.replace(world, policy=Policy())
        case "in a turn":
            turn = {**world.turn, "state": "working"}
            world = dataclasses.replace(world, agent_facts={**world.agent_facts, AgentFact.TURN: turn})
    assert hibernate(world) == []


def test_what_it_is_called() -> None:
    life = Simulation(policy=Policy(hibernate_seconds=SECONDS))
    life.facts[BeadFact.SESSION] = {"id": "s"}
    while keys := life.open_intents:
        life.execute(keys[0])
    life.accept()
    life.end_turn(commits=1)
    while keys := life.open_intents:
        life.execute(keys[0])
    assert label(life.world()).label is AgentLabel.HIBERNATING
