"""One value at a time: is it allowed, what is allowed, how it is read from plain text and written as TOML."""

from __future__ import annotations

import tomllib
import types
import typing
from functools import cache
from typing import Any

from annotated_types import Ge, Le, MinLen
from pydantic import TypeAdapter, ValidationError

from at_telemetry.visible import visible

_SHOWN = 60


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def check(hint: Any, value: Any) -> Any:
    """The value as the field has it (a list becomes a tuple). Raises `ValueError` when it is not allowed."""
    given = tuple(value) if isinstance(value, list) else value
    try:
        return _adapter(hint).validate_python(given, strict=True)
    except ValidationError as error:
        raise ValueError(f"{shown(value)} is not allowed") from error


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
    return {bool: "true | false", int: "a whole number", str: "a text"}[hint]


def _allowed_within(hint: Any, limits: tuple[Any, ...]) -> str:
    least = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    if least is not None and most is not None:
        return f"{allowed(hint)} from {least} to {most}"
    return "a text, not empty" if any(isinstance(limit, MinLen) for limit in limits) else allowed(hint)


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
