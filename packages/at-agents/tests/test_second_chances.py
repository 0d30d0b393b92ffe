"""What happened before must not decide what happens next: second limits, second beads, stops and merges that cross."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest

from at_agents import prompts
from at_agents.attention import Settled, attention, reasons, settled
from at_agents.decisions import Policy
from at_agents.landing import is_proved
from at_agents.lifecycle import END_SECONDS
from at_agents.reconcile import reconcile
from at_agents.simulation import Simulation
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact


def working(life: Simulation) -> Simulation:
    """Carry out what is open until the agent is at work on its prompt."""
    while keys := life.open_intents:
        life.execute(keys[0])
    life.accept()
    return life


def status_of(life: Simulation) -> BeadStatus:
    """How the bead stands now."""
    return life.bead.status


def test_a_second_limit_with_the_same_reset_is_waited_for_too() -> None:
    life = working(Simulation())
    for _ in range(2):
        life.end_turn("failed", "limit")
        limit = {"message": "limit", "reset_at": "2026-11-01T01:00:00Z", "try_at": "2026-11-01T01:00:00Z"}
        life.agent_facts[AgentFact.LIMIT] = limit
        queued = len(life.messages)
        life.pass_time(3600)
        assert len(life.messages) == queued + 1
        working(life)


def test_a_start_that_comes_through_after_a_stop_is_ended() -> None:
    life = Simulation()
    life.execute(next(key for key in life.open_intents if key.startswith("prepare")))
    spawn = next(key for key in life.open_intents if key.startswith("spawn"))
    life.agent_facts[AgentFact.STOPPED] = {"by": "person", "reason": ""}
    life.settle()
    life.execute(spawn)
    assert [key for key in life.open_intents if key.startswith("stop")]


def test_a_start_that_failed_for_one_bead_says_nothing_about_the_next() -> None:
    life = Simulation()
    life.execute(next(key for key in life.open_intents if key.startswith("prepare")))
    life.execute(next(key for key in life.open_intents if key.startswith("spawn")), fails="no such program")
    assert life.bead.status is BeadStatus.FAILED
    other = dataclasses.replace(life.bead, id=UUID(int=9), status=BeadStatus.SLUNG)
    assert not [a for a in reconcile(dataclasses.replace(life.world(), bead=other)) if hasattr(a, "to")]


def test_a_merge_of_an_earlier_round_does_not_end_the_next() -> None:
    life = working(Simulation(gates=()))
    life.end_turn(commits=1)
    life.execute(next(key for key in life.open_intents if key.startswith("collect")))
    assert is_proved(life.world())
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.SLUNG)
    life.facts[BeadFact.MERGED] = {"merge": "m1", "head": "h1", "target": "main"}
    assert not is_proved(life.world())
    life.agent_facts[AgentFact.TURN] = {"state": "working", "number": 2}
    life.end_turn(commits=1)
    life.execute(next(key for key in life.open_intents if key.startswith("collect")))
    assert life.bead.status is BeadStatus.REVIEW


def test_a_bead_whose_agent_was_stopped_says_so_and_is_waited_for_no_longer() -> None:
    life = working(Simulation())
    assert not settled(life.world()).settled
    life.agent_facts[AgentFact.STOPPED] = {"by": "down", "reason": "at down"}
    life.settle()
    assert settled(life.world()) == Settled(True, 3)
    assert [entry.hint for entry in attention(life.world())] == ["at resume wren"]
    assert reasons(life.world()) == ["down stopped wren: at down"]


def test_api_errors_that_do_not_pass_end_the_bead_and_limits_do_not() -> None:
    life = working(Simulation())
    errors = {"kind": "limit", "message": "server_error (500)", "awake": life.awake_seconds}
    life.agent_facts[AgentFact.RETRYING] = errors
    life.pass_time(121)
    assert life.bead.status is BeadStatus.SLUNG
    life.agent_facts[AgentFact.RETRYING] = errors | {"kind": "api", "awake": life.awake_seconds}
    life.pass_time(119)
    assert life.bead.status is BeadStatus.SLUNG
    life.agent_facts[AgentFact.RETRYING] |= {"newest": life.awake_seconds}
    life.pass_time(2)
    assert status_of(life) is BeadStatus.FAILED
    assert "server_error" in life.facts[BeadFact.OUTCOME]["reason"]


def test_a_gate_that_fails_after_it_could_not_run_sends_the_bead_back() -> None:
    life = working(Simulation(land=True))
    life.gate_passes = False
    life.end_turn(commits=1)
    while keys := life.open_intents:
        life.execute(keys[0])
    assert status_of(life) is BeadStatus.SLUNG
    working(life)
    life.end_turn()
    for _ in range(20):
        gates = [key for key in life.open_intents if key.startswith("gate")]
        if gates:
            life.execute(gates[0], fails="its journal is damaged")
            break
        life.execute(life.open_intents[0])
    assert status_of(life) is BeadStatus.REVIEW
    life.person_lands()
    told = len(life.messages)
    while keys := life.open_intents:
        life.execute(keys[0])
        if status_of(life) is BeadStatus.SLUNG:
            break
    assert status_of(life) is BeadStatus.SLUNG
    assert len(life.messages) == told + 1


def test_a_call_that_was_tried_again_and_takes_its_time_is_no_error() -> None:
    life = working(Simulation())
    life.agent_facts[AgentFact.RETRYING] = {
        "kind": "overloaded",
        "message": "overloaded (529)",
        "awake": life.awake_seconds,
        "newest": life.awake_seconds,
        "delay_seconds": 2.0,
    }
    life.pass_time(300)
    assert status_of(life) is BeadStatus.SLUNG


def test_an_agent_that_says_interrupted_before_it_dies_is_given_up_in_the_end_and_never_settled_before() -> (
    None
):
    life = working(Simulation())
    for _ in range(life.policy.max_crashes + 1):
        life.end_turn("interrupted")
        life.agent_facts[AgentFact.TURN] |= {"awake": life.awake_seconds, "boot": life.world().awake.boot}
        assert not settled(life.world()).settled
        life.end_process(signal=9)
        life.pass_time(20)
        if status_of(life) is BeadStatus.SLUNG:
            working(life)
    assert status_of(life) is BeadStatus.ESCALATED


def said(life: Simulation) -> list[str]:
    """What was sent to the agent, in that order."""
    sent = sorted((m for m in life.messages if m.sent_at), key=lambda m: m.sent_at or life.now)
    return [message.body for message in sent]


def next_turn(life: Simulation) -> None:
    """Carry out what is open, and have the agent end the turn that comes of it."""
    working(life)
    life.pass_time(1)
    life.end_turn(commits=1)


@pytest.mark.parametrize("keeps", [True, False])
def test_what_is_said_meanwhile_waits_for_the_end_of_a_limit_and_for_the_work(keeps: bool) -> None:
    life = working(Simulation(policy=Policy(keeps_failed_prompts=keeps)))
    life.person_says("also mind the docs")
    life.end_turn("failed", "limit")
    assert not life.open_intents
    life.pass_time(3599)
    assert not life.open_intents and said(life) == ["do it"]
    life.pass_time(2)
    next_turn(life)
    assert status_of(life) is BeadStatus.SLUNG
    next_turn(life)
    over = prompts.limit_over("" if keeps else "do it")
    assert said(life) == ["do it", over, "also mind the docs"]
    assert status_of(life) is BeadStatus.REVIEW


def test_a_second_limit_tells_the_work_again_and_not_the_telling_of_it() -> None:
    life = working(Simulation(policy=Policy(keeps_failed_prompts=False)))
    for _ in range(3):
        life.end_turn("failed", "limit")
        life.pass_time(3601)
        working(life)
    assert said(life) == ["do it", *[prompts.limit_over("do it")] * 3]


def test_what_is_said_meanwhile_waits_for_trouble_to_pass() -> None:
    life = working(Simulation())
    life.person_says("also mind the docs")
    try_at = (life.now + timedelta(seconds=2)).isoformat()
    trouble = {
        "count": 1,
        "awake": life.awake_seconds,
        "boot": "boot",
        "message": "it broke",
        "try_at": try_at,
    }
    life.agent_facts[AgentFact.TROUBLE] = trouble
    life.end_turn("failed", "connection")
    assert not life.open_intents
    life.pass_time(2)
    next_turn(life)
    next_turn(life)
    assert said(life) == ["do it", prompts.trouble_over(), "also mind the docs"]
    assert status_of(life) is BeadStatus.REVIEW


def test_after_a_crash_the_work_goes_on_before_anything_else_is_said() -> None:
    life = working(Simulation())
    life.person_says("also mind the docs")
    life.end_process()
    life.pass_time(60)
    next_turn(life)
    next_turn(life)
    assert said(life) == ["do it", prompts.go_on(), "also mind the docs"]
    assert status_of(life) is BeadStatus.REVIEW


def test_what_was_on_its_way_at_a_crash_is_said_itself() -> None:
    life = Simulation()
    life.execute(next(key for key in life.open_intents if key.startswith("prepare")))
    life.execute(next(key for key in life.open_intents if key.startswith("spawn")))
    life.execute(next(key for key in life.open_intents if key.startswith("send")))
    life.end_process()
    life.pass_time(60)
    next_turn(life)
    assert said(life) == ["do it"]
    assert status_of(life) is BeadStatus.REVIEW


def test_an_interrupt_is_looked_at_again_once_it_cannot_be_the_end_of_the_process() -> None:
    life = working(Simulation())
    life.wakes.clear()
    life.agent_facts[AgentFact.TURN] |= {"awake": life.awake_seconds, "boot": "boot"}
    turn = life.agent_facts[AgentFact.TURN] | {"state": "ended", "outcome": "interrupted"}
    life.agent_facts[AgentFact.TURN] = turn
    for message in life.messages:
        life._mark(message.id, answered_at=life.now)
    life.settle()
    assert life.wakes == [life.now + timedelta(seconds=END_SECONDS)]
    life.pass_time(END_SECONDS)
    assert len(life.wakes) == 1 and settled(life.world()).settled


def test_a_login_that_was_refused_on_another_bead_says_nothing_of_one_that_failed_otherwise() -> None:
    life = working(Simulation())
    refused = {"message": "log in", "how": "run `claude`"}
    life.agent_facts[AgentFact.LOGIN] = refused
    assert life.world().login == refused
    life.bead = dataclasses.replace(life.bead, status=BeadStatus.FAILED)
    life.facts[BeadFact.OUTCOME] = {"kind": "crashed", "reason": "it crashed"}
    assert life.world().login is None
    life.facts[BeadFact.OUTCOME] = {"kind": "login", "reason": "log in"}
    assert life.world().login == refused
