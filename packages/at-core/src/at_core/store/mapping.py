"""Records to rows and back, by the type hints of the record. One `Mapping` per table."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar
from uuid import UUID, SafeUUID

from sqlalchemy import Table, insert, select

from at_core.store.statement import Row, Statement, Value, columns
from at_core.types import Record

R = TypeVar("R", bound=Record)

_encode_json = json.JSONEncoder(separators=(",", ":")).encode
_new: Callable[[type], Any] = object.__new__
_set_uuid_int: Callable[[UUID, int], None] = UUID.__dict__["int"].__set__
_set_uuid_safe: Callable[[UUID, SafeUUID], None] = UUID.__dict__["is_safe"].__set__


def json_text(value: Any) -> str:
    """Compact JSON in ASCII; equal values of the same key order give equal text."""
    return _encode_json(value)


def time_text(moment: datetime) -> str:
    """The same text as `at_core.types.format_time`; an aware time is required."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def text_of(value: str | bytes) -> str:
    """Text as it was given; what had no UTF-8 lies in the store as bytes."""
    return value if type(value) is str else typing.cast(bytes, value).decode("utf-8", "surrogatepass")


@lru_cache(maxsize=16384)
def uuid_of(text: str) -> UUID:
    """`UUID(text)` without its checks: the store wrote the text itself. The same id is read over and over."""
    identity: UUID = _new(UUID)
    _set_uuid_int(identity, int(text.replace("-", ""), 16))
    _set_uuid_safe(identity, SafeUUID.unknown)
    return identity


def _tuple_of(text: str) -> tuple[Any, ...]:
    return tuple(json.loads(text))


def _codec(hint: Any) -> tuple[Callable[[Any], Value] | None, Callable[[Any], Any] | None]:
    """How a field of this type is written and read; None leaves the value as it is."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in hint.__args__ if part is not type(None))
    if hint is UUID:
        return str, uuid_of
    if hint is datetime:
        return time_text, datetime.fromisoformat
    if hint is bool:
        return int, bool
    if hint is str:
        return None, text_of
    if hint in (int, float):
        return None, None
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return attrgetter("_value_"), {member.value: member for member in hint}.__getitem__
    if typing.get_origin(hint) is tuple:
        return json_text, _tuple_of
    return json_text, json.loads


class Mapping(Generic[R]):
    """One record type and its table. `encode` gives the values of `names`, `decode` takes them in that order.

    `decode` fills the slots directly instead of calling the constructor, which checks nothing and costs more than
    SQLite's own part of a row.
    """

    def __init__(self, record: type[R], table: Table) -> None:
        hints = typing.get_type_hints(record)
        fields = {field.name for field in dataclasses.fields(record)}  # type: ignore[arg-type]  # a record is a dataclass
        # The table's order: SQLAlchemy writes the columns of an INSERT and a SELECT in it.
        self.names = tuple(column.name for column in table.columns if column.name in fields)
        missing = fields - set(self.names)
        if missing:
            raise TypeError(f"table {table.name} has no column for {sorted(missing)}")
        codecs = [_codec(hints[name]) for name in self.names]
        optional_json = [typing.Any is hints[name] for name in self.names]
        self.record = record
        self.kind = record.__name__.lower()
        self._writes = tuple(
            (attrgetter(name), write, always)
            for name, (write, _), always in zip(self.names, codecs, optional_json, strict=True)
        )
        self._reads = tuple(
            (record.__dict__[name].__set__, read) for name, (_, read) in zip(self.names, codecs, strict=True)
        )
        self.columns = [table.c[name] for name in self.names]
        self.insert = Statement(insert(table).values(columns(self.names)))
        self.select = select(*self.columns)

    def encode(self, record: R) -> tuple[Value, ...]:
        """The values of the record's row."""
        values = []
        for get, write, always in self._writes:
            value = get(record)
            values.append(value if write is None or (value is None and not always) else write(value))
        return tuple(values)

    def decode(self, row: Row) -> R:
        """The record of a row that was selected with `select`."""
        record: R = _new(self.record)
        for (put, read), value in zip(self._reads, row, strict=True):
            put(record, value if read is None or value is None else read(value))
        return record
