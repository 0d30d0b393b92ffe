"""The store's speed against raw sqlite3 in the same run. Prints JSON lines: name, value, unit, yardstick, ratio, limit.

A command is one state change of a bead (read, compare-and-set) and one event. The yardstick runs the same statements
with ready values, in transactions of the same size, in one thread. A page is listed twice: the first one again and
again, and one after the other, each unseen before; the yardstick fetches the same pages as rows. `ratio` is above the
limit's side when it fails: for rates the limit is the least value, for times the greatest ratio.

    python packages/at-core/bench/store.py [--commands N] [--beads N]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

import anyio

from at_core.record import format_time
from at_core.store import Store, Tx
from at_core.store import beads as bead_rows
from at_core.store import events as event_rows
from at_core.store.statement import Row, Value
from at_core.types import Bead, BeadStatus, Event, Lane, utc_now
from at_core.vocabulary import EventType

WRITERS = 20
LEAST_COMMANDS_PER_SECOND = 10_000
MOST_OF_RAW_LISTING = 2.0
PAGE = 50
BACKLOG = BeadStatus.BACKLOG.value


def report(name: str, value: float, unit: str, yardstick: float, limit: float, ratio: float) -> None:
    """One figure as a JSON line."""
    line = {"name": name, "value": round(value, 3), "unit": unit, "yardstick": round(yardstick, 3)}
    print(json.dumps(line | {"ratio": round(ratio, 3), "limit": limit}), flush=True)


def move(bead: Bead, to: BeadStatus, kind: EventType) -> Callable[[Tx], int]:
    """One command: a state change, checked against the transition table, and its event."""

    def command(tx: Tx) -> int:
        moved = tx.move_bead(bead.id, to, utc_now())
        return tx.append(
            Event(id=uuid4(), event_type=kind, actor="bench", bead_id=moved.id, created_at=moved.updated_at)
        )

    return command


async def _writers(store: Store, beads: list[Bead], each: int) -> float:
    async def writer(bead: Bead) -> None:
        for _ in range(each // 2):
            await store.write(move(bead, BeadStatus.HOOKED, EventType.BEAD_HOOKED))
            await store.write(move(bead, BeadStatus.BACKLOG, EventType.BEAD_UNHOOKED))

    began = perf_counter()
    async with anyio.create_task_group() as tasks:
        for bead in beads:
            tasks.start_soon(writer, bead)
    return perf_counter() - began


def commands_per_second(folder: Path, total: int) -> float:
    """Acknowledged commands per second of 20 tasks that each wait for their own."""
    beads = [Bead.new(f"bead {number}") for number in range(WRITERS)]
    with Store.open(folder / "commands.db") as store:
        for bead in beads:
            store.write_now(lambda tx, bead=bead: tx.add_bead(bead))  # type: ignore[misc]
        anyio.run(_writers, store, beads, 50)
        return total / anyio.run(_writers, store, beads, total // WRITERS)


def raw_commands_per_second(folder: Path, total: int) -> float:
    """The same statements by sqlite3 alone, 20 commands to a transaction, values ready."""
    path = folder / "raw.db"
    Store.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    beads = [Bead.new(f"bead {number}") for number in range(WRITERS)]
    rows = [(str(bead.id), bead_rows._beads.encode(bead)) for bead in beads]
    for _, row in rows:
        connection.execute(bead_rows._beads.insert.sql, row)
    events = [
        event_rows._events.encode(
            Event(id=uuid4(), event_type="bead.hooked", actor="bench", bead_id=bead.id, created_at=utc_now())
        )[1:]
        for bead in beads
    ]
    update = bead_rows._beads.update(("status", "updated_at", "hooked_at", "revision")).sql
    statuses = (BeadStatus.BACKLOG.value, BeadStatus.HOOKED.value)
    now = format_time(utc_now())
    began = perf_counter()
    for turn in range(total // WRITERS):
        connection.execute("BEGIN IMMEDIATE")
        for (identity, _row), event in zip(rows, events, strict=True):
            connection.execute(bead_rows._BY_ID.sql, (identity,)).fetchone()
            connection.execute(
                update, (statuses[turn % 2], now, now if turn % 2 else None, turn + 1, identity)
            )
            connection.execute(event_rows._APPEND.sql, event)
        connection.execute("COMMIT")
    took = perf_counter() - began
    connection.close()
    return total / took


def _fill(path: Path, count: int) -> None:
    lanes = list(Lane)
    agents = [uuid4() for _ in range(WRITERS)]

    def add(start: int) -> Callable[[Tx], None]:
        def command(tx: Tx) -> None:
            for number in range(start, min(start + 10_000, count)):
                fresh = Bead.new(f"bead {number}", lanes[number % 3])
                tx.add_bead(
                    Bead(
                        id=fresh.id,
                        title=fresh.title,
                        description="some words about it",
                        lane=fresh.lane,
                        priority=number % 7,
                        agent_id=agents[number % WRITERS],
                        rig="somewhere",
                        created_at=fresh.created_at,
                        updated_at=fresh.updated_at,
                    )
                )

        return command

    with Store.open(path) as store:
        for start in range(0, count, 10_000):
            store.write_now(add(start))


def _median(action: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        began = perf_counter()
        action()
        spent.append(perf_counter() - began)
    return statistics.median(spent)


@dataclass(frozen=True, slots=True)
class Listing:
    """Microseconds for one page: records by the store, rows by sqlite3 alone."""

    store: float
    raw: float

    @property
    def ratio(self) -> float:
        """How many times raw sqlite3's time the store takes."""
        return self.store / self.raw


def listing(folder: Path, count: int) -> tuple[Listing, Listing]:
    """50 of `count` beads: the same page again, and pages that were not read before."""
    path = folder / "listing.db"
    _fill(path, count)
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    with Store.open(path, read_only=True) as store:
        actions = (
            _first_page(store),
            _raw_first_page(connection),
            _next_page(store),
            _raw_next_page(connection),
        )
        rounds = [[_median(action, 100) for action in actions] for _ in range(7)]
    connection.close()
    again, raw_again, unseen, raw_unseen = (
        statistics.median(column) * 1e6 for column in zip(*rounds, strict=True)
    )
    return Listing(again, raw_again), Listing(unseen, raw_unseen)


def _first_page(store: Store) -> Callable[[], object]:
    return lambda: store.read_now(lambda tx: tx.beads(BeadStatus.BACKLOG, limit=PAGE))


def _next_page(store: Store) -> Callable[[], object]:
    place: UUID | None = None

    def action() -> None:
        nonlocal place
        beads = store.read_now(lambda tx: tx.beads(BeadStatus.BACKLOG, limit=PAGE, after=place))
        place = beads[-1].id if beads else None

    return action


def _raw_first_page(connection: sqlite3.Connection) -> Callable[[], object]:
    page = bead_rows._PAGES[False, False, False]
    values = page.parameters((BACKLOG, PAGE))
    return lambda: _raw(connection, page.sql, values)


def _raw_next_page(connection: sqlite3.Connection) -> Callable[[], object]:
    """The places after which pages begin are known beforehand, as values are ready in the other yardsticks."""
    page = bead_rows._PAGES[False, True, False]
    order = "rank, created_at, number"
    rows = connection.execute(f"SELECT {order} FROM beads WHERE status = ? ORDER BY {order}", (BACKLOG,))
    places = itertools.cycle(rows.fetchall()[PAGE - 1 : -1 : PAGE])
    return lambda: _raw(connection, page.sql, page.parameters((BACKLOG, *next(places), PAGE)))


def _raw(connection: sqlite3.Connection, sql: str, values: tuple[Value, ...]) -> list[Row]:
    connection.execute("BEGIN")
    rows = connection.execute(sql, values).fetchall()
    connection.execute("ROLLBACK")
    return rows


def main() -> int:
    """Measure and print; 1 when a limit is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commands", type=int, default=40_000)
    arguments.add_argument("--beads", type=int, default=100_000)
    given = arguments.parse_args()
    if given.beads <= PAGE:
        arguments.error(f"--beads: more than one page of {PAGE} is wanted")
    with tempfile.TemporaryDirectory(prefix="at-bench-") as name:
        folder = Path(name)
        rate = commands_per_second(folder, given.commands)
        raw = raw_commands_per_second(folder, given.commands)
        report("store.commands", rate, "1/s", raw, LEAST_COMMANDS_PER_SECOND, rate / raw)
        again, unseen = listing(folder, given.beads)
        for name, page in (("store.list_50", again), ("store.list_50_unseen", unseen)):
            report(name, page.store, "us", page.raw, MOST_OF_RAW_LISTING, page.ratio)
    return int(rate < LEAST_COMMANDS_PER_SECOND or max(again.ratio, unseen.ratio) > MOST_OF_RAW_LISTING)


if __name__ == "__main__":
    sys.exit(main())
