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

from sqlalchemy import Table, bindparam, insert, select, update

from at_core.record import Record
from at_core.store.statement import Row, Statement, Value, columns

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
    return _utc_text(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


@lru_cache(maxsize=64)
def _utc_text(moment: datetime) -> str:
    # One command writes one time into several columns.
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def text_of(value: str | bytes) -> str:
    """Text as it was given; what had no UTF-8 lies in the store as bytes."""
    return value if type(value) is str else typing.cast(bytes, value).decode("utf-8", "surrogatepass")


def uuid_of(text: str) -> UUID:
    """`UUID(text)` without its checks: the store wrote the text itself."""
    identity: UUID = _new(UUID)
    _set_uuid_int(identity, int(text.replace("-", ""), 16))
    _set_uuid_safe(identity, SafeUUID.unknown)
    return identity


known_uuid = lru_cache(maxsize=4096)(uuid_of)
"""The same for an id that many rows refer to."""


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


_WORDS = {"SessionRecord": "session", "TokenMetric": "usage record", "GateResult": "gate result"}


class Mapping(Generic[R]):
    """One record type and its table. `encode` gives the values of `names`, `decode` takes them in that order.

    Both are written out as source from the fields, as dataclasses do with `__init__`: a loop over the fields costs
    more than SQLite's own part of a row (bench/store.py). `decode` fills the slots directly; a record's constructor
    checks nothing.
    """

    encode: Callable[[R], tuple[Value, ...]]
    decode: Callable[[Row], R]

    def __init__(self, record: type[R], table: Table) -> None:
        hints = typing.get_type_hints(record)
        fields = {field.name for field in dataclasses.fields(record)}  # type: ignore[arg-type]  # a record is a dataclass
        # The table's order: SQLAlchemy writes the columns of an INSERT and a SELECT in it.
        self.names = tuple(column.name for column in table.columns if column.name in fields)
        missing = fields - set(self.names)
        if missing:
            raise TypeError(f"table {table.name} has no column for {sorted(missing)}")
        self.record = record
        self.kind = _WORDS.get(record.__name__, record.__name__.lower())
        self.columns = [table.c[name] for name in self.names]
        self.insert = Statement(insert(table).values(columns(self.names)))
        self.select = select(*self.columns)
        self.put: dict[str, Callable[[R, Any], None]] = {
            name: record.__dict__[name].__set__ for name in self.names
        }
        self.writes = {name: _codec(hints[name])[0] for name in self.names}
        reads = {name: _codec(hints[name])[1] for name in self.names}
        reads |= {name: known_uuid for name in self.names if reads[name] is uuid_of and name != "id"}
        # A field of any type may be None itself, which is then JSON's null, not SQL's.
        free = {name for name in self.names if hints[name] is Any}
        self.encode = _encoder(self.names, self.writes, free)
        self.decode = _decoder(record, self.names, self.put, reads)
        self._table = table
        self._updates: dict[tuple[str, ...], Statement] = {}

    def update(self, names: tuple[str, ...]) -> Statement:
        """UPDATE of these columns, in this order, then the id.

        Columns that keep their value are better left out: SQLite rewrites the index entries of every column that is
        set.
        """
        known = self._updates.get(names)
        if known is None:
            clause = update(self._table).where(self._table.c.id == bindparam("_id"))
            clause = clause.ordered_values(*columns(names).items())
            known = self._updates[names] = Statement(clause)
        return known


def _encoder(names: tuple[str, ...], writes: dict[str, Any], free: set[str]) -> Any:
    scope: dict[str, Any] = {}
    parts = []
    for name in names:
        field, write = f"record.{name}", f"write_{name}"
        scope[write] = writes[name]
        if writes[name] is None:
            parts.append(field)
        else:
            parts.append(
                f"{write}({field})" if name in free else f"None if {field} is None else {write}({field})"
            )
    return _compile("encode", "record", [f"return ({', '.join(parts)},)"], scope)


def _decoder(record: type, names: tuple[str, ...], puts: dict[str, Any], reads: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {"new": _new, "kind": record}
    # Prefixed, since a field may be called `kind`, `new` or `row` itself.
    lines = [f"({', '.join(f'v_{name}' for name in names)},) = row", "record = new(kind)"]
    for name in names:
        scope[f"put_{name}"], scope[f"read_{name}"] = puts[name], reads[name]
        value = f"v_{name}" if reads[name] is None else f"None if v_{name} is None else read_{name}(v_{name})"
        if reads[name] is text_of:
            value = f"v_{name} if v_{name}.__class__ is str else {value}"
        lines.append(f"put_{name}(record, {value})")
    return _compile("decode", "row", [*lines, "return record"], scope)


def _compile(name: str, argument: str, lines: list[str], scope: dict[str, Any]) -> Any:
    exec(f"def {name}({argument}):\n    " + "\n    ".join(lines), scope)
    return scope[name]
