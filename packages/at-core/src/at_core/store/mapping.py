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
_SAFETY_UNKNOWN = SafeUUID.unknown  # looking a member up costs as much as the rest of `uuid_of`
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
    _set_uuid_safe(identity, _SAFETY_UNKNOWN)
    return identity


known_uuid = lru_cache(maxsize=4096)(uuid_of)
"""The same for an id that many rows refer to."""


def _tuple_of(text: str) -> tuple[Any, ...]:
    return tuple(json.loads(text))


@dataclass(frozen=True, slots=True)
class _Codec:
    """How a field is written and read: expressions over the value `{}`, and what they call by name."""

    write: str = "{}"
    read: str = "{}"
    names: dict[str, Any] = field(default_factory=dict)
    optional: bool = False

    def writing(self, value: str) -> str:
        """The expression that gives the column's value. None is SQL's null, whatever the hint promises."""
        if self.write == "{}":
            return value
        return self.write.format(value) if self.free else f"None if {value} is None else {self.write.format(value)}"
