"""`at config`: settings, what they are and where each comes from."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import click

from at_cli.face import Face
from at_cli.style import Look, TableCell
from at_cli.verb import verb
from at_core.config import Config, set_value
from at_core.errors import AtError

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
@click.option(
    "--show-origin", is_flag=True, help="Where each value comes from: file and line, variable, default."
)
def command(face: Face, key: str | None, value: str | None, show_origin: bool) -> None:
    """Show all settings, those of a section, or the one called KEY; with VALUE, set it.

    Settings are read when the daemon starts: at down --keep-agents, then at up.
    """
    path = face.home.config_file
    if key is not None and value is not None:
        face.home.make()
        set_value(key, value, path)
    settings = Config.load_from(path, face.environ).describe()
    one = next((setting for setting in settings if setting.key == key), None)
    if one is not None:
        shown = _plain(one) if not show_origin else f"{_plain(one)}  ({one.origin})"
        face.emit(_document(one), [face.style.plain(shown)])
        return
    section = [setting for setting in settings if key is None or setting.key.startswith(f"{key}.")]
    if not section:
        raise _no_such_key(key or "")
    face.emit(
        {"file": str(path), "settings": [_document(setting) for setting in section]},
        _lines(section, show_origin, face.style),
    )


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
    }


def _plain(setting: Setting) -> str:
    """A text without its quotes, as a script wants it; all else as TOML has it."""
    value = _value(setting)
    return value if isinstance(value, str) else setting.value


def _lines(settings: list[Setting], show_origin: bool, style: Look) -> list[str]:
    def row(setting: Setting) -> tuple[TableCell, ...]:
        colour = "dim" if setting.origin == "default" else ""
        cells = (TableCell(setting.key, colour), TableCell(style.plain(setting.value) or "(none)", colour))
        return (*cells, TableCell(style.plain(setting.origin), "dim")) if show_origin else cells

    return style.table([row(setting) for setting in settings])
