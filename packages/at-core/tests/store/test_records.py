"""Every record comes back as it was given."""

from __future__ import annotations

import dataclasses
import typing
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import UnionType
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Table

from at_core.interruption import Interruption
from at_core.record import Record, format_time
from at_core.store import DestructiveAct, Lease, Slot, Store, schema
from at_core.store.mapping import Mapping, time_text, uuid_of
from at_core.types import (
    Agent,
    Ask,
    Bead,
    Convoy,
    Event,
    Fact,
    GateResult,
    Intent,
    KpiSnapshot,
    Mail,
    Message,
    Price,
    Rig,
    Rule,
    SessionRecord,
    TokenMetric,
)

TABLES: list[tuple[type[Record], Table]] = [
    (Bead, schema.beads),
    (Agent, schema.agents),
    (Convoy, schema.convoys),
    (Mail, schema.mail),
    (Event, schema.events),
    (TokenMetric, schema.usage),
    (Price, schema.prices),
    (KpiSnapshot, schema.kpi),
    (Fact, schema.facts),
    (Intent, schema.intents),
    (Message, schema.messages),
    (Ask, schema.asks),
    (SessionRecord, schema.sessions),
    (Rig, schema.rigs),
    (GateResult, schema.gate_results),
    (Rule, schema.rules),
    (Lease, schema.leases),
    (Slot, schema.slots),
    (Interruption, schema.interruptions),
    (DestructiveAct, schema.destructive_acts),
]

R = TypeVar("R", bound=Record)

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
offsets = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
times = st.datetimes(timezones=offsets).filter(lambda moment: 2 <= moment.year <= 9998)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one field's type."""
    if isinstance(hint, UnionType):
        return st.one_of([st.none() if part is type(None) else strategy(part) for part in hint.__args__])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    if typing.get_origin(hint) is tuple:
        return st.lists(any_text, max_size=3).map(tuple)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(any_text, json_values, max_size=3)
    return {
        UUID: st.uuids(),
        str: any_text,
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        datetime: times,
        Any: json_values,
    }[hint]


def records(kind: type[R]) -> st.SearchStrategy[R]:
    """Any record of that kind."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: strategy(hints[field.name]) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return st.builds(kind, **fields)


@pytest.mark.parametrize(
    ("kind", "table"), TABLES, ids=lambda value: getattr(value, "__name__", value.__class__.__name__)
)
@given(data=st.data())
def test_decode_undoes_encode(kind: type[Record], table: Table, data: st.DataObject) -> None:
    mapping: Mapping[Any] = Mapping(kind, table)
    record = data.draw(records(kind))
    assert mapping.decode(mapping.encode(record)) == record


def test_every_table_has_a_record() -> None:
    assert {table.name for _, table in TABLES} == set(schema.METADATA.tables)


@given(bead=records(Bead))
def test_a_bead_comes_back_from_sqlite_as_it_was_given(bead: Bead) -> None:
    with Store.open(None) as store:
        store.write_now(lambda tx: tx.add_bead(bead))
        assert store.read_now(lambda tx: tx.bead(bead.id)) == bead
        assert store.read_now(lambda tx: tx.find_beads(str(bead.id))) == [bead]
        assert store.read_now(lambda tx: tx.beads()) == [bead]


def test_a_title_of_lone_surrogates_is_found_by_it(store: Store) -> None:
    bead = Bead.new("a \ud800 title \udcff")
    store.write_now(lambda tx: tx.add_bead(bead))
    assert store.read_now(lambda tx: tx.find_beads(bead.title)) == [bead]


@given(moment=times)
def test_times_are_written_in_the_one_form(moment: datetime) -> None:
    assert time_text(moment) == format_time(moment)
    assert datetime.fromisoformat(time_text(moment)) == moment


def test_the_same_hour_twice_is_two_times() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    second = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1)))
    assert time_text(first) != time_text(second)


@given(identity=st.uuids())
def test_ids_are_read_as_uuids(identity: UUID) -> None:
    read = uuid_of(str(identity))
    assert (read, hash(read), repr(read), read.is_safe) == (
        identity,
        hash(identity),
        repr(identity),
        identity.is_safe,
    )


def test_a_number_beyond_64_bits_is_refused_in_words(store: Store) -> None:
    from at_core.errors import StoreError

    bead = dataclasses.replace(Bead.new("huge"), priority=2**64)
    with pytest.raises(StoreError, match="beyond 64 bits"):
        store.write_now(lambda tx: tx.add_bead(bead))
    assert store.read_now(lambda tx: tx.beads()) == []


def test_a_record_without_a_column_is_told_at_once() -> None:
    with pytest.raises(TypeError, match="no column"):
        Mapping(Bead, schema.agents)


def test_metadata_of_one_reader_is_not_another_s(store: Store) -> None:
    bead = dataclasses.replace(Bead.new("x"), metadata={"a": 1})
    store.write_now(lambda tx: tx.add_bead(bead))
    mine = store.read_now(lambda tx: tx.bead(bead.id))
    assert mine is not None and mine.metadata is not None
    mine.metadata["a"] = 2
    assert store.read_now(lambda tx: tx.bead(bead.id)) == bead


def test_event_times_keep_microseconds(store: Store) -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    event = Event(id=uuid4(), event_type="bead.added", created_at=moment)
    seq = store.write_now(lambda tx: tx.append(event))
    assert store.read_now(lambda tx: tx.events()) == [dataclasses.replace(event, seq=seq)]
