"""A bead's life under whatever may happen to it, and the ends that it must come to."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from at_agents.attention import settled
from at_agents.simulation import Simulation
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact

ENDS = {BeadStatus.DONE, BeadStatus.FAILED, BeadStatus.ESCALATED}


class BeadLife(RuleBasedStateMachine):
    """Anything may happen in any order; `Simulation` raises where something must never be."""

    @initialize(
        land=st.sampled_from([None, True, False]),
        gates=st.sampled_from([(), ("check",), ("check", "lint")]),
        budget=st.sampled_from([None, 0.0, 1.0, 3.0]),
        day_budget=st.sampled_from([None, 2.0]),
    )
    def begin(
        self, land: bool | None, gates: tuple[str, ...], budget: float | None, day_budget: float | None
    ) -> None:
        self.life = Simulation(land=land, gates=gates, budget=budget, day_budget=day_budget)

    @rule(pick=st.integers(0, 20), fails=st.booleans())
    def carry_out(self, pick: int, fails: bool) -> None:
        if keys := self.life.open_intents:
            key = keys[pick % len(keys)]
            breaks = fails and key.startswith(("prepare", "spawn", "gate"))
            self.life.execute(key, fails="it broke" if breaks else None)

    @rule()
    def acknowledge(self) -> None:
        if self.life.world().running:
            self.life.accept()

    @precondition(lambda self: self.life.world().turn.get("state") == "working" and self.life.world().running)
    @rule(
        ending=st.sampled_from(
            [("completed", None), ("failed", "api"), ("failed", "limit"), ("interrupted", None)]
        ),
        commits=st.integers(0, 2),
        cost=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    )
    def end_turn(self, ending: tuple[str, str | None], commits: int, cost: float) -> None:
        self.life.end_turn(*ending, commits=commits, says="all done, tests pass", cost=cost)

    @rule()
    def person_says(self) -> None:
        if len(self.life.messages) < 20:
            self.life.person_says("also mind the docs")

    @rule(amount=st.sampled_from([0.5, 10.0]))
    def raise_budget(self, amount: float) -> None:
        self.life.raise_budget(amount)

    @rule(others=st.sampled_from([0.0, 1.5]))
    def others_use_the_day(self, others: float) -> None:
        self.life.others = others

    @rule(asked=st.booleans())
    def process_ends(self, asked: bool) -> None:
        self.life.end_process(asked=asked)

    @rule(seconds=st.sampled_from([0.5, 5, 60, 3600, 86400 * 7]), asleep=st.booleans())
    def time_passes(self, seconds: float, asleep: bool) -> None:
        self.life.pass_time(seconds, asleep=asleep)

    @rule(conflict=st.booleans())
    def target_moves(self, conflict: bool) -> None:
        self.life.conflict = conflict
        self.life.target_moves()

    @rule(passes=st.booleans())
    def gates_change(self, passes: bool) -> None:
        self.life.gate_passes = passes

    @rule(blocked=st.booleans())
    def person_lands(self, blocked: bool) -> None:
        self.life.person_lands()
        self.life.blocked_checkout = blocked

    @invariant()
    def settles_only_at_an_end_or_before_a_person(self) -> None:
        verdict = settled(self.life.world())
        if self.life.bead.status in ENDS:
            assert verdict.settled
        if verdict.settled and self.life.bead.status is BeadStatus.SLUNG:
            assert verdict.exit_code == 3, "only a person can go on"


BeadLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBeadLife = BeadLife.TestCase


def carry_out_all(life: Simulation) -> None:
    """Carry out everything that may be, until nothing is left."""
    for _ in range(100):
        if not (keys := life.open_intents):
            return
        life.execute(keys[0])
    raise AssertionError("the intents never end")


def work(life: Simulation, commits: int = 1) -> BeadStatus:
    """Start the agent, have it take its message and end its turn; how the bead stands then."""
    carry_out_all(life)
    life.accept()
    life.end_turn(commits=commits)
    carry_out_all(life)
    return life.bead.status


def land(life: Simulation) -> BeadStatus:
    """A person lets it land; how the bead stands then."""
    life.person_lands()
    carry_out_all(life)
    return life.bead.status


def test_good_work_is_proved_and_waits_for_a_person() -> None:
    life = Simulation()
    assert work(life) is BeadStatus.REVIEW
    assert settled(life.world()).exit_code == 0
    assert land(life) is BeadStatus.DONE


def test_an_order_to_land_needs_no_person() -> None:
    life = Simulation(land=True)
    assert work(life) is BeadStatus.DONE


def test_a_turn_without_a_change_is_a_failure_whatever_the_agent_says() -> None:
    life = Simulation(land=True)
    carry_out_all(life)
    life.accept()
    life.end_turn(says="I committed it and all tests pass")
    carry_out_all(life)
    assert life.bead.status is BeadStatus.FAILED
    assert "no change was made" in life.facts[BeadFact.OUTCOME]["reason"]


def test_a_failing_gate_sends_it_back_with_the_output_three_times_at_most() -> None:
    life = Simulation(land=True)
    life.gate_passes = False
    for _ in range(3):
        assert work(life) is BeadStatus.SLUNG
        assert "said" in life.messages[-1].body
    assert work(life) is BeadStatus.FAILED
    assert len(life.messages) == 4


def test_a_gate_that_failed_by_chance_is_run_again_when_the_work_is_handed_in_again() -> None:
    life = Simulation(land=True)
    life.gate_passes = False
    assert work(life) is BeadStatus.SLUNG
    life.gate_passes = True
    carry_out_all(life)
    life.accept()
    life.end_turn(says="the gate fails for a reason that is not in my work")
    carry_out_all(life)
    assert life.bead.status is BeadStatus.DONE


def test_a_failure_on_another_beads_behalf_is_run_again_for_this_one() -> None:
    life = Simulation(land=True)
    carry_out_all(life)
    life.accept()
    life.end_turn(commits=1)
    life.execute(next(key for key in life.open_intents if key.startswith("collect")))
    life.gate_passes = False
    key = next(key for key in life.open_intents if key.startswith("gate"))
    life.intents[key] = dataclasses.replace(life.intents[key], bead_id=UUID(int=77))
    life.execute(key)
    life.gate_passes = True
    carry_out_all(life)
    assert life.bead.status is BeadStatus.DONE


def test_a_conflict_sends_it_back_and_the_mended_work_lands() -> None:
    life = Simulation(land=True)
    life.conflict = True
    assert work(life) is BeadStatus.SLUNG
    assert "refs/at/target" in life.messages[-1].body
    life.conflict = False
    assert work(life) is BeadStatus.DONE


def test_a_gate_that_cannot_run_proves_nothing_and_blocks_nothing_else() -> None:
    life = Simulation(land=True)
    carry_out_all(life)
    life.accept()
    life.end_turn(commits=1)
    life.execute(next(key for key in life.open_intents if key.startswith("collect")))
    life.execute(next(key for key in life.open_intents if key.startswith("gate")), fails="no free PTY")
    life.settle()
    assert life.bead.status is BeadStatus.REVIEW
    assert "could not run" in life.facts[BeadFact.BLOCKED]["reason"]
    assert settled(life.world()).exit_code == 3


def test_it_is_started_again_three_times_and_then_given_up() -> None:
    life = Simulation()
    carry_out_all(life)
    for _ in range(4):
        life.accept()
        life.end_process()
        life.pass_time(60)
        carry_out_all(life)
    assert life.bead.status is BeadStatus.ESCALATED
    assert life.starts == 4
    assert "signal 9" in life.facts[BeadFact.OUTCOME]["reason"]


def test_a_prompt_that_nobody_took_is_sent_again_under_its_own_id() -> None:
    life = Simulation()
    carry_out_all(life)
    life.end_process()
    life.pass_time(60)
    carry_out_all(life)
    assert len(life.messages) == 1
    life.accept()
    life.end_process()
    assert len(life.messages) == 2, "one that was taken is followed by a word to go on"


def test_eight_hours_of_sleep_expire_nothing() -> None:
    life = Simulation()
    carry_out_all(life)
    life.accept()
    before = len(life.intents)
    life.pass_time(8 * 3600, asleep=True)
    assert len(life.intents) == before
    life.pass_time(life.policy.silence_seconds + 1)
    assert any(key.startswith("stop:") for key in life.intents), "awake, silence does end"


def test_a_limit_parks_it_until_the_reset_and_then_it_goes_on() -> None:
    life = Simulation(land=True)
    carry_out_all(life)
    life.accept()
    life.end_turn("failed", "limit")
    assert life.bead.status is BeadStatus.SLUNG
    assert not life.open_intents
    life.pass_time(3700)
    assert AgentFact.LIMIT not in life.agent_facts
    assert work(life) is BeadStatus.DONE
