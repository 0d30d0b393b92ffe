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
from typing import Any, Generic, TypeVar
from uuid import UUID, SafeUUID

from sqlalchemy import Table, bindparam, insert, select, update

from at_core.record import Record
from at_core.store.statement import Row, Statement, Value, columns

R = TypeVar("R", bound=Record)

_encode_json = json.JSONEncoder(separators=(",", ":")).encode
_new: Callable[[type], Any] = object.__new__
_unknown_safety = SafeUUID.unknown  # looked up once: that costs half as much as all of `uuid_of`
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
    _set_uuid_safe(identity, _unknown_safety)
    return identity


known_uuid = lru_cache(maxsize=4096)(uuid_of)
"""The same for an id that many rows refer to."""


def _tuple_of(text: str) -> tuple[Any, ...]:
    return tuple(json.loads(text))


_NAMES = {
    "json_text": json_text,
    "known_uuid": known_uuid,
    "parse_json": json.loads,
    "parse_time": datetime.fromisoformat,
    "text_of": text_of,
    "time_text": time_text,
    "tuple_of": _tuple_of,
    "uuid_of": uuid_of,
}
_WORDS = {"SessionRecord": "session", "TokenMetric": "usage record", "GateResult": "gate result"}


def _expressions(hint: Any, scope: dict[str, Any]) -> tuple[str, str]:
    """How a value of this type is written and read, as expressions of `{0}`; `scope` gets what they name."""
    if hint is UUID:
        return "str({0})", "uuid_of({0})"
    if hint is datetime:
        return "time_text({0})", "parse_time({0})"
    if hint is bool:
        return "int({0})", "bool({0})"
    if hint is str:
        return "{0}", "({0} if {0}.__class__ is str else text_of({0}))"
    if hint in (int, float):
        return "{0}", "{0}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        scope[hint.__name__] = {member.value: member for member in hint}
        return "{0}._value_", hint.__name__ + "[{0}]"
    if typing.get_origin(hint) is tuple:
        return "json_text({0})", "tuple_of({0})"
    return "json_text({0})", "parse_json({0})"


class _Field:
    """The expressions of one field. A field of any type may be None itself, which is then JSON's null, not SQL's."""

    def __init__(self, name: str, hint: Any, scope: dict[str, Any]) -> None:
        optional = isinstance(hint, types.UnionType)
        if optional:
            hint = next(part for part in hint.__args__ if part is not type(None))
        self._write, self._read = _expressions(hint, scope)
        self._guard_write = self._write != "{0}" and hint is not Any
        self._guard_read = optional and self._read != "{0}"
        if hint is UUID and name != "id":
            self._read = "known_uuid({0})"

    def write(self, value: str) -> str:
        written = self._write.format(value)
        return f"None if {value} is None else {written}" if self._guard_write else written

    def read(self, value: str) -> str:
        read = self._read.format(value)
        return f"None if {value} is None else {read}" if self._guard_read else read


@dataclasses.dataclass(frozen=True, slots=True)
class RowChange(Generic[R]):
    """Setting some columns. `apply` takes a record's stored row, then the new values as the record's fields have them.

    It gives the changed record, of the next revision, and the values that `statement` wants.
    """

    columns: tuple[str, ...]
    statement: Statement
    apply: Callable[..., tuple[R, tuple[Value, ...]]]


class Mapping(Generic[R]):
    """One record type and its table. `encode` gives the values of `names`, `decode` takes them in that order.

    Both are written out as source from the fields, as dataclasses do with `__init__`: a loop over the fields costs
    more than SQLite's own part of a row (bench/store.py). Reading passes over the constructor, which checks nothing:
    an instance of `draft`, a class with the record's slots that is not frozen, is filled and then made a record.
    """

    encode: Callable[[R], tuple[Value, ...]]
    decode: Callable[[Row], R]

    def __init__(self, record: type[R], table: Table) -> None:
        hints = typing.get_type_hints(record)
        names = {field.name for field in dataclasses.fields(record)}  # type: ignore[arg-type]  # a record is a dataclass
        # The table's order: SQLAlchemy writes the columns of an INSERT and a SELECT in it.
        self.names = tuple(column.name for column in table.columns if column.name in names)
        missing = names - set(self.names)
        if missing:
            raise TypeError(f"table {table.name} has no column for {sorted(missing)}")
        self.kind = _WORDS.get(record.__name__, record.__name__.lower())
        self.columns = [table.c[name] for name in self.names]
        self.insert = Statement(insert(table).values(columns(self.names)))
        self.select = select(*self.columns)
        self._table = table
        draft = type(f"{record.__name__}Draft", record.__bases__, {"__slots__": record.__slots__})
        self._scope: dict[str, Any] = {**_NAMES, "draft": draft, "record_type": record}
        self._fields = {name: _Field(name, hints[name], self._scope) for name in self.names}
        values = [field.write(f"record.{name}") for name, field in self._fields.items()]
        self.encode = self._compile("encode", "record", f"return ({', '.join(values)},)")
        self.decode = self._compile("decode", "row", *self._fill({}), "return record")
        self._updates: dict[tuple[str, ...], Statement] = {}
        self._changes: dict[tuple[str, ...], RowChange[R]] = {}

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

    def change(self, names: tuple[str, ...]) -> RowChange[R]:
        """Setting these columns, to which the revision is added."""
        known = self._changes.get(names)
        if known is None:
            new = {name: f"new_{name}" for name in names}
            values = [self._fields[name].write(value) for name, value in new.items()]
            values += ["record.revision", "old_id"]
            lines = [
                *self._fill({**new, "revision": "old_revision + 1"}),
                f"return record, ({', '.join(values)})",
            ]
            apply = self._compile("apply", ", ".join(("row", *new.values())), *lines)
            told = (*names, "revision")
            known = self._changes[names] = RowChange(told, self.update(told), apply)
        return known

    def _fill(self, given: dict[str, str]) -> list[str]:
        """Lines that make `record` of `row`, with these expressions in place of what stands in the row."""
        lines = [f"({', '.join(f'old_{name}' for name in self.names)},) = row", "record = draft()"]
        for name, field in self._fields.items():
            lines.append(f"record.{name} = {given.get(name) or field.read(f'old_{name}')}")
        return [*lines, "record.__class__ = record_type"]

    def _compile(self, name: str, parameters: str, *lines: str) -> Any:
        scope = dict(self._scope)
        exec(f"def {name}({parameters}):\n    " + "\n    ".join(lines), scope)
        return scope[name]
