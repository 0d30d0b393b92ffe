"""What OpenCode may do unasked: the mode's rules, put so that they never loosen what the person's settings deny.

The CLI allows everything in the folder by default. `OPENCODE_PERMISSION` is merged over all settings: a key that the
person has keeps its place, a new one comes last, and of the rules that match the last one counts. So the person's rules
for a tool are read, tightened, and given whole under a new key. Settings of an organisation's server are not seen.

Source: https://opencode.ai/docs/permissions and https://opencode.ai/docs/config; behaviour of opencode 1.18.33.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from at_session import foreign_files
from at_session.drivers.jsonlines import Object, object_of, text_of
from at_session.errors import LaunchRefused, NotRegularFile, TooLargeFile
from at_session.vocabulary import Allow

_NAMES = ("config.json", "opencode.json", "opencode.jsonc")
_MANAGED = Path("/etc/opencode")
_ASKED = {Allow.ASK: ("bash", "edit"), Allow.EDITS: ("bash",), Allow.ALL: ()}
_EDITING = ("edit", "write", "patch")
# An open end is taken too: each text and comment is gone through once, however many have no end.
_TEXT_OR_COMMENT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TEXT_OR_COMMA = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*[}\]])', re.DOTALL)
_SETTINGS_LIMIT = 1 << 20


def permission(allow: Allow, env: Mapping[str, str], cwd: str) -> str | None:
    """The value of OPENCODE_PERMISSION for a mode; None where the person's own needs no change.

    Raises LaunchRefused for settings that the CLI might read and we do not: no regular file, or a very large one.
    Raises it too where no name is left under which a rule would count.
    """
    tools = _ASKED[allow]
    if not tools:
        return None
    settings = _persons(env, cwd)
    wanted = dict(object_of(_json(env.get("OPENCODE_PERMISSION", ""))))
    for tool in tools:
        wanted[_new_key(tool, settings)] = _tightened(tool, settings)
    return json.dumps(wanted)


def _new_key(tool: str, settings: Object) -> str:
    """A name for the tool that the settings do not have: under one of theirs it would not come last."""
    names = (tool, *(f"{tool[:at]}?{tool[at + 1 :]}" for at in range(len(tool) - 1, -1, -1)))
    for name in names:
        if name not in settings:
            return name
    raise LaunchRefused("opencode", f"its settings name {tool} in every way there is", "name it once")


def _tightened(tool: str, settings: Object) -> dict[str, str]:
    """The rules for a tool in the order in which they count, with `ask` in place of `allow`."""
    rules = {"*": "ask"}
    for name, given in settings.items():
        if not _matches(name, tool):
            continue
        for pattern, action in _patterns(given):
            rules.pop(pattern, None)
            rules[pattern] = "deny" if action == "deny" else "ask"
    return rules


def _patterns(given: object) -> Iterator[tuple[str, str]]:
    if isinstance(given, str):
        yield "*", given
    for pattern, action in object_of(given).items():
        yield pattern, text_of(action)


def _matches(name: str, tool: str) -> bool:
    if len(name) - name.count("*") > len(tool):
        return False
    # Several stars say what one does, and would be tried in every combination.
    short = re.sub(r"\*+", "*", name)
    words = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in short)
    return re.fullmatch(words, tool, re.DOTALL) is not None


def _persons(env: Mapping[str, str], cwd: str) -> Object:
    """The person's permissions, merged as the CLI does it."""
    found: Object = {}
    tools: Object = {}
    for settings in _settings(env, cwd):
        given = settings.get("permission")
        found = _merged(found, {"*": given} if isinstance(given, str) else object_of(given))
        tools |= object_of(settings.get("tools"))
    found = _merged(found, object_of(_json(env.get("OPENCODE_PERMISSION", ""))))
    old: Object = {}
    for tool, enabled in tools.items():
        old["edit" if tool in _EDITING else tool] = "allow" if enabled else "deny"
    return _merged(old, found)


def _merged(under: Object, over: Object) -> Object:
    result = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = _merged(result[name], value) if both else value
    return result


def _settings(env: Mapping[str, str], cwd: str) -> Iterator[Object]:
    home = Path(env.get("HOME") or os.path.expanduser("~"))
    yield from _of_folder(Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "opencode")
    if env.get("OPENCODE_CONFIG"):
        yield _read(Path(cwd, env["OPENCODE_CONFIG"]))
    project = [] if env.get("OPENCODE_DISABLE_PROJECT_CONFIG") else _up_to_the_worktree(Path(cwd))
    for folder in project:
        yield from _of_folder(folder)
    for folder in (*project, home):
        yield from _of_folder(folder / ".opencode")
    if env.get("OPENCODE_CONFIG_DIR"):
        yield from _of_folder(Path(cwd, env["OPENCODE_CONFIG_DIR"]))
    yield object_of(_json(env.get("OPENCODE_CONFIG_CONTENT", "")))
    yield from _of_folder(_MANAGED)


def _up_to_the_worktree(cwd: Path) -> list[Path]:
    folders: list[Path] = []
    for folder in (cwd, *cwd.parents):
        folders.insert(0, folder)
        if (folder / ".git").exists():
            return folders
    return [cwd]


def _of_folder(folder: Path) -> Iterator[Object]:
    for name in _NAMES:
        yield _read(folder / name)


def _read(path: Path) -> Object:
    """Settings; empty where the CLI has none of them either. What only the CLI might read could loosen every rule."""
    try:
        data = foreign_files.read_bytes(path, _SETTINGS_LIMIT)
    except (NotRegularFile, TooLargeFile) as error:
        if path.is_dir():
            return {}
        raise LaunchRefused(
            "opencode", f"its settings {path} {error.problem}", "mend or remove it"
        ) from error
    except OSError:
        return {}
    return object_of(_json(data.decode("utf-8", "replace")))


def _json(text: str) -> object:
    """JSON with comments and trailing commas; None if it is none, as the CLI then does not start either."""
    plain = _TEXT_OR_COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    plain = _TEXT_OR_COMMA.sub(lambda found: found[0] if found[0][0] == '"' else "", plain)
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return None
