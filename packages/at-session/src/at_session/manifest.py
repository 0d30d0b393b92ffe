"""Further CLIs: a TOML file says what a program is called and which of our protocols it speaks.

`load` reads one file, `read_folder` all of a folder; `driver_of` in `drivers/declared.py` makes a driver of one. A file
with a mistake is told in one line with its path, line and key, and keeps no other from being used.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from at_session import foreign_files
from at_session import manifest_checks as checks
from at_session.drivers import known_clis
from at_session.errors import LaunchRefused, ManifestError, NotRegularFile, TooLargeFile
from at_session.manifest_checks import NAME
from at_session.vocabulary import Allow

if TYPE_CHECKING:
    from at_session.vocabulary import Driver

ACP = "acp"
PROTOCOLS = (ACP, "demo", "claude-stream-json", "codex-app-server")
RESERVED = frozenset({*known_clis(), "open_code", "other", "all", "none"})
"""Names that mean something else wherever a CLI is named."""
MAX_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class PermissionMode:
    """What one permission mode is for this CLI: an ACP mode id, further arguments, variables."""

    mode: str | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A CLI as its file declares it. `docs/manifests.md` of the product explains each key.

    `{private}` in an argument or the value of a variable stands for the agent's own folder outside the repository.
    `allow` is the permission mode where none is asked for. What `timeout_seconds` and the budgets mean is the
    caller's matter; they are None where the file does not say.
    """

    name: str
    binary: str
    protocol: str
    path: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    permission_modes: Mapping[Allow, PermissionMode]
    allow: Allow
    login_hint: str = ""
    draws_on: str = ""
    unreported: tuple[str, ...] = ()
    timeout_seconds: int | None = None
    budget_day_usd: float | None = None
    budget_day_tokens: int | None = None
    command_marks: tuple[str, ...] = ("/",)
    replays_late: bool = False

    def mode(self, allow: Allow) -> PermissionMode:
        """What the mode is for this CLI. Raises LaunchRefused for one that the file does not name."""
        found = self.permission_modes.get(allow)
        if found is None:
            named = ", ".join(self.permission_modes)
            raise LaunchRefused(
                self.name, f"its manifest names no permission mode {allow.value!r}", f"there are {named}"
            )
        return found

    def program(self, environment: Mapping[str, str]) -> str:
        """The binary with a leading `~` as the path that it stands for."""
        if not self.binary.startswith("~/"):
            return self.binary
        return os.path.join(environment.get("HOME") or os.path.expanduser("~"), self.binary[2:])

    def find(self, environment: Mapping[str, str]) -> str | None:
        """The path of its program under the caller's environment and the manifest's, or None."""
        path = self.environment.get("PATH", environment.get("PATH"))
        return shutil.which(self.program(environment), path=path)


@dataclass(frozen=True, slots=True)
class Folder:
    """The manifests of a folder by the CLI's name, and those that cannot be used by the file's name without `.toml`."""

    found: Mapping[str, Manifest] = field(default_factory=dict)
    broken: Mapping[str, ManifestError] = field(default_factory=dict)


def load(path: Path) -> Manifest:
    """One manifest. Raises ManifestError for the first mistake in it, with the number of the others."""
    text = _read(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, told = _place(str(error), text)
        raise ManifestError(path, f"is not TOML: {told}", line=line) from error
    except RecursionError as error:
        raise ManifestError(path, "is nested too deeply") from error
    return _manifest(path, text, document)


def read_folder(folder: Path) -> Folder:
    """Every `*.toml` of a folder in the order of their names; a folder that is not there has none."""
    found: dict[str, Manifest] = {}
    broken: dict[str, ManifestError] = {}
    for path in files_in(folder):
        try:
            manifest = load(path)
            if manifest.name in found:
                other = found[manifest.name].path
                raise ManifestError(path, f"{manifest.name!r} is declared in {other} already", key="name")
            found[manifest.name] = manifest
        except ManifestError as error:
            broken[path.stem] = error
    return Folder(found, broken)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that are manifests by their name."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.name[0] != ".")
    except OSError:  # there is none, or it is closed to us
        return []


def driver_of(manifest: Manifest) -> type[Driver]:
    """The driver of a declared CLI; its `launch` raises LaunchRefused for a permission mode that is not named."""
    from at_session.drivers import declared  # the drivers are loaded when one is asked for

    return declared.driver_of(manifest)


def _read(path: Path) -> str:
    try:
        data = foreign_files.read_bytes(path, MAX_BYTES)
    except (NotRegularFile, TooLargeFile) as error:
        raise ManifestError(path, error.problem) from error
    except OSError as error:
        raise ManifestError(path, f"cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(path, f"is not UTF-8 (byte 0x{data[error.start]:02x})", line=line) from error


def _place(problem: str, text: str) -> tuple[int, str]:
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", problem)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    return line, problem[: found.start()] if found else problem


def _manifest(path: Path, text: str, document: Mapping[str, Any]) -> Manifest:
    wrong = list(_mistakes(path, document))
    if wrong:
        placed = sorted(
            (each.at_line(line_of(text, each.key)) for each in wrong),
            key=lambda each: (not each.line, each.line),
        )
        raise placed[0].and_more(len(placed) - 1)
    given = {name: value for name, value in document.items() if name not in ("dialect", "permission_modes")}
    for name in ("arguments", "unreported"):
        given[name] = tuple(given.get(name, ()))
    modes = _modes(document)
    return Manifest(
        **{
            "name": path.stem,
            "login_hint": f"run `{document['binary']}` and log in",
            "draws_on": f"whatever `{document['binary']}` is logged in to",
            **given,
            **{name: _plain(value) for name, value in document.get("dialect", {}).items()},
            "path": path,
            "permission_modes": modes,
            "allow": Allow(document.get("allow") or _default(modes)),
        }
    )


def _mistakes(path: Path, document: Mapping[str, Any]) -> Iterator[ManifestError]:
    """Everything that is wrong, without its line."""
    for key, problem, allowed in checks.mistakes(document, PROTOCOLS, ACP):
        yield ManifestError(path, problem, key=key, allowed=allowed)
    name = document.get("name", path.stem)
    if isinstance(name, str) and not NAME.fullmatch(name):
        problem = f"{name!r} is no name for a CLI"
        yield ManifestError(path, problem, key="name", allowed="letters, digits, `.`, `_`, `-`, at most 40")
    elif isinstance(name, str) and name.lower() in RESERVED:
        yield ManifestError(path, f"{name!r} is a name of ours", key="name", allowed="any other name")
    modes = document.get("permission_modes", {})
    if isinstance(modes, dict) and document.get("protocol") in PROTOCOLS:
        yield from _wrong_modes(path, document, modes)


def _wrong_modes(
    path: Path, document: Mapping[str, Any], modes: Mapping[str, Any]
) -> Iterator[ManifestError]:
    if not modes and (document["protocol"] == ACP or "permission_modes" in document):
        problem = "no permission mode is named, so none could be used"
        yield ManifestError(path, problem, key="permission_modes", allowed="ask, edits, all")
        return
    allow = document.get("allow")
    if modes and allow in set(Allow) and allow not in modes:
        told = f"{allow!r} is not among the permission modes that are named"
        yield ManifestError(path, told, key="allow", allowed=", ".join(modes))
    if set(modes) == {Allow.ALL.value} and allow is None:
        problem = "it has to be said that everything is allowed where nothing is asked for"
        yield ManifestError(path, problem, key="allow", allowed='"all"')


def _modes(document: Mapping[str, Any]) -> dict[Allow, PermissionMode]:
    """The named ones in our order; all of them, as they are in the protocol's driver, where the file has none."""
    given: Mapping[str, Any] = document.get("permission_modes") or {allow.value: {} for allow in Allow}
    found = {}
    for allow in Allow:
        value = given.get(allow.value)
        if isinstance(value, str):
            found[allow] = PermissionMode(value)
        elif value is not None:
            found[allow] = PermissionMode(**{name: _plain(each) for name, each in value.items()})
    return found


def _default(modes: Mapping[Allow, PermissionMode]) -> Allow:
    return Allow.EDITS if Allow.EDITS in modes else Allow.ASK


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def line_of(text: str, key: str) -> int:
    """The line, from 1, on which a dotted key's entry begins; 0 where that cannot be told.

    It stands right behind the longest leading part of the text that is TOML without it.
    """
    parts = tuple(key.split("."))
    lines = text.splitlines(keepends=True)
    for count in range(len(lines) - 1, -1, -1):
        if parts[-1] not in lines[count]:
            continue
        try:
            document = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if not _has(document, parts):
            return count + 1 if _has(tomllib.loads(text), parts) else 0
    return 0


def _has(document: Any, key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True
