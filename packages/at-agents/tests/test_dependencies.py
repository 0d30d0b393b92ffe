"""What a bead waits for: circles, order, and what is said of it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_agents.attention import attention, reasons, settled
from at_agents.decisions import Waiting
from at_agents.dependencies import after_of, circle, followers, in_order, with_after
from at_agents.label import AgentLabel, label
from at_agents.reconcile import reconcile
from at_agents.simulated_store import START
from at_agents.simulation import Simulation
from at_core.types import Bead, Lane

NUMBERS = st.integers(0, 7)
EDGES = st.dictionaries(NUMBERS, st.lists(NUMBERS, max_size=4), max_size=8)


def reachable(edges: dict[int, list[int]], start: int) -> set[int]:
    """All that can be come to from there, in any number of steps."""
    found: set[int] = set()
    left = list(edges.get(start, ()))
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += edges.get(each, ())
    return found


@given(edges=EDGES, start=NUMBERS)
def test_a_circle_is_found_where_there_is_one_and_the_way_is_real(
    edges: dict[int, list[int]], start: int
) -> None:
    first = [UUID(int=each) for each in edges.get(start, ())]
    way = circle(UUID(int=start), first, lambda each: [UUID(int=next_) for next_ in edges.get(each.int, ())])
    assert bool(way) == (start in reachable(edges, start))
    for one, two in zip(way, way[1:], strict=False):
        assert two.int in edges[one.int]
    if way:
        assert way[0] == way[-1] == UUID(int=start)


@given(edges=EDGES, start=NUMBERS)
def test_followers_are_all_that_wait_however_indirectly(edges: dict[int, list[int]], start: int) -> None:
    waiting = {UUID(int=each): [UUID(int=other) for other in others] for each, others in edges.items()}
    assert {each.int for each in followers(UUID(int=start), waiting)} == reachable(edges, start)


def test_what_is_named_twice_is_kept_once_and_other_metadata_stays() -> None:
    bead = dataclasses.replace(Bead.new("work"), metadata={"kept": 1})
    first, second = UUID(int=1), UUID(int=2)
    chained = with_after(bead, [second, first, second])
    assert after_of(chained) == (second, first)
    assert with_after(chained, []).metadata == {"kept": 1}
    assert with_after(dataclasses.replace(bead, metadata=None), []).metadata is None


def test_who_comes_first_where_not_all_can() -> None:
    def bead(title: str, lane: Lane, priority: int, age: int) -> Bead:
        made = START - timedelta(minutes=age)
        return dataclasses.replace(Bead.new(title, lane), priority=priority, created_at=made)

    beads = [
        bead("young", Lane.STANDARD, 0, 1),
        bead("low", Lane.EXPERIMENTAL, 0, 9),
        bead("old", Lane.STANDARD, 0, 5),
        bead("critical", Lane.CRITICAL, 0, 0),
        bead("wanted", Lane.EXPERIMENTAL, 1, 0),
    ]
    assert [each.title for each in in_order(beads)] == ["wanted", "critical", "old", "young", "low"]


@pytest.mark.parametrize("hint", ["", "at after 1 --remove 2"])
def test_a_bead_that_waits_does_nothing_and_says_why(hint: str) -> None:
    waiting = Waiting("it waits for 2 (first, slung) to land", ("2",), hint)
    world = dataclasses.replace(Simulation().world(), waits_for=waiting)
    assert reconcile(world) == []
    assert reasons(world) == [waiting.reason]
    assert (label(world).label, label(world).reasons) == (AgentLabel.QUEUED, (waiting.reason,))
    assert [(want.reason, want.hint) for want in attention(world)] == (
        [(waiting.reason, hint)] if hint else []
    )
    assert settled(world).settled is bool(hint)
