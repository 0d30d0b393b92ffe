"""A folder's set-up under whatever may come in between: it is complete before every start, and nothing stands still."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from at_agents.attention import settled
from at_agents.simulation import Simulation
from at_core.types import BeadStatus, IntentState

SETUP, RUN = ["make deps", "make db"], ["docker start db"]


class SetUpLife(RuleBasedStateMachine):
    """`Simulation` raises where an agent starts without what has to run before."""

    @initialize(setup=st.sampled_from([SETUP, SETUP[:1], []]), run=st.sampled_from([RUN, []]))
    def begin(self, setup: list[str], run: list[str]) -> None:
        self.life = Simulation()
        self.life.commands = {"setup": setup, "run": run}

    @rule(pick=st.integers(0, 3))
    def carry_out(self, pick: int) -> None:
        if keys := self.life.open_intents:
            self.life.execute(keys[pick % len(keys)])

    @rule()
    def carry_out_the_next(self) -> None:
        self.carry_out(0)

    @rule(fails=st.sampled_from([None, *SETUP, *RUN]))
    def next_command_fails(self, fails: str | None) -> None:
        self.life.command_fails = fails

    @rule()
    def person_gives_up_and_tries_again(self) -> None:
        self.life.person_gives_up()
        self.life.person_retries()

    @rule(undone=st.booleans())
    def person_gives_up_for_a_while(self, undone: bool) -> None:
        self.life.person_gives_up()
        for _ in range(10 * undone):
            self.carry_out(0)
        self.life.person_undoes_giving_up()
        self.life.person_resumes()

    @rule()
    def person_tries_again(self) -> None:
        self.life.person_retries()

    @rule(stopped=st.booleans())
    def person_stops_or_resumes(self, stopped: bool) -> None:
        if stopped:
            self.life.person_stops()
        else:
            self.life.person_resumes()

    @rule(room=st.booleans())
    def places_come_and_go(self, room: bool) -> None:
        self.life.room = room
        self.life.settle()

    @rule()
    def machine_starts_anew(self) -> None:
        self.life.end_process(asked=True)
        self.life.boot += "+"
        self.life.settle()

    @invariant()
    def never_stands_still(self) -> None:
        if self.life.bead.status is not BeadStatus.SLUNG or settled(self.life.world()).settled:
            return
        going_on = any(intent.state is IntentState.OPEN for intent in self.life.intents.values())
        assert going_on or self.life.world().running or not self.life.room, "nothing goes on, nobody is asked"


SetUpLife.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestSetUpLife = SetUpLife.TestCase
