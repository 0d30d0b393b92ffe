"""What the keys of a manifest may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from at_session.vocabulary import Allow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = "AT_"
_WEEK = 7 * 24 * 3600
_SHOWN = 60

Mistake = tuple[str, str, str]
"""The dotted key, what is wrong, and what is allowed."""


class Kind(NamedTuple):
    """Whether a value is one of this kind, and the kind in words."""

    holds: Callable[[Any], bool]
    words: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_argument(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_program(value: Any) -> bool:
    """A relative path would be looked for in the agent's folder, where anybody's program may lie."""
    return _is_text(value) and value != "" and ("/" not in value or value.startswith(("/", "~/")))


def _is_number(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


TEXT = Kind(_is_text, "a text of one line")
TEXTS = Kind(_list_of(_is_text), "a list of texts")
ARGUMENTS = Kind(_list_of(_is_argument), "a list of texts")
MARKS = Kind(_list_of(lambda value: _is_text(value) and value != ""), "a list of texts that are not empty")
TABLE = Kind(lambda value: isinstance(value, dict), "a table")
FLAG = Kind(lambda value: isinstance(value, bool), "true | false")
PROGRAM = Kind(_is_program, "the name of a program on PATH, or a path that begins with / or ~/")
SECONDS = Kind(lambda value: _is_whole(value, 1, _WEEK), f"a whole number from 1 to {_WEEK}")
DOLLARS = Kind(lambda value: _is_number(value, 1e6), "a number from 0 to 1000000")
TOKENS = Kind(lambda value: _is_whole(value, 0, 10**12), f"a whole number from 0 to {10**12}")
VARIABLE_VALUE = Kind(_is_argument, "a text")


def _one_of(words: tuple[str, ...]) -> Kind:
    return Kind(lambda value: value in words, " | ".join(f'"{word}"' for word in words))


KEYS: Mapping[str, Kind] = {
    "name": TEXT,
    "binary": PROGRAM,
    "arguments": ARGUMENTS,
    "environment": TABLE,
    "permission_modes": TABLE,
    "dialect": TABLE,
    "login_hint": TEXT,
    "draws_on": TEXT,
    "unreported": TEXTS,
    "timeout_seconds": SECONDS,
    "allow": _one_of(tuple(Allow)),
    "budget_day_usd": DOLLARS,
    "budget_day_tokens": TOKENS,
}
DIALECT: Mapping[str, Kind] = {"command_marks": MARKS, "replays_late": FLAG}
MODE: Mapping[str, Kind] = {
    "mode": Kind(lambda value: _is_text(value) and value != "", "the id of a mode"),
    "arguments": ARGUMENTS,
    "environment": TABLE,
}


def mistakes(document: Mapping[str, Any], protocols: tuple[str, ...], acp: str) -> Iterator[Mistake]:
    """Everything that is wrong with the keys; `acp` is the protocol that has modes by id and dialects."""
    keys = {**KEYS, "protocol": _one_of(protocols)}
    yield from _table("", document, keys)
    for needed in ("binary", "protocol"):
        if needed not in document:
            yield needed, "it is missing", keys[needed].words
    others = tuple(each for each in protocols if each != acp)
    speaks_acp = document.get("protocol") not in others
    yield from _environment("environment", document.get("environment"))
    if isinstance(modes := document.get("permission_modes"), dict):
        for name, value in modes.items():
            yield from _mode(name, value, speaks_acp)
    if isinstance(dialect := document.get("dialect"), dict):
        if not speaks_acp:
            yield "dialect", "only the protocol acp has dialects", "leave it out"
        yield from _table("dialect.", dialect, DIALECT)


def _table(before: str, table: Mapping[str, Any], keys: Mapping[str, Kind]) -> Iterator[Mistake]:
    for name, value in table.items():
        if name not in keys:
            yield f"{before}{name}", "there is no such key", ", ".join(keys)
        elif not keys[name].holds(value):
            yield f"{before}{name}", f"{shown(value)} is not allowed", keys[name].words


def _mode(name: str, value: Any, speaks_acp: bool) -> Iterator[Mistake]:
    key = f"permission_modes.{name}"
    if name not in set(Allow):
        yield key, "there is no such permission mode", ", ".join(Allow)
        return
    words = "the id of a mode, or a table" if speaks_acp else "a table"
    if isinstance(value, dict):
        yield from _table(f"{key}.", value, MODE)
        yield from _environment(f"{key}.environment", value.get("environment"))
        if "mode" in value and not speaks_acp:
            yield f"{key}.mode", "only the protocol acp has modes by id", "arguments, environment"
    elif not (speaks_acp and MODE["mode"].holds(value)):
        yield key, f"{shown(value)} is not allowed", words


def _environment(key: str, table: Any) -> Iterator[Mistake]:
    for name, value in table.items() if isinstance(table, dict) else ():
        if not _VARIABLE.fullmatch(name) or name.startswith(_OURS):
            allowed = f"letters, digits and _, not beginning with {_OURS}"
            yield f"{key}.{name}", "it is no name for a variable of a CLI", allowed
        elif not VARIABLE_VALUE.holds(value):
            yield f"{key}.{name}", f"{shown(value)} is not allowed", VARIABLE_VALUE.words


def shown(value: Any) -> str:
    """A value in an error's one line."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
