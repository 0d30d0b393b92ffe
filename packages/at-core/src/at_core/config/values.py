"""One value at a time: is it allowed, what is allowed, how it is read from plain text and written as TOML."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from at_telemetry.visible import visible

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Within:
    """For `Annotated`: a number from `least` to `most`.

    Pydantic takes it and `NotEmpty` for what they stand for (annotated_types.GroupedMetadata, a protocol). They exist
    because importing annotated_types costs a fifth of what `at config` may take.
    """

    __is_annotated_types_grouped_metadata__ = True
    least: int
    most: int

    def __iter__(self) -> Iterator[object]:
        from annotated_types import Ge, Le

        return iter((Ge(self.least), Le(self.most)))


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """For `Annotated`: a text of at least one character."""

    __is_annotated_types_grouped_metadata__ = True

    def __iter__(self) -> Iterator[object]:
        from annotated_types import MinLen

        return iter((MinLen(1),))


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


def check(hint: Any, value: Any) -> Any:
    """The value as the field has it (a list becomes a tuple). Raises `ValueError` when it is not allowed.

    Pydantic decides wherever a value is not plainly right: importing it costs more than all else that `at config` does.
    """
    given = tuple(value) if isinstance(value, list) else value
    if plainly_allowed(hint, given):
        return given
    from pydantic import ValidationError

    try:
        return _adapter(hint).validate_python(given, strict=True)
    except ValidationError as error:
        raise ValueError(f"{shown(value)} is not allowed") from error


def plainly_allowed(hint: Any, value: Any) -> bool:
    """Whether the value is certainly allowed as it is; False says nothing."""
    options: tuple[Any, ...] = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(plainly_allowed(option, value) for option in options)
    if origin is typing.Literal:
        return type(value) is str and value in options
    if origin is tuple:
        return (
            options[1:] == (...,)
            and type(value) is tuple
            and all(plainly_allowed(options[0], item) for item in value)
        )
    if origin is typing.Annotated:
        return plainly_allowed(options[0], value) and all(_meets(limit, value) for limit in options[1:])
    if hint is str:
        return type(value) is str and value.isprintable()
    return hint in (bool, int, float) and type(value) is hint


def _meets(limit: Any, value: Any) -> bool:
    if isinstance(limit, Within):
        return bool(limit.least <= value <= limit.most)
    return isinstance(limit, NotEmpty) and value != ""


def allowed(hint: Any) -> str:
    """What a field of this type takes, in words."""
    options: tuple[Any, ...] = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return allowed(next(option for option in options if option is not type(None)))
    if origin is typing.Literal:
        return " | ".join(f'"{option}"' for option in options)
    if origin is tuple:
        return f"a list of {allowed(options[0]).removeprefix('a ')}s"
    if origin is typing.Annotated:
        return _allowed_within(options[0], options[1:])
    return {bool: "true | false", int: "a whole number", float: "a number", str: "a text"}[hint]


def _allowed_within(hint: Any, limits: tuple[Any, ...]) -> str:
    for limit in limits:
        if isinstance(limit, Within):
            return f"{allowed(hint)} from {limit.least} to {limit.most}"
        if isinstance(limit, NotEmpty):
            return f"{allowed(hint)}, not empty"
    return allowed(hint)


def from_text(hint: Any, text: str) -> Any:
    """The checked value of what a person typed: a text as it is, all else as TOML writes it. Raises `ValueError`."""
    if _is_text(hint):
        return check(hint, text)
    try:
        document = tomllib.loads(f"value = {text}\n")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{shown(text)} is not allowed") from error
    if set(document) != {"value"}:
        raise ValueError(f"{shown(text)} is not allowed")
    return check(hint, document["value"])


def _is_text(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        return _is_text(typing.get_args(hint)[0])
    return hint is str


def shown(value: Any) -> str:
    """A value in an error's one line: short, nothing that acts on a terminal."""
    text = (
        visible(to_toml_value(value))
        if isinstance(value, bool | int | str | list | tuple)
        else visible(str(value))
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def to_toml_value(value: Any) -> str:
    """The value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_toml_value(item) for item in value)}]"
    return f'"{"".join(map(_escape, value))}"' if isinstance(value, str) else str(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return f"\\u{ord(character):04X}" if ord(character) < 0x20 or character == "\x7f" else character
