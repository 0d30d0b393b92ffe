"""The snapshot counts what is there, and "today" is the person's own day."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from at_core.cache import CacheDb
from at_core.store import Store, Tx, local_day_start, next_local_day
from at_core.types import (
    Agent,
    AgentRole,
    AgentStatus,
    Bead,
    BeadStatus,
    CliType,
    Convoy,
    ConvoyStatus,
    KpiSnapshot,
    TokenMetric,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


DAYS = [
    ("UTC", "2026-03-10T00:00:00Z", "2026-03-10T00:00:00Z"),
    ("UTC", "2026-03-09T23:59:59.999999Z", "2026-03-09T00:00:00Z"),
    ("America/Los_Angeles", "2026-01-15T07:59:59Z", "2026-01-14T08:00:00Z"),
    ("America/Los_Angeles", "2026-01-15T08:00:00Z", "2026-01-15T08:00:00Z"),
    ("Asia/Tokyo", "2026-01-15T15:00:00Z", "2026-01-15T15:00:00Z"),
    ("Asia/Kathmandu", "2026-01-15T18:14:59Z", "2026-01-14T18:15:00Z"),
    # The clock goes forward at 02:00: the day has 23 hours and began in winter time.
    ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"),
    ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"),
    # The clock goes back at 03:00: the day has 25 hours and began in summer time.
    ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"),
    ("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z"),
    # Midnight is skipped: the day begins at 01:00, the first instant there is.
    ("Africa/Cairo", "2023-04-28T10:00:00Z", "2023-04-27T22:00:00Z"),
    # Midnight comes twice: the day begins with the first.
    ("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z"),
    ("Africa/Cairo", "2026-04-24T10:00:00Z", "2026-04-23T22:00:00Z"),
    ("America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"),
    # 23:30 is followed by 00:30: midnight does not exist, and neither does the half hour after it.
    ("America/Toronto", "1919-03-31T16:00:00Z", "1919-03-31T04:30:00Z"),
    # A day that does not exist at all is followed by this one.
    ("Pacific/Apia", "2011-12-31T00:00:00Z", "2011-12-30T10:00:00Z"),
]


@pytest.mark.parametrize(("zone", "now", "start"), DAYS)
def test_the_local_day_begins_at_local_midnight(zone: str, now: str, start: str) -> None:
    assert local_day_start(at(now), ZoneInfo(zone)) == at(start)


@pytest.fixture
def machine_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the machine's own time zone."""

    def go(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield go
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("zone", "now", "start"), DAYS)
def test_without_a_zone_the_machine_s_counts(
    machine_in: Callable[[str], None], zone: str, now: str, start: str
) -> None:
    machine_in(zone)
    assert local_day_start(at(now)) == at(start)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Africa/Cairo",
        "America/Santiago",
        "America/Sao_Paulo",
        "America/Havana",
        "Asia/Kathmandu",
        "Europe/Berlin",
        "Pacific/Apia",
    ],
)
@given(
    now=st.integers(0, 2**31 - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_next_day_is_later_and_no_day_is_passed_over(
    machine_in: Callable[[str], None], zone: str, own: bool, now: datetime
) -> None:
    place = ZoneInfo(zone)
    machine_in(zone if own else "UTC")
    start, after = (day(now, None if own else place) for day in (local_day_start, next_local_day))
    assert start <= now < after
    assert after - now <= timedelta(hours=26)
    moment = timedelta(seconds=1)
    days = [each.astimezone(place).date() for each in (start - moment, start, now, after - moment, after)]
    assert days[0] < days[1] == days[2] == days[3] < days[4]


@pytest.mark.parametrize("own", [True, False])
def test_a_clock_that_goes_back_over_midnight_still_has_a_next_day(
    machine_in: Callable[[str], None], own: bool
) -> None:
    machine_in("America/St_Johns" if own else "UTC")
    zone = None if own else ZoneInfo("America/St_Johns")
    # One minute into 2006-10-29 the clock goes back to 23:01 of the day before.
    now = at("2006-10-29T02:00:00Z")
    for _ in range(3 * 60):
        now += timedelta(minutes=1)
        assert now < next_local_day(now, zone) <= now + timedelta(hours=26)


def metric(when: datetime, cost: float | None = 1.0) -> TokenMetric:
    return TokenMetric(
        id=uuid4(),
        model="m",
        input_tokens=100,
        cached_tokens=1000,
        output_tokens=10,
        cost_usd=cost,
        duration_ms=1,
        created_at=when,
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", ["2026-03-29T12:00:00Z", "2026-10-25T12:00:00Z", "2026-06-01T12:00:00Z"])
def test_cost_and_tokens_are_those_since_midnight(store: Store, zone: str, day: str) -> None:
    start = local_day_start(at(day), ZoneInfo(zone))
    moment = timedelta(microseconds=1)
    for when, cost in (
        (start - moment, 1.0),
        (start, 2.0),
        (start + moment, None),
        (at(day), 4.0),
        (at(day) + moment, 8.0),
    ):
        store.write_now(lambda tx, when=when, cost=cost: tx.add_usage(metric(when, cost)))  # type: ignore[misc]
    snapshot = store.read_now(lambda tx: tx.kpi(at(day), start))
    assert (snapshot.total_cost_today, snapshot.total_tokens_today) == (6.0, 330)


def test_the_snapshot_counts_states(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for number, status in enumerate(BeadStatus, start=1):
            for _ in range(number):
                tx.add_bead(dataclasses.replace(Bead.new("x"), status=status))
        for number, state in enumerate(AgentStatus, start=1):
            for each in range(number):
                agent = Agent.new(f"{state}{each}", AgentRole.CREW, CliType.DEMO)
                tx.add_agent(dataclasses.replace(agent, status=state))
        for number, convoy in enumerate(ConvoyStatus, start=1):
            for _ in range(number):
                tx.add_convoy(
                    Convoy(id=uuid4(), name="c", status=convoy, created_at=at("2026-01-01T00:00:00Z"))
                )

    store.write_now(fill)
    now = at("2026-01-02T00:00:00Z")
    snapshot = store.read_now(lambda tx: tx.kpi(now, now))
    counted = (snapshot.beads_active, snapshot.beads_completed, snapshot.beads_failed)
    assert counted == (2 + 3 + 4, 5, 6 + 7)
    assert (snapshot.agents_active, snapshot.convoys_active, snapshot.created_at) == (1, 2, now)
    store.write_now(lambda tx: tx.save_kpi(snapshot))
    assert store.read_now(lambda tx: tx.latest_kpi()) == snapshot


def test_an_empty_store_has_zeros(store: Store) -> None:
    now = at("2026-01-02T00:00:00Z")
    snapshot = store.read_now(lambda tx: tx.kpi(now, now))
    assert snapshot == KpiSnapshot(
        id=snapshot.id,
        beads_active=0,
        beads_completed=0,
        beads_failed=0,
        agents_active=0,
        convoys_active=0,
        total_cost_today=0.0,
        total_tokens_today=0,
        created_at=now,
    )


def test_the_facade_takes_a_zone() -> None:
    with CacheDb.new_in_memory() as cache:
        cache.store.write_now(lambda tx: tx.add_usage(metric(at("2026-01-15T07:00:00Z"))))
        late = at("2026-01-15T09:00:00Z")
        assert cache.compute_kpi_snapshot(late, ZoneInfo("UTC")).total_tokens_today == 110
        assert cache.compute_kpi_snapshot(late, ZoneInfo("America/Los_Angeles")).total_tokens_today == 0
