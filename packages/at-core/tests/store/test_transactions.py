"""Group commit, isolation, notification, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from at_core.errors import Conflict, Duplicate, Refused, StoreError
from at_core.store import Store, Tx
from at_core.types import Bead, Event, utc_now


def event(kind: str = "bead.added") -> Event:
    """Any event."""
    return Event(id=uuid4(), event_type=kind, created_at=utc_now())


def adding(bead: Bead, problem: Exception | None = None, *, first: bool = False) -> Callable[[Tx], int]:
    """A command that adds the bead and an event, and may raise: before it wrote or after."""

    def command(tx: Tx) -> int:
        if problem is not None and first:
            raise problem
        tx.add_bead(bead)
        seq = tx.append(event())
        if problem is not None:
            raise problem
        return seq

    return command


class Gate:
    """Holds the writer inside a transaction until `open` is called, so that commands gather behind it."""

    def __init__(self, store: Store) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=store.write_now, args=(self._wait,))
        self._thread.start()
        assert self._entered.wait(10)

    def _wait(self, tx: Tx) -> None:
        self._entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()
        self._thread.join()


OUTCOMES = ["fine", "raises first", "raises after writing", "not unique"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(plan=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12))
def test_a_command_that_raises_undoes_itself_alone(plan: list[str]) -> None:
    async def together(store: Store) -> list[object]:
        taken = Bead.new("taken")
        await store.write(lambda tx: tx.add_bead(taken))
        beads = [taken if outcome == "not unique" else Bead.new(str(n)) for n, outcome in enumerate(plan)]
        results: list[object] = [None] * len(plan)

        async def one(place: int, outcome: str) -> None:
            problem = Refused(f"no {place}") if outcome.startswith("raises") else None
            command = adding(beads[place], problem, first=outcome == "raises first")
            try:
                results[place] = await store.write(command)
            except Refused as error:
                results[place] = error

        async with anyio.create_task_group() as tasks:
            for place, outcome in enumerate(plan):
                tasks.start_soon(one, place, outcome)
        return results

    with Store.open(None) as store:
        results = anyio.run(together, store)
        kept = [str(place) for place, outcome in enumerate(plan) if outcome == "fine"]
        assert sorted(bead.title for bead in store.read_now(lambda tx: tx.beads())) == sorted(
            [*kept, "taken"]
        )
        seqs = [one.seq for one in store.read_now(lambda tx: tx.events())]
        assert sorted(seq for seq in results if isinstance(seq, int)) == seqs == list(range(1, len(kept) + 1))
        for place, outcome in enumerate(plan):
            wanted = {"fine": int, "not unique": Duplicate}.get(outcome, Refused)
            assert isinstance(results[place], wanted)
            if outcome.startswith("raises"):
                assert str(results[place]) == f"no {place}"


@pytest.mark.anyio
async def test_commands_that_gather_share_one_commit(path: Path) -> None:
    with Store.open(path) as store:
        told: list[int] = []
        store.on_commit(told.append)
        gate = Gate(store)
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(store.write, adding(Bead.new("x")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gate.open()
        assert told == [20]


@pytest.mark.anyio
async def test_a_commit_is_told_before_its_commands_return_and_only_with_events(path: Path) -> None:
    with Store.open(path) as store:
        told: list[int] = []
        store.on_commit(told.append)
        await store.write(lambda tx: tx.add_bead(Bead.new("no event")))
        assert told == []
        assert [await store.write(adding(Bead.new(str(n)))) for n in range(3)] == told == [1, 2, 3]


def test_without_a_loop_commits_are_told_on_the_writer(path: Path) -> None:
    with Store.open(path) as store:
        told: list[int] = []
        store.on_commit(told.append)
        store.write_now(adding(Bead.new("x")))
        assert told == [1]


@pytest.mark.anyio
async def test_a_reader_sees_what_was_committed_and_nothing_else(path: Path) -> None:
    with Store.open(path) as store:
        inside, go_on = threading.Event(), threading.Event()

        def slow(tx: Tx) -> None:
            tx.add_bead(Bead.new("not yet"))
            inside.set()
            assert go_on.wait(10)

        writing = threading.Thread(target=store.write_now, args=(slow,))
        writing.start()
        assert await asyncio.to_thread(inside.wait, 10)
        assert await store.read(lambda tx: tx.beads()) == []
        go_on.set()
        await asyncio.to_thread(writing.join)
        assert len(await store.read(lambda tx: tx.beads())) == 1


def test_a_reading_is_one_view(path: Path) -> None:
    with Store.open(path) as store:

        def look(tx: Tx) -> tuple[int, int]:
            before = len(tx.beads())
            store.write_now(lambda other: other.add_bead(Bead.new("meanwhile")))
            return before, len(tx.beads())

        assert store.read_now(look) == (0, 0)
        assert len(store.read_now(lambda tx: tx.beads())) == 1


def test_a_reading_cannot_write(path: Path) -> None:
    with Store.open(path) as store, pytest.raises(StoreError):
        store.read_now(lambda tx: tx.add_bead(Bead.new("x")))


@pytest.mark.anyio
async def test_a_cancelled_wait_hurts_nobody(path: Path) -> None:
    with Store.open(path) as store:
        gate = Gate(store)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.write, adding(Bead.new("cancelled")))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                scope.cancel()
        gate.open()
        assert await store.write(lambda tx: len(tx.beads())) in (0, 1)


def test_two_writes_from_one_revision_are_one_conflict(store: Store) -> None:
    bead = Bead.new("x")
    store.write_now(lambda tx: tx.add_bead(bead))
    saved = store.write_now(lambda tx: tx.save_bead(bead))
    assert saved.revision == bead.revision + 1
    with pytest.raises(Conflict):
        store.write_now(lambda tx: tx.save_bead(bead))
    assert store.read_now(lambda tx: tx.bead(bead.id)) == saved


@pytest.mark.anyio
async def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.write(lambda tx: tx.beads())
    with pytest.raises(StoreError, match="closed"):
        store.write_now(lambda tx: tx.beads())
    with pytest.raises(StoreError, match="closed"):
        store.read_now(lambda tx: tx.beads())


def test_what_was_queued_before_closing_is_done(path: Path) -> None:
    store = Store.open(path)
    gate = Gate(store)
    threads = [threading.Thread(target=store.write_now, args=(adding(Bead.new(str(n))),)) for n in range(5)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join()
    store.close()
    with Store.open(path) as again:
        assert len(again.read_now(lambda tx: tx.beads())) == 5


@pytest.mark.anyio
async def test_two_loops_and_threads_write_at_once(path: Path) -> None:
    with Store.open(path) as store:

        async def some(name: str) -> None:
            for number in range(10):
                await store.write(adding(Bead.new(f"{name}{number}")))

        threads = [threading.Thread(target=anyio.run, args=(some, name)) for name in "ab"]
        for thread in threads:
            thread.start()
        await some("c")
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert store.read_now(lambda tx: (len(tx.beads()), tx.last_seq())) == (30, 30)


def test_a_command_that_would_wait_for_itself_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="another command"):
        store.write_now(lambda tx: store.write_now(lambda inner: inner.beads()))
    assert store.read_now(lambda tx: tx.beads()) == []


def test_a_listener_that_raises_does_not_end_the_writer(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(seq: int) -> None:
        raise ValueError(seq)

    with Store.open(path) as store:
        store.on_commit(broken)
        assert [store.write_now(adding(Bead.new(str(n)))) for n in range(2)] == [1, 2]
    assert [record.message for record in caplog.records] == ["a listener of the store raised"] * 2


def test_a_loop_that_has_ended_is_told_nothing_more(path: Path) -> None:
    told: list[int] = []

    async def listen(store: Store) -> None:
        store.on_commit(told.append)
        await store.write(adding(Bead.new("x")))

    with Store.open(path) as store:
        anyio.run(listen, store)
        assert store.write_now(adding(Bead.new("y"))) == 2
    assert told == [1]
