"""The facade of the seed contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from at_core.cache import CacheDb
from at_core.errors import Duplicate
from at_core.types import Agent, AgentRole, AgentStatus, Bead, BeadStatus, CliType, Lane


@pytest.fixture(params=["new", "new_in_memory"])
def cache(request: pytest.FixtureRequest, path: Path) -> Iterator[CacheDb]:
    with CacheDb.new(str(path)) if request.param == "new" else CacheDb.new_in_memory() as opened:
        yield opened


def test_an_upsert_checks_no_transition(cache: CacheDb) -> None:
    bead = Bead.new("x", Lane.CRITICAL)
    cache.upsert_bead(bead)
    done = dataclasses.replace(bead, status=BeadStatus.DONE, metadata={"a": [1, None]})
    cache.upsert_bead(done)
    assert cache.get_bead(bead.id) == cache.get_bead(str(bead.id)) == done
    assert cache.get_bead(uuid4()) is None


def test_beads_of_a_status_come_by_priority_then_age(cache: CacheDb) -> None:
    first = Bead.new("x", Lane.EXPERIMENTAL)
    order = [(5, Lane.STANDARD, 9), (1, Lane.EXPERIMENTAL, 0), (1, Lane.CRITICAL, 1), (0, Lane.CRITICAL, 0)]
    beads = [
        dataclasses.replace(
            first,
            id=uuid4(),
            priority=priority,
            lane=lane,
            created_at=first.created_at + timedelta(seconds=age),
        )
        for priority, lane, age in order
    ]
    for bead in reversed(beads):
        cache.upsert_bead(bead)
    assert cache.list_beads_by_status(BeadStatus.BACKLOG) == beads
    assert cache.list_beads_by_status(BeadStatus.DONE) == []


def test_agents_are_known_by_name(cache: CacheDb) -> None:
    agent = Agent.new("rust", AgentRole.POLECAT, CliType.CLAUDE)
    cache.upsert_agent(agent)
    busy = dataclasses.replace(agent, status=AgentStatus.ACTIVE)
    cache.upsert_agent(busy)
    assert cache.get_agent_by_name("rust") == busy
    assert cache.get_agent_by_name("Rust") is None
    with pytest.raises(Duplicate, match="'rust'"):
        cache.upsert_agent(Agent.new("rust", AgentRole.CREW, CliType.DEMO))
    assert cache.compute_kpi_snapshot().agents_active == 1


def test_it_is_kept(path: Path) -> None:
    bead = Bead.new("kept")
    with CacheDb.new(path) as cache:
        cache.upsert_bead(bead)
    with CacheDb.new(path) as cache:
        assert cache.get_bead(bead.id) == bead
