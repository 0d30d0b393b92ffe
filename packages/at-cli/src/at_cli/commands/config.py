"""`at config`: settings, what they are and where each comes from."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from at_cli.face import Face
from at_cli.style import Look, TableCell
from at_cli.verb import verb
from at_core.config import Config, ConfigError, set_value, unset_value
from at_core.config.reading import variable
from at_core.config.values import to_toml_value
from at_core.errors import AtError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from at_core.config import Setting


def _keys(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    face = ctx.find_object(Face)
    plain = face.style.plain if face else str
    return [
        CompletionItem(setting.key, help=plain(f"{setting.value or '(none)'}; {setting.allowed}"))
        for setting in _settings(face)
        if setting.key.startswith(incomplete)
    ]


def _values(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The words that are allowed, where it is a matter of words."""
    from click.shell_completion import CompletionItem

    allowed = next((each.allowed for each in _settings(None) if each.key == ctx.params.get("key")), "")
    words = [word.strip('"') for word in allowed.split(" | ")] if " | " in allowed else []
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _settings(face: Face | None) -> list[Setting]:
    """Those of the call; as shipped where the call's cannot be read."""
    try:
        return (Config.load_from(face.home.config_file, face.environ) if face else Config()).describe()
    except AtError:
        return Config().describe()


@verb(example="at config agents.claude.allow ask")
@click.argument("key", required=False, shell_complete=_keys)
@click.argument("value", required=False, shell_complete=_values)
@click.option("--unset", is_flag=True, help="Take KEY out of the file: its default counts again.")
@click.option(
    "--show-origin", is_flag=True, help="Where each value comes from: file and line, variable, default."
)
def command(face: Face, key: str | None, value: str | None, unset: bool, show_origin: bool) -> None:
    """Show all settings, those of a section, or the one called KEY; with VALUE, set it.

    Those of agents, budgets and git count at once; the daemon reads others when it starts: at down --keep-agents, at up.
    """
    path = face.home.config_file
    if unset and (key is None or value is not None):
        raise UsageError("--unset takes one key and no value", "at config KEY --unset")
    if key is not None and (unset or value is not None):
        _change(face, key, value, show_origin)
        return
    settings = Config.load_from(path, face.environ).describe()
    one = next((setting for setting in settings if setting.key == key), None)
    if one is not None:
        face.emit(_document(one), [_line(one, show_origin, face.style)])
        return
    section = [setting for setting in settings if key is None or setting.key.startswith(f"{key}.")]
    if not section:
        raise _no_such_key(key or "")
    document = {"file": str(path), "settings": [_document(setting) for setting in section]}
    lines = _lines(section, show_origin, face.style)
    if key is None:
        declared = _manifests(face)
        lines += [face.style.plain(f"{each['name']}: {each['trouble'] or each['path']}") for each in declared]
        document["manifests"] = declared
    face.emit(document, lines)


def _manifests(face: Face) -> list[dict[str, Any]]:
    """Further CLIs, whose settings are files of their own."""
    from at_session.manifest import read_folder

    folder = read_folder(face.home.clis)
    found = [{"name": each.name, "path": str(each.path), "trouble": None} for each in folder.found.values()]
    broken = [
        {"name": name, "path": str(error.path), "trouble": str(error)}
        for name, error in folder.broken.items()
    ]
    return [*found, *broken]


def _change(face: Face, key: str, value: str | None, show_origin: bool) -> None:
    """Set KEY, or take it out; then show what holds, and say so if that is something else or the rest is wrong."""
    path = face.home.config_file
    if value is None:
        unset_value(key, path)
    else:
        face.home.make()
        set_value(key, value, path)
    trouble = None
    try:
        settings = Config.load_from(path, face.environ).describe()
    except ConfigError as error:
        trouble, settings = error, Config().describe()
    setting = next(each for each in settings if each.key == key)
    if trouble is not None and value is not None:
        setting = replace(setting, value=_in_file(path, key), origin=str(path))
    named = variable(tuple(key.split(".")))
    overridden_by = named if face.environ.get(named) else None
    document = {**_document(setting), "overridden_by": overridden_by, "trouble": _trouble(trouble)}
    face.emit(document, [_line(setting, show_origin, face.style)])
    done = f"{'taken out of' if value is None else 'written to'} {path}"
    if trouble is not None:
        face.note(
            face.style.plain(f"at: {done}; what else is wrong: {trouble.message} (next: {trouble.hint})")
        )
    elif overridden_by is not None:
        face.note(face.style.plain(f"at: {done}, to no effect while {overridden_by} is set"))


def _in_file(path: Path, key: str) -> str:
    found: Any = tomllib.loads(path.read_text("utf-8-sig"))
    for name in key.split("."):
        found = found[name]
    return to_toml_value(found)


def _trouble(error: ConfigError | None) -> dict[str, str] | None:
    return None if error is None else {"code": error.code, "message": error.message, "hint": error.hint}


def _line(setting: Setting, show_origin: bool, style: Look) -> str:
    return style.plain(f"{_plain(setting)}  ({setting.origin})" if show_origin else _plain(setting))


def _no_such_key(key: str) -> AtError:
    try:
        Config().origin(key)
    except AtError as error:
        return error
    raise AssertionError(f"{key} is a key and was not described")


def _value(setting: Setting) -> Any:
    return tomllib.loads(f"value = {setting.value}")["value"] if setting.value else None


def _document(setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "value": _value(setting),
        "origin": setting.origin,
        "allowed": setting.allowed,
        "used": setting.used,
    }


def _plain(setting: Setting) -> str:
    """A text without its quotes, as a script wants it; all else as TOML has it."""
    value = _value(setting)
    return value if isinstance(value, str) else setting.value


def _lines(settings: list[Setting], show_origin: bool, style: Look) -> list[str]:
    def row(setting: Setting) -> tuple[TableCell, ...]:
        colour = "dim" if setting.origin == "default" else ""
        cells = (TableCell(setting.key, colour), TableCell(style.plain(setting.value) or "(none)", colour))
        note = TableCell("" if setting.used else "not used yet", "dim")
        return (
            (*cells, TableCell(style.plain(setting.origin), "dim"), note) if show_origin else (*cells, note)
        )

    return style.table([row(setting) for setting in settings])
