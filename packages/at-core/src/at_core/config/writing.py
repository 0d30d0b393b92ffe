"""`Config` to TOML, to rows for a person, and a file edited in place with its comments kept."""

from __future__ import annotations

import os
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

    keys = require_key(key)
    try:
        value = from_text(fields()[keys], text)
    except ValueError as error:
        raise ConfigError(
            "", str(error), f"at config {key} VALUE", key=key, allowed=allowed(fields()[keys])
        ) from error
    target, before = _file(path)
    document = tomlkit.parse(before)
    table: Any = document
    for name in keys[:-1]:
        if name not in table:
            if table is document and before.strip():
                document.add(tomlkit.nl())
            table[name] = tomlkit.table(is_super_table=name == "agents")
        table = table[name]
        if not isinstance(table, dict):
            raise ConfigError(str(target), f"{name} is no table", "correct the file by hand first", key=key)
    table[keys[-1]] = list(value) if isinstance(value, tuple) else value
    _replace(target, tomlkit.dumps(document))


def unset_value(key: str, path: str | Path | None = None) -> None:
    """Take one key out of the file, if it is there: its default counts again. As `set_value` in all else."""
    import tomlkit  # only editing needs it

    keys = require_key(key)
    target, before = _file(path)
    document = tomlkit.parse(before)
    table: Any = document
    for name in keys[:-1]:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if isinstance(table, dict) and keys[-1] in table:
        del table[keys[-1]]
        _replace(target, tomlkit.dumps(document))


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
