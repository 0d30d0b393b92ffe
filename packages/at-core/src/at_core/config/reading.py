"""A file and the environment, checked key by key, to a `Config`; and where each value came from.

An environment variable overrides a key: `AT_` and the key in capitals, its dots as two underscores
(`AT_DAEMON__PATROL_INTERVAL_SECONDS`, `AT_AGENTS__CLAUDE__ALLOW`). An empty one counts as not set.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from at_core.config import values
from at_core.config.file import KeyLines, parse_toml, read_text
from at_core.config.model import Key, Settings, Source
from at_core.errors import ConfigError
from at_core.paths import Home

C = TypeVar("C", bound=Settings)

_VARIABLE = r"AT_[A-Z0-9]+__[A-Z0-9_]*"
_PATHS = {("cache", "sqlite_path"): "cache.db", ("dolt", "data_dir"): "dolt"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong entry: of the file (line from 1) or of a variable (line 0)."""

    line: int
    error: ConfigError


@cache
def fields() -> dict[Key, Any]:
    """Every key with the type of its value, in the order of the sections."""
    return dict(_fields_of(Settings, ()))


def _fields_of(kind: type, prefix: Key) -> Iterator[tuple[Key, Any]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _fields_of(hint, (*prefix, field.name))
        elif prefix:
            yield (*prefix, field.name), hint


def load(kind: type[C], path: Path, environment: Mapping[str, str]) -> C:
    """The configuration of a file, if it exists, under the overrides of the environment. Raises `ConfigError`."""
    return parse(kind, read_text(path) or "", str(path), environment)


def parse(kind: type[C], text: str, where: str, environment: Mapping[str, str]) -> C:
    """The configuration of a file's text. Raises `ConfigError` for the first mistake, with the number of the others."""
    document = parse_toml(text, where)
    entries, mistakes = _check(document, where, KeyLines(text))
    chosen, named, wrong = _from_environment(environment)
    mistakes += wrong
    if mistakes:
        first, *others = sorted(mistakes, key=lambda mistake: mistake.line)
        raise first.error.and_more(len(others))
    source = Source(where, text, frozenset(entries), named)
    return _assemble(
        kind, {**_home_defaults(environment), **_expanded(entries | chosen, where, environment)}, source
    )


def _check(document: dict[str, Any], where: str, lines: KeyLines) -> tuple[dict[Key, Any], list[Mistake]]:
    entries: dict[Key, Any] = {}
    mistakes: list[Mistake] = []
    for key, value in _leaves(document, ()):
        try:
            if key not in fields():
                raise _unknown(key, value, where)
            try:
                entries[key] = values.check(fields()[key], value)
            except ValueError as error:
                raise _wrong(key, str(error), where) from error
        except ConfigError as error:
            line = lines.line(key)
            mistakes.append(Mistake(line, error.at_line(line)))
    return entries, mistakes


def _leaves(table: dict[str, Any], prefix: Key) -> Iterator[tuple[Key, Any]]:
    """Every entry that is no section of ours."""
    for name, value in table.items():
        key = (*prefix, name)
        if isinstance(value, dict) and key in sections():
            yield from _leaves(value, key)
        else:
            yield key, value


@cache
def sections() -> frozenset[Key]:
    """Every table there may be."""
    return frozenset(key[:size] for key in fields() for size in range(1, len(key)))


def _unknown(key: Key, value: Any, where: str) -> ConfigError:
    dotted = ".".join(key)
    if key in sections():
        return ConfigError(
            where,
            f"{values.shown(value)} is not allowed",
            _next(key),
            key=dotted,
            allowed="a table of settings",
        )
    near = nearest(dotted)
    if near:
        problem = f"there is no such key, the nearest is {near}"
        return ConfigError(where, problem, "correct that line", key=dotted)
    told = ", ".join(_siblings(key))
    return ConfigError(where, "there is no such key", "at config lists all keys", key=dotted, allowed=told)


def nearest(dotted: str) -> str | None:
    """The key or section that was probably meant."""
    from difflib import get_close_matches  # only a mistake needs it

    known = [".".join(key) for key in (*fields(), *sections())]
    own = dotted.rpartition(".")[2]
    same_name = sorted(name for name in known if name.rpartition(".")[2] == own)
    return next(iter(get_close_matches(dotted, known, n=1, cutoff=0.75) or same_name), None)


def _siblings(key: Key) -> list[str]:
    parent = key[:-1] if key[:-1] in sections() else ()
    return sorted({known[len(parent)] for known in fields() if known[: len(parent)] == parent})


def _wrong(key: Key, problem: str, where: str) -> ConfigError:
    return ConfigError(where, problem, _next(key), key=".".join(key), allowed=values.allowed(fields()[key]))


def _next(key: Key) -> str:
    return f"at config {'.'.join(key)} VALUE" if key in fields() else "at config lists all keys"


def variable(key: Key) -> str:
    """The environment variable that overrides the key."""
    return "AT_" + "__".join(key).upper()


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[Key, Any], dict[Key, str], list[Mistake]]:
    known = {variable(key): key for key in fields()}
    chosen: dict[Key, Any] = {}
    mistakes = []
    for name in sorted(environment):
        if "__" not in name or not re.fullmatch(_VARIABLE, name) or not environment[name]:
            continue
        where = f"environment variable {name}"
        if name not in known:
            from difflib import get_close_matches  # only a mistake needs it

            near = get_close_matches(name, known, n=1, cutoff=0.6)
            problem = f"names no key, the nearest is {near[0]}" if near else "names no key"
            mistakes.append(
                Mistake(
                    0, ConfigError(where, problem, f"unset {name}", allowed="" if near else "AT_SECTION__KEY")
                )
            )
            continue
        key = known[name]
        try:
            chosen[key] = values.from_text(fields()[key], environment[name])
        except ValueError as error:
            mistakes.append(Mistake(0, _wrong(key, str(error), where).with_hint(f"correct or unset {name}")))
    return chosen, {key: variable(key) for key in chosen}, mistakes


def _home_defaults(environment: Mapping[str, str]) -> dict[Key, Any]:
    root = Home.find(dict(environment) or None).root
    return {key: str(root / name) for key, name in _PATHS.items()}


def _expanded(entries: dict[Key, Any], where: str, environment: Mapping[str, str]) -> dict[Key, Any]:
    """With `~` as the person's own folder, and relative paths from the folder of the file."""
    person = environment.get("HOME") or os.path.expanduser("~")
    base = os.path.dirname(os.path.abspath(where))
    expanded = dict(entries)
    for key in _PATHS.keys() & entries.keys():
        path: str = entries[key]
        if path == "~" or path.startswith("~/"):
            path = person + path[1:]
        expanded[key] = os.path.normpath(os.path.join(base, path))
    return expanded


def _assemble(kind: type[C], entries: dict[Key, Any], source: Source) -> C:
    return typing.cast(C, dataclasses.replace(_with(kind(), entries, ()), source=source))


def _with(section: Any, entries: dict[Key, Any], prefix: Key) -> Any:
    """The section with the entries below `prefix` in place of its values."""
    changed = {}
    for field in dataclasses.fields(section):
        key = (*prefix, field.name)
        old = getattr(section, field.name)
        if key in sections():
            changed[field.name] = _with(old, entries, key)
        elif key in entries:
            changed[field.name] = entries[key]
    return dataclasses.replace(section, **changed)


def origin(config: Settings, key: str) -> str:
    """`default`, `FILE:LINE` or `environment variable NAME`."""
    path = require_key(key)
    source = config.source
    if source is None:
        return "default"
    if path in source.variables:
        return f"environment variable {source.variables[path]}"
    return f"{source.where}:{KeyLines(source.text).line(path)}" if path in source.in_file else "default"


def require_key(key: str) -> Key:
    """The key's path. Raises `ConfigError`, with the nearest key, when there is none."""
    path = tuple(key.split("."))
    if path not in fields():
        near = nearest(key)
        problem = f"there is no such key, the nearest is {near}" if near else "there is no such key"
        raise ConfigError("", problem, "at config lists all keys", key=key)
    return path
