"""A folder is set up before the agent's first start, and made ready before each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from at_agents.label import AgentLabel, label
from at_agents.simulation import Simulation
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact

SETUP, RUN = ["make deps", "make db"], ["docker start db"]


def begun(**commands: list[str]) -> Simulation:
    """A life whose folder is made next, with these commands."""
    life = Simulation()
    life.commands = {"setup": [], "run": [], **commands}
    return life


def kinds(life: Simulation) -> list[str]:
    """Which kinds of intents are open."""
    return [key.partition(":")[0] for key in life.open_intents]


def until_started(life: Simulation) -> Simulation:
    """Carry out what is open until the agent's process is there."""
    while not life.world().running:
        life.execute(life.open_intents[0])
    return life


def again(life: Simulation) -> None:
    """As `at retry` does."""
    generation = life.facts[BeadFact.ORDER]["generation"] + 1
    life.facts[BeadFact.ORDER] = {**life.facts[BeadFact.ORDER], "generation": generation}
    life.bead.status.require_transition_to(BeadStatus.BACKLOG)
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.SLUNG)
    life.settle()


def test_commands_run_one_after_the_other_before_the_start() -> None:
    life = begun(setup=SETUP, run=RUN)
    seen = []
    while not life.world().running:
        (key,) = life.open_intents
        seen.append(key.partition(":")[0])
        life.execute(key)
    assert seen == ["prepare", "command", "command", "command", "spawn"]
    assert life.ran == [*SETUP, *RUN]


def test_without_commands_it_starts_at_once() -> None:
    life = begun()
    life.execute(life.open_intents[0])
    assert kinds(life) == ["spawn"]


def test_after_a_crash_run_runs_again_and_setup_does_not() -> None:
    life = until_started(begun(setup=SETUP, run=RUN))
    life.end_process()
    until_started_later(life)
    assert life.ran == [*SETUP, *RUN, *RUN]


def until_started_later(life: Simulation) -> None:
    """The same, with the wait after a crash."""
    while not life.world().running:
        if not life.open_intents:
            life.pass_time(10)
        life.execute(life.open_intents[0])


@pytest.mark.parametrize(
    ("fails", "ran"),
    [("make deps", ["make deps"]), ("make db", SETUP), ("docker start db", [*SETUP, *RUN])],
)
def test_a_command_that_fails_fails_the_bead_and_a_retry_runs_it_again(fails: str, ran: list[str]) -> None:
    life = begun(setup=SETUP, run=RUN)
    life.command_fails = fails
    while life.open_intents:
        life.execute(life.open_intents[0])
    assert (life.bead.status, life.ran, life.starts) == (BeadStatus.FAILED, ran, 0)
    reason = life.facts[BeadFact.OUTCOME]["reason"]
    assert f"`{fails}` ended with exit code 1" in reason and "/log" in reason and "\n" not in reason
    life.command_fails, life.ran = None, []
    again(life)
    until_started(life)
    assert life.ran == ([*RUN] if fails in RUN else [*SETUP, *RUN])


def test_a_command_that_cannot_be_run_fails_the_bead() -> None:
    life = begun(setup=SETUP)
    life.execute(life.open_intents[0])
    life.execute(life.open_intents[0], fails="no such folder")
    assert life.bead.status is BeadStatus.FAILED
    assert "`make deps` could not be run: no such folder" in life.facts[BeadFact.OUTCOME]["reason"]


def test_a_retry_looks_at_the_file_again_and_does_not_repeat_what_is_done() -> None:
    life = begun(setup=SETUP)
    while life.open_intents:
        life.execute(life.open_intents[0])
    life.accept()
    life.end_turn("failed", "other")
    life.end_process(asked=True)
    assert life.bead.status is BeadStatus.FAILED
    life.commands = {"setup": ["make other"], "run": ["true"]}
    life.agent_facts.pop(AgentFact.TURN)
    again(life)
    life.person_says("again")
    assert kinds(life)[-1] == "read-commands"
    until_started(life)
    assert life.ran == [*SETUP, "true"]


def test_commands_that_are_trusted_later_run_before_the_next_start() -> None:
    life = until_started(begun())
    life.commands = {"setup": SETUP, "run": []}
    life.facts[BeadFact.COMMANDS] = {**life.facts[BeadFact.COMMANDS], "stale": True}
    life.settle()
    assert life.ran == []
    life.end_process()
    until_started_later(life)
    assert life.ran == SETUP


@pytest.mark.parametrize("halt", [AgentFact.STOPPED, AgentFact.LIMIT])
def test_nothing_is_begun_for_an_agent_that_may_not_start(halt: AgentFact) -> None:
    halts: dict[AgentFact, dict[str, Any]] = {
        AgentFact.STOPPED: {"by": "person", "reason": ""},
        AgentFact.LIMIT: {"message": "limit", "try_at": "2026-11-02T00:00:00Z"},
    }
    life = begun(setup=SETUP)
    life.agent_facts[halt] = halts[halt]
    life.execute(life.open_intents[0])
    assert kinds(life) == []


def test_the_label_says_which_command_runs() -> None:
    life = begun(setup=SETUP)
    life.execute(life.open_intents[0])
    found = label(life.world())
    assert found.label is AgentLabel.STARTING
    assert found.reasons == ("its folder is being set up, setup: make deps",)
