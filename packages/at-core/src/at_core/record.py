"""What all nouns share: a JSON round trip over their own fields, and the one form of a time."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Self
from uuid import UUID


class Record:
    """What all nouns share: a JSON round trip over their own fields."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The record back; raises `ValueError` or `KeyError` on a document that is none. Unknown keys are ignored."""
        parsers = _parsers(cls)  # type: ignore[arg-type]  # a class is hashable
        return cls(**{name: parsers[name](value) for name, value in document.items() if name in parsers})


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the one form in which times are stored and sent (it sorts as text)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time of an RFC 3339 text; raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@cache
def _parsers(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {f.name: _parser(hints[f.name]) for f in dataclasses.fields(cls)}


def _parser(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        inner = _parser(hint.__args__[0])
        return lambda value: None if value is None else inner(value)
    if hint is datetime:
        return parse_time
    if isinstance(hint, type) and issubclass(hint, (UUID, StrEnum)):
        return hint
    if typing.get_origin(hint) is tuple:
        return tuple
    return lambda value: value
