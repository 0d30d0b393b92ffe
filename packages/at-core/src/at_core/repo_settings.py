"""`.auto-tundra.toml`, the file in which a repository says how its work is proved and landed.

    target = "main"                      # where work lands; without it the branch the rig was made with
    landing = "manual"                   # or "auto": what is proved merges by itself

    [gates]
    lint = "ruff check ."                # a name and a command line for the shell
    [gates.test]
    run = "make test"
    timeout_seconds = 600

    [worktree]
    setup = ["make deps"]                # once in a new folder, before the agent starts
    run = []                             # each time before it starts
    teardown = []                        # before the folder is removed
    timeout_seconds = 600                # for each of these commands
    warm = 2                             # folders whose files are written before a bead wants one
    [worktree.cache]                     # what `setup` makes, kept for folders with the same
    paths = ["node_modules"]
    key = ["package-lock.json"]
    instead = false                      # true: a folder that gets it needs no `setup`

It may say nothing else: agents, permissions and the environment are the person's own. Only what the person has
trusted, known by `content_hash`, is acted upon.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from at_core.config import values
from at_core.config.file import KeyLines, parse_toml
from at_core.errors import ConfigError

FILE_NAME = ".auto-tundra.toml"
DEFAULT_TIMEOUT_SECONDS = 1800
MAX_GATES = 32
MAX_COMMANDS = 32
MAX_CACHED = 16
MAX_WARM = 8

_GATE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.IGNORECASE)
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.))[A-Za-z0-9_][A-Za-z0-9._/@+-]{0,199}(?<![./])")
_TIMEOUT = Annotated[int, values.Within(1, 24 * 3600)]
_WARM = Annotated[int, values.Within(0, MAX_WARM)]
_THE_PERSONS = {
    "agents", "agent", "security", "environment", "env", "pass_env", "general", "daemon", "providers", "cache", "bridge"
}  # fmt: skip
_ALLOWED = ("target", "landing", "gates", "worktree")


@dataclass(frozen=True, slots=True)
class Gate:
    """A check that must pass: `run` is a command line for the shell, in the top folder of the tree."""

    name: str
    run: str
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class FolderCache:
    """Folders that `setup` makes, and the files that they depend on; `instead`: they make `setup` needless."""

    paths: tuple[str, ...]
    key: tuple[str, ...]
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Worktree:
    """Command lines around the life of a bead's folder, each with the same time limit; how many are kept `warm`."""

    setup: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    cache: FolderCache | None = None
    warm: int = 0


@dataclass(frozen=True, slots=True)
class RepoSettings:
    """What the file says; the defaults are those of a repository without one."""

    target: str | None = None
    landing: Literal["manual", "auto"] = "manual"
    gates: tuple[Gate, ...] = ()
    worktree: Worktree = Worktree()


def content_hash(content: bytes) -> str:
    """The name of exactly this content: SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def parse(text: str, where: str = FILE_NAME, timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS) -> RepoSettings:
    """The settings of a file's text; `where` names it in errors, and a gate that
    names no limit gets `timeout_seconds`.

    Raises `ConfigError` for the first mistake, with the number of the others.
    """
    reader = _Reader(where, KeyLines(text))
    document = parse_toml(text, where)
    reader.known((), document, _ALLOWED)
    settings = RepoSettings(
        target=reader.value(("target",), document, None, _branch, "the name of a branch"),
        landing=reader.value(
            ("landing",), document, "manual", _of(Literal["manual", "auto"]), '"manual" | "auto"'
        ),
        gates=_gates(reader, reader.table(("gates",), document), timeout_seconds),
        worktree=_worktree(reader, reader.table(("worktree",), document)),
    )
    reader.finish()
    return settings


def _gates(reader: _Reader, table: dict[str, Any], timeout_seconds: int) -> tuple[Gate, ...]:
    gates = []
    for name, entry in table.items():
        key = ("gates", name)
        if not _GATE_NAME.fullmatch(name):
            reader.wrong(
                key,
                f"{values.shown(name)} is no name for a gate",
                "letters, digits, '_', '-', '.', at most 40",
            )
        elif isinstance(entry, dict):
            reader.known(key, entry, ("run", "timeout_seconds"))
            if "run" not in entry:
                reader.wrong(key, "says no command", 'run = "COMMAND"')
            run = reader.value((*key, "run"), entry, "", _command, "a command line, not empty")
            limit = reader.value(
                (*key, "timeout_seconds"),
                entry,
                timeout_seconds,
                _of(_TIMEOUT),
                values.allowed(_TIMEOUT),
            )
            gates.append(Gate(name, run, limit))
        else:
            run = reader.value(key, table, "", _command, "a command line, not empty")
            gates.append(Gate(name, run, timeout_seconds))
    if len(gates) > MAX_GATES:
        reader.wrong(("gates",), f"there are {len(gates)} gates", f"at most {MAX_GATES}")
    return tuple(gates)


def _worktree(reader: _Reader, table: dict[str, Any]) -> Worktree:
    reader.known(("worktree",), table, ("setup", "run", "teardown", "timeout_seconds", "warm", "cache"))
    allowed = f"a command line or a list of them, at most {MAX_COMMANDS}"
    phases = {
        phase: reader.value(("worktree", phase), table, (), _commands, allowed)
        for phase in ("setup", "run", "teardown")
    }
    limit = reader.value(
        ("worktree", "timeout_seconds"),
        table,
        DEFAULT_TIMEOUT_SECONDS,
        _of(_TIMEOUT),
        values.allowed(_TIMEOUT),
    )
    warm = reader.value(("worktree", "warm"), table, 0, _of(_WARM), values.allowed(_WARM))
    return Worktree(**phases, timeout_seconds=limit, cache=_cache(reader, table), warm=warm)


def _cache(reader: _Reader, worktree: dict[str, Any]) -> FolderCache | None:
    if "cache" not in worktree:
        return None
    key = ("worktree", "cache")
    table = reader.table(key, worktree)
    reader.known(key, table, ("paths", "key", "instead"))
    allowed = f"paths inside the repository, at least one and at most {MAX_CACHED}"
    for name in ("paths", "key"):
        if name not in table:
            reader.wrong(key, f"says no {name}", f"{name} = [{allowed}]")
    return FolderCache(
        reader.value((*key, "paths"), table, (), _paths, allowed),
        reader.value((*key, "key"), table, (), _paths, allowed),
        reader.value((*key, "instead"), table, False, _of(bool), "true | false"),
    )


class _Reader:
    """Takes values out of the document and gathers what is wrong with them."""

    def __init__(self, where: str, lines: KeyLines) -> None:
        self._where = where
        self._lines = lines
        self._mistakes: list[tuple[int, ConfigError]] = []

    def wrong(self, key: tuple[str, ...], problem: str, allowed: str) -> None:
        line = self._lines.line(key)
        hint = "correct the file and commit it; at init shows what is read"
        error = ConfigError(self._where, problem, hint, line=line, key=".".join(key), allowed=allowed)
        self._mistakes.append((line, error))

    def known(self, prefix: tuple[str, ...], table: dict[str, Any], names: tuple[str, ...]) -> None:
        for name in table:
            if name in names:
                continue
            if not prefix and name.lower() in _THE_PERSONS:
                problem = "a repository cannot set this; it belongs in your own config.toml"
            else:
                near = get_close_matches(name, names, n=1)
                problem = f"there is no such key{f'; nearest is {near[0]}' if near else ''}"
            self.wrong((*prefix, name), problem, ", ".join(names))

    def table(self, key: tuple[str, ...], parent: dict[str, Any]) -> dict[str, Any]:
        found = parent.get(key[-1], {})
        if isinstance(found, dict):
            return found
        self.wrong(key, f"{values.shown(found)} is not allowed", f"a table: [{'.'.join(key)}]")
        return {}

    def value(
        self,
        key: tuple[str, ...],
        table: dict[str, Any],
        default: Any,
        check: Callable[[Any], Any],
        allowed: str,
    ) -> Any:
        if key[-1] not in table:
            return default
        value = table[key[-1]]
        try:
            return check(value)
        except ValueError:
            self.wrong(key, f"{values.shown(value)} is not allowed", allowed)
            return default

    def finish(self) -> None:
        if self._mistakes:
            first, *others = sorted(self._mistakes, key=lambda mistake: mistake[0])
            raise first[1].and_more(len(others))


def _of(hint: Any) -> Callable[[Any], Any]:
    return lambda value: values.check(hint, value)


def _branch(value: Any) -> str:
    if not isinstance(value, str) or not _BRANCH.fullmatch(value):
        raise ValueError
    return value


def _command(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError
    return value


def _commands(value: Any) -> tuple[str, ...]:
    commands = value if isinstance(value, list) else [value]
    if len(commands) > MAX_COMMANDS:
        raise ValueError
    return tuple(map(_command, commands))


def _paths(value: Any) -> tuple[str, ...]:
    paths = value if isinstance(value, list) else [value]
    if not 1 <= len(paths) <= MAX_CACHED:
        raise ValueError
    return tuple(map(_inside, paths))


def _inside(value: Any) -> str:
    parts = value.removesuffix("/").split("/") if isinstance(value, str) else [""]
    if any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts):
        raise ValueError
    return "/".join(parts)
