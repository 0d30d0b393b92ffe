"""The landing queue over imagined trees: who lands, who comes back, and how often the gates run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import timedelta
from math import ceil, log2
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_agents.decisions import IntentKind
from at_agents.landing_queue import (
    Block,
    DoFor,
    GateFailed,
    Keep,
    Line,
    Member,
    Queue,
    Ready,
    Train,
    place_in_words,
    reconcile_queue,
)
from at_agents.simulated_store import START
from at_core.types import Bead, GateResult, Intent, IntentState, Lane

GATES = ({"name": "test", "run": "make test"},)
MOST_ROUNDS = 3000


def tree_of(beads: Iterable[int]) -> str:
    """What merging these gives, however it came about."""
    return "+".join(map(str, sorted(beads))) or "empty"


class Yard:
    """A target with works that wait to be merged; `bad` never pass their gates, `clash` does not merge after another."""

    def __init__(
        self, number: int, bad: Iterable[int] = (), most: int = 16, clash: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.bad, self.most, self.clash = set(bad), most, set(clash)
        self.line = Line()
        self.waiting = list(range(1, number + 1))
        self.landed: list[int] = []
        self.sent_back: list[int] = []
        self.blocked: list[int] = []
        self.single: set[int] = set()
        self.runs: list[str] = []
        self.intents: dict[str, Intent] = {}
        self.results: dict[str, GateResult] = {}
        self.looks, self.coming = 0, False
        self.gates: dict[int, tuple[dict[str, str], ...]] = {}
        self.fails: dict[IntentKind, str] = {}

    @property
    def target(self) -> str:
        return f"target of {tree_of(self.landed)}"

    def ready(self, number: int) -> Ready:
        bead = dataclasses.replace(
            Bead.new(f"work {number}"), id=UUID(int=number), created_at=START + timedelta(minutes=number)
        )
        tree = tree_of([*self.landed, number])
        return Ready(
            bead,
            f"head {number}",
            self.target,
            tree,
            "person",
            self.looks,
            number in self.single,
            gates=self.gates.get(number, GATES),
        )

    def clashes(self, number: int, with_: Iterable[int]) -> bool:
        return any((number, each) in self.clash or (each, number) in self.clash for each in with_)

    def queue(self) -> Queue:
        standing = [each for each in self.waiting if not self.clashes(each, self.landed)]
        return Queue(
            rig="rig",
            target_name="main",
            ready=tuple(map(self.ready, standing)),
            coming=self.coming,
            line=self.line,
            most=self.most,
            results=lambda tree: {("test", "make test"): self.results[tree]} if tree in self.results else {},
            intent=self.intents.get,
        )

    def settle(self) -> None:
        """Decide until nothing more is asked for."""
        for _ in range(MOST_ROUNDS):
            before = (self.line, dict(self.intents), list(self.waiting))
            for step in reconcile_queue(self.queue()):
                match step:
                    case Keep():
                        self.line = Line.from_json(step.line.to_json())
                    case DoFor():
                        do = step.do
                        self.intents.setdefault(
                            do.key,
                            Intent(
                                key=do.key,
                                kind=do.kind.value,
                                bead_id=step.bead,
                                payload=dict(do.payload),
                                created_at=START,
                            ),
                        )
                    case GateFailed():
                        self.waiting.remove(step.bead.int)
                        self.sent_back.append(step.bead.int)
                    case Block():
                        self.waiting.remove(step.bead.int)
                        self.blocked.append(step.bead.int)
            if before == (self.line, self.intents, self.waiting):
                return
        raise AssertionError("the queue does not come to rest")

    @property
    def open(self) -> list[Intent]:
        return [intent for intent in self.intents.values() if intent.state is IntentState.OPEN]

    def execute(self, intent: Intent) -> None:
        """Carry out one intent, or have it fail where the test says so."""
        kind = IntentKind(intent.kind)
        state = IntentState.FAILED if kind in self.fails else IntentState.DONE
        self.intents[intent.key] = dataclasses.replace(intent, state=state, error=self.fails.get(kind))
        if state is IntentState.DONE:
            {IntentKind.ASSEMBLE: self.assemble, IntentKind.GATE: self.gate, IntentKind.LAND: self.land}[
                kind
            ](intent)
        self.settle()

    def assemble(self, intent: Intent) -> None:
        riding: list[Member] = []
        merged = list(self.landed)
        for member in map(Member.from_json, intent.payload["members"]):
            if not self.clashes(member.bead.int, merged):
                merged.append(member.bead.int)
                riding.append(dataclasses.replace(member, tree=tree_of(merged)))
        number = intent.payload["number"]
        if self.line.number < number:
            train = Train(
                number, intent.payload["target"], tuple(riding), gates=tuple(intent.payload["gates"])
            )
            self.line = Line(number, train, self.line.alone)

    def gate(self, intent: Intent) -> None:
        tree = intent.payload["tree"]
        self.runs.append(tree)
        ok = not self.bad & {int(each) for each in tree.split("+")}
        self.results[tree] = GateResult(
            name="test",
            command="make test",
            tree=tree,
            ok=ok,
            exit_code=int(not ok),
            seconds=1.0,
            log="",
            output="",
            at=START,
        )

    def land(self, intent: Intent) -> None:
        members = [Member.from_json(value) for value in intent.payload["members"]]
        gated = self.line.train is not None and self.line.train.gates
        self.line = dataclasses.replace(self.line, train=None)
        if intent.payload["target"] != self.target:
            self.looks += 1
            return
        assert not gated or self.results[members[-1].tree].ok, "a tree landed on which a gate did not pass"
        for member in members:
            self.waiting.remove(member.bead.int)
            self.landed.append(member.bead.int)
        self.looks += 1

    def run(self) -> None:
        self.settle()
        while self.open:
            self.execute(self.open[0])


def bound(number: int, bad: int, most: int) -> int:
    """What the module's text promises."""
    return ceil(number / most) + bad * (1 + ceil(log2(most)))


@settings(max_examples=60, deadline=None)
@given(number=st.integers(1, 40), most=st.integers(1, 20), data=st.data())
def test_what_is_good_lands_and_what_is_bad_comes_back_within_the_bound(
    number: int, most: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(1, number), max_size=5))
    yard = Yard(number, bad, most)
    yard.run()
    assert sorted(yard.sent_back) == sorted(bad)
    assert yard.landed == [each for each in range(1, number + 1) if each not in bad]
    assert len(yard.runs) <= bound(number, len(bad), most)
    assert (yard.waiting, yard.blocked, yard.line.train) == ([], [], None)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(2, 12), data=st.data())
def test_whatever_happens_meanwhile_each_lands_once_or_comes_back(number: int, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(1, number), st.integers(1, number)).filter(lambda pair: pair[0] != pair[1])
    yard = Yard(
        number,
        data.draw(st.sets(st.integers(1, number), max_size=3)),
        data.draw(st.integers(1, 6)),
        data.draw(st.sets(pairs, max_size=4)),
    )
    yard.single = data.draw(st.sets(st.integers(1, number), max_size=2))
    yard.settle()
    for _ in range(data.draw(st.integers(0, 30))):
        happens = data.draw(st.sampled_from(["act", "act", "act", "leaves", "target moves", "asked again"]))
        if happens == "act" and yard.open:
            yard.execute(data.draw(st.sampled_from(yard.open)))
        elif (
            happens == "leaves"
            and len(yard.waiting) > 1
            and not (yard.line.train and yard.line.train.landing)
        ):
            yard.waiting.remove(data.draw(st.sampled_from(yard.waiting)))
        elif happens == "target moves":
            yard.landed.append(100 + len(yard.landed))
        elif happens == "asked again":
            yard.looks += 1
        yard.settle()
    yard.run()
    good = [each for each in yard.landed if each < 100]
    assert len(good) == len(set(good)) and not yard.bad & set(good)
    assert set(yard.sent_back) <= yard.bad
    assert all(yard.clashes(each, yard.landed) for each in yard.waiting)


@pytest.mark.parametrize("kind", [IntentKind.GATE, IntentKind.LAND])
def test_what_stops_a_train_stops_only_the_work_that_it_is_about(kind: IntentKind) -> None:
    yard = Yard(3)
    yard.fails = {kind: "no room"}
    yard.run()
    assert sorted(yard.blocked) == [1, 2, 3] and yard.landed == []
    yard.waiting, yard.fails, yard.looks = [1, 2, 3], {}, yard.looks + 1
    yard.run()
    assert yard.landed == [1, 2, 3]


def test_a_merge_that_cannot_be_made_together_is_made_one_by_one() -> None:
    yard = Yard(3)
    yard.fails = {IntentKind.ASSEMBLE: "an object is missing"}
    yard.run()
    assert yard.landed == [1, 2, 3]


def test_what_changes_the_gates_goes_by_itself() -> None:
    yard = Yard(4)
    yard.single = {2}
    yard.run()
    assert yard.landed == [1, 3, 4, 2] and yard.runs == ["1+3+4", "1+2+3+4"]


def test_each_train_runs_the_gates_of_its_own_members_target() -> None:
    yard = Yard(3)
    yard.gates = {1: (), 3: ()}
    yard.run()
    assert (yard.landed, yard.runs) == ([1, 3, 2], ["1+2+3"])


def test_what_keeps_everything_from_landing_is_waited_for() -> None:
    yard = Yard(2)
    yard.line = Line(waits="a rebase is under way in your checkout")
    yard.settle()
    assert yard.open == []
    assert "waits: a rebase" in place_in_words(yard.queue(), UUID(int=2))
    yard.line = dataclasses.replace(yard.line, waits="")
    yard.run()
    assert yard.landed == [1, 2]


def test_what_is_about_to_be_ready_is_waited_for() -> None:
    yard = Yard(2)
    yard.waiting, yard.coming = [1], True
    yard.settle()
    assert yard.open == []
    yard.waiting, yard.coming = [1, 2], False
    yard.run()
    assert (yard.landed, yard.runs) == ([1, 2], ["1+2"])


def test_who_goes_first() -> None:
    def place(lane: Lane, priority: int, size: int) -> tuple[object, ...]:
        bead = dataclasses.replace(Bead.new("work", lane), priority=priority, created_at=START)
        return Ready(bead, "h", "t", "tree", "person", 0, size=size).place

    standing = [
        place(Lane.CRITICAL, 0, 9),
        place(Lane.STANDARD, 5, 9),
        place(Lane.STANDARD, 0, 1),
        place(Lane.STANDARD, 0, 2),
        place(Lane.EXPERIMENTAL, 9, 0),
    ]
    assert sorted(standing, key=lambda each: each) == standing


def test_what_is_said_of_its_place() -> None:
    yard = Yard(4, most=2)
    yard.settle()
    words = [place_in_words(yard.queue(), UUID(int=each)) for each in (1, 4)]
    assert words == [
        "it is number 1 of 4 in the landing queue of main",
        "it is number 4 of 4 in the landing queue of main",
    ]
    yard.execute(yard.open[0])
    assert "together with 1 other" in place_in_words(yard.queue(), UUID(int=1))
    yard.execute(yard.open[0])
    assert place_in_words(yard.queue(), UUID(int=2)) == "it is being merged onto main"
    assert place_in_words(yard.queue(), UUID(int=9)) == ""
