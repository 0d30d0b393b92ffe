"""`Config` to TOML, to rows for a person, and a file edited in place with its comments kept."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from at_core.config.file import KeyLines, parse_toml, read_text
from at_core.config.model import NOT_USED_YET, Key, Setting, Settings
from at_core.config.reading import fields, require_key
from at_core.config.values import allowed, from_text, to_toml_value
from at_core.errors import ConfigError
from at_core.paths import Home


def value_of(config: Settings, key: Key) -> Any:
    """The value of one key."""
    found: Any = config
    for name in key:
        found = getattr(found, name)
    return found


def to_toml(config: Settings) -> str:
    """Every key with a value, section by section."""
    lines: list[str] = []
    section: Key = ()
    for key in fields():
        value = value_of(config, key)
        if value is None:
            continue
        if key[:-1] != section:
            section = key[:-1]
            lines += ["", f"[{'.'.join(section)}]"]
        lines.append(f"{key[-1]} = {to_toml_value(value)}")
    return "\n".join(lines[1:]) + "\n"


def describe(config: Settings) -> list[Setting]:
    """Every key with value, origin and what is allowed."""
    source = config.source
    lines = KeyLines(source.text if source else "")
    rows = []
    for key, hint in fields().items():
        value = value_of(config, key)
        origin = "default"
        if source and key in source.variables:
            origin = f"environment variable {source.variables[key]}"
        elif source and key in source.in_file:
            origin = f"{source.where}:{lines.line(key)}"
        text = "" if value is None else to_toml_value(value)
        used = NOT_USED_YET.isdisjoint((key[0], ".".join(key)))
        rows.append(Setting(".".join(key), text, origin, allowed(hint), used))
    return rows


def set_value(key: str, text: str, path: str | Path | None = None) -> None:
    """Write one key into the file (None: the home folder's), which keeps its comments and order.

    `text` is what a person typed: a text as it is, anything else as TOML writes it. The file is replaced in one step
    and readable by its owner alone; a link is followed. Another mistake in it is no obstacle, so that several can be
    corrected one by one. Raises `ConfigError`, and has written nothing then: unknown key, value not allowed, a file
    that is no TOML or cannot be written.
    """
    import tomlkit  # only editing needs it
    from tomlkit.items import InlineTable

    keys = require_key(key)
    try:
        value = from_text(fields()[keys], text)
    except ValueError as error:
        raise ConfigError(
            "", str(error), f"at config {key} VALUE", key=key, allowed=allowed(fields()[keys])
        ) from error
    target, before = _file(path)
    _require_tables(keys, before, target)
    plain = list(value) if isinstance(value, tuple) else value

    def put() -> str:
        document = tomlkit.parse(before if before.endswith("\n") else f"{before}\n" if before else "")
        table: Any = document
        for name in keys[:-1]:
            if name not in table:
                if table is document and before.strip():
                    document.add(tomlkit.nl())
                table[name] = (
                    tomlkit.inline_table()
                    if isinstance(table, InlineTable)
                    else tomlkit.table(is_super_table=name == "agents")
                )
            table = table[name]
        table[keys[-1]] = plain
        return tomlkit.dumps(document)

    def append() -> str:
        # tomlkit puts a new section right behind its siblings, where it may take keys in that stood in none.
        return f"{before.rstrip()}\n\n[{'.'.join(keys[:-1])}]\n{keys[-1]} = {to_toml_value(value)}\n"

    _edit(target, before, keys, (put, append), _others(before, keys) | {keys: repr(plain)})


def unset_value(key: str, path: str | Path | None = None) -> None:
    """Take one key out of the file, if it is there: its default counts again. As `set_value` in all else."""
    import tomlkit  # only editing needs it

    keys = require_key(key)
    target, before = _file(path)
    found: Any = tomllib.loads(before)
    for name in keys:
        if not isinstance(found, dict) or name not in found:
            return
        found = found[name]

    def take_out() -> str:
        document = tomlkit.parse(before)
        table: Any = document
        for name in keys[:-1]:
            table = table[name]
        del table[keys[-1]]
        return tomlkit.dumps(document)

    _edit(target, before, keys, (take_out,), _others(before, keys))


def _require_tables(keys: Key, before: str, target: Path) -> None:
    """Raise `ConfigError` where something else stands in the place of a section."""
    found: Any = tomllib.loads(before)
    for size, name in enumerate(keys[:-1], 1):
        found = found.get(name, {})
        if not isinstance(found, dict):
            line = KeyLines(before).line(keys[:size])
            raise ConfigError(
                str(target),
                f"{name} is no table",
                "correct the file by hand first",
                line=line,
                key=".".join(keys),
            )


def _edit(
    target: Path, before: str, keys: Key, ways: Sequence[Callable[[], str]], wanted: dict[Key, str]
) -> None:
    """Write the text of the first of `ways` whose entries are `wanted`. Raises `ConfigError` if there is none."""
    from tomlkit.exceptions import TOMLKitError  # only editing needs it

    for way in ways:
        try:
            after = way()
            made = _entries(tomllib.loads(after))
        except (TOMLKitError, ValueError, TypeError, LookupError, AttributeError):
            continue  # tomlkit has no one error for what it cannot edit
        if made == wanted:
            _replace(target, after)
            return
    raise _by_hand(target, before, keys)


def _by_hand(target: Path, before: str, keys: Key) -> ConfigError:
    written: Any = tomllib.loads(before)
    size = 0
    while size < len(keys) and isinstance(written, dict) and keys[size] in written:
        written = written[keys[size]]
        size += 1
    return ConfigError(
        str(target),
        "cannot be changed in the way it is written",
        "correct the file by hand",
        line=KeyLines(before).line(keys[:size]) if size else 0,
        key=".".join(keys),
    )


def _others(before: str, keys: Key) -> dict[Key, str]:
    """The values of a document but for what stands at `keys`."""
    found = _entries(tomllib.loads(before))
    return {key: value for key, value in found.items() if key[: len(keys)] != keys}


def _entries(table: dict[str, Any], prefix: Key = ()) -> dict[Key, str]:
    """Every value of a document that is no table, as Python writes it: so that NaN, too, is what it was."""
    found: dict[Key, str] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _entries(value, (*prefix, name))
        else:
            found[(*prefix, name)] = repr(value)
    return found


def _file(path: str | Path | None) -> tuple[Path, str]:
    """The file to edit and its text. Raises `ConfigError` where that is no TOML."""
    target = Path(os.path.realpath(Home.find().config_file if path is None else path))
    before = read_text(target) or ""
    parse_toml(before, str(target))
    return target, before


def _replace(target: Path, text: str) -> None:
    import tempfile  # only editing needs it

    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{target.name}.", dir=target.parent
        )  # made with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:  # whatever ends it, no half file is left behind
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigError(str(target), f"cannot be written: {error.strerror}", "check its folder") from error
