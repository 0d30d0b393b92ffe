"""A folder is set up before the agent's first start, and made ready before each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from at_agents import set_up
from at_agents.label import AgentLabel, label
from at_agents.reconcile import reconcile
from at_agents.set_up import Standing
from at_agents.simulation import Simulation
from at_core.types import Bead, BeadStatus, IntentState
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


def test_the_label_says_which_command_runs_and_which_only_waits() -> None:
    life = begun(setup=SETUP)
    life.execute(life.open_intents[0])
    found = label(life.world())
    assert found.label is AgentLabel.STARTING
    assert found.reasons == (
        "its folder is to be set up, setup: make deps (waits for a place: at most 4 of these commands run at the same time)",
    )
    life.facts[BeadFact.SET_UP] = set_up.begun(life.facts.get(BeadFact.SET_UP), life.open_intents[0])
    assert label(life.world()).reasons == ("its folder is being set up, setup: make deps",)
    life.execute(life.open_intents[0])
    assert "setup: make db (waits" in label(life.world()).reasons[0]


def test_the_end_of_a_command_of_an_earlier_try_is_no_result_of_the_new_one() -> None:
    life = begun(setup=SETUP)
    life.execute(life.open_intents[0])
    (old,) = life.open_intents
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.FAILED)
    again(life)
    life.execute(life.open_intents[-1])
    late = {"phase": "setup", "command": SETUP[0], "how": "ended with exit code 0", "ok": True, "log": "/log"}
    assert set_up.noted(life.facts, life.intents[old].payload, late) == {}
    until_started(life)
    assert life.ran == SETUP


def test_results_keep_the_place_of_their_command() -> None:
    payload = {"phase": "setup", "generation": 0, "attempt": 0, "again": 0, "boot": "", "of": 2}
    facts: dict[str, Any] = {BeadFact.ORDER: {"generation": 0}}
    for index in (1, 0, 1):
        result = {"ok": True, "command": SETUP[index]}
        facts[BeadFact.SET_UP] = set_up.noted(facts, {**payload, "index": index}, result)
    ran = facts[BeadFact.SET_UP]["setup"]
    assert ran["done"] and sorted(each["index"] for each in ran["results"]) == [0, 1]


@pytest.mark.parametrize(
    ("status", "generation", "again", "boot", "stopped", "expected"),
    [
        (BeadStatus.SLUNG, 1, 0, "boot", False, Standing.WANTED),
        (BeadStatus.SLUNG, 1, 0, "boot", True, Standing.HALTED),
        (BeadStatus.REVIEW, 1, 0, "boot", False, Standing.HALTED),
        (BeadStatus.FAILED, 1, 0, "boot", False, Standing.OVER),
        (BeadStatus.SLUNG, 2, 0, "boot", False, Standing.OVER),
        (BeadStatus.SLUNG, 1, 1, "boot", False, Standing.OVER),
        (BeadStatus.SLUNG, 1, 0, "next", False, Standing.OVER),
        (None, 1, 0, "boot", False, Standing.OVER),
    ],
)
def test_what_is_wanted_of_a_command(
    status: BeadStatus | None, generation: int, again: int, boot: str, stopped: bool, expected: Standing
) -> None:
    bead = dataclasses.replace(Bead.new("work"), status=status) if status else None
    facts: dict[str, Any] = {
        BeadFact.ORDER: {"generation": generation},
        BeadFact.SET_UP: {"run": {"again": again}},
    }
    payload = {"phase": "run", "generation": 1, "again": 0, "boot": "boot"}
    assert set_up.standing(bead, facts, boot, stopped, payload) is expected


def test_a_command_that_was_dropped_is_asked_for_anew_if_its_try_goes_on_after_all() -> None:
    life = begun(setup=SETUP)
    for _ in range(2):
        life.execute(life.open_intents[0])
    (key,) = life.open_intents
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.FAILED)
    life.facts[BeadFact.SET_UP] = set_up.dropped(life.facts, life.intents[key].payload)
    life.intents[key] = dataclasses.replace(life.intents[key], state=IntentState.DONE)
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.SLUNG)
    life.settle()
    until_started(life)
    assert life.ran == SETUP, "what had ended before is not repeated"


@pytest.mark.parametrize("halt", ["stopped", "no room", "another boot"])
def test_run_runs_again_when_the_start_after_it_is_put_off(halt: str) -> None:
    life = begun(setup=SETUP, run=RUN)
    while life.ran[-1:] != RUN:
        life.execute(life.open_intents[0])
    (spawn,) = life.open_intents
    del life.intents[spawn]
    if halt == "stopped":
        life.agent_facts[AgentFact.STOPPED] = {"by": "person", "reason": ""}
        life.settle()
        del life.agent_facts[AgentFact.STOPPED]
    elif halt == "no room":
        life.room = False
        life.settle()
        life.room = True
    else:
        life.boot = "another"
    life.settle()
    until_started(life)
    assert life.ran == [*SETUP, *RUN, *RUN]


def test_a_failure_that_was_mended_away_is_told_no_more() -> None:
    life = begun(setup=SETUP)
    life.command_fails = "make db"
    while life.open_intents:
        life.execute(life.open_intents[0])
    assert [each["ok"] for each in set_up.shown(life.world())] == [True, False]
    life.commands = {"setup": [], "run": []}
    again(life)
    assert set_up.shown(life.world()) == []
    until_started(life)
    assert set_up.shown(life.world()) == []


def test_a_command_that_was_dropped_is_asked_for_anew_once_no_removal_is_under_way() -> None:
    life = begun(setup=SETUP)
    life.execute(life.open_intents[0])
    (key,) = life.open_intents
    life.intents[key] = dataclasses.replace(life.intents[key], state=IntentState.DONE)
    going = dataclasses.replace(life.world(), being_removed=True)
    assert reconcile(going) == []
    life.settle()
    (anew,) = life.open_intents
    assert anew != key and life.intents[anew].payload["again"] == 1
