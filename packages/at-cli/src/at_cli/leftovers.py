"""What the product keeps on this machine, and what others keep about it: found, listed, removed."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from at_cli.errors import NotAHome
from at_core.config import Config
from at_core.errors import ConfigError
from at_core.paths import Home, size_of
from at_daemon import lock


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of the home folder, or the store where that was moved to. `known` says that the product made it.

    `size` is in bytes; things in a folder of ours that are not ours do not count, and are entries of their own.
    """

    path: Path
    about: str
    size: int
    known: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Something outside the home folder that speaks of us and is not ours to remove."""

    owner: str
    path: str
    about: str


_STORE = "the store: beads, agents, events"
_NOTHING = r"(?!)"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DATE = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_BEAD = rf"(?!{_DATE}[0-9]{{4}})[0-9a-f]{{12}}"
"""Digits of an id, but no date with a time: of 380,000 ids one reads like that, and a folder that stays harms less."""
_WARM = rf"{_BEAD}-[0-7]"
_GATE = r"gate-[0-9a-f]{16}"
_KEPT = r"[0-9a-f]{32}|\.[0-9a-f]{32}\.(?:new|old)-[a-z0-9_]{8}"
_SET_UP = r"folder-[0-9a-f]{16}"
_SESSION = rf"(?:{_BEAD}-[0-9]+|{_GATE}|{_SET_UP})"
_LOG = r"at(?:-daemon)?\.jsonl(?:\.[0-9]+)?|daemon\.out(?:\.1)?"
_HOLDER = r"holder-[a-z0-9_-]+-[0-9a-f]{8}\.(?:pyc|[0-9]+)"


@dataclass(frozen=True, slots=True)
class _Folder:
    """One of our folders: what is in it, and how exactly the product calls the folders and the files there."""

    about: str
    folders: str = _NOTHING
    files: str = _NOTHING

    def made(self, path: Path) -> bool:
        """Whether `path` in it bears a name of ours and is of that kind; the product makes no links there."""
        if path.is_symlink():
            return False
        return re.fullmatch(self.folders if path.is_dir() else self.files, path.name) is not None


def _checkouts(name: str) -> tuple[str, str]:
    """A folder that `git` fills: beside it those that are made or removed just now, and its index with git's lock."""
    return (
        rf"{name}|\.{name}\.at-[a-z0-9_]{{8}}|\.{name}\.removed-[0-9]+-[0-9]+",
        rf"\.{name}\.index(?:\.lock)?",
    )


def _folders(home: Home) -> dict[Path, _Folder]:
    """The folders that `Home.make` makes in the home folder."""
    return {
        home.clis: _Folder("manifests of CLIs", files=r"[^.].*\.toml"),
        home.run: _Folder("sockets and locks", "h", r"at\.sock|daemon\.lock|start\.lock"),
        home.journal: _Folder("what agents were told and said", _SESSION),
        home.worktrees: _Folder("folders of beads", *_checkouts(_BEAD)),
        home.warm: _Folder("folders for beads to come", *_checkouts(_WARM)),
        home.gates: _Folder("folders in which gates ran", *_checkouts(_GATE)),
        home.folder_cache: _Folder("what set-ups made, for folders to come", _KEPT),
        home.scratch: _Folder("what was looked at once", r"\.overlap\.at-[a-z0-9_]{8}"),
        home.private: _Folder("what agent programs keep for us", _UUID),
        home.environments: _Folder("environments of agents", files=rf"{_UUID}\.(?:json|new)"),
        home.logs: _Folder("logs", "gates|worktrees", _LOG),
    }


def _inner_folders(home: Home) -> dict[Path, _Folder]:
    """Those in which names matter too."""
    return {
        home.holders: _Folder("sockets of holders", files=rf"{_SESSION}\.(?:sock|launch)|{_HOLDER}"),
        home.logs / "worktrees": _Folder(
            "logs of set-ups", files=rf"{_BEAD}-(?:setup|run|teardown)-[0-9]+\.log"
        ),
        home.logs / "gates": _Folder("logs of gates", files=r"[0-9a-f]{16}\.log"),
    }


def entries(home: Home, environ: Mapping[str, str]) -> list[Entry]:
    """What is in the home folder, and the store where the settings have moved it; empty if there is nothing."""
    store = _configured_store(home, environ)
    found = list(_in_home(home)) if home.root.is_dir() else []
    named = {entry.path for entry in found if entry.known}
    moved = [path for path in _store_files(store) if path not in named and os.path.lexists(path)]
    if not moved or whose_store(store) is not Whose.OURS:
        return found
    found = [entry for entry in found if entry.path not in moved]
    return found + [Entry(path, _STORE, size_of(path), True) for path in moved]


def _in_home(home: Home) -> Iterator[Entry]:
    folders = _folders(home)
    store_is_another_s = whose_store(home.store_file) is Whose.ANOTHER_S
    for path in sorted(home.root.iterdir()):
        if path in folders and path.is_symlink():
            yield Entry(path, folders[path].about, size_of(path), True)
        elif path in folders and path.is_dir():
            strangers = list(_strangers(home, path))
            yield Entry(path, folders[path].about, size_of(path) - sum(map(size_of, strangers)), True)
            yield from (Entry(each, "", size_of(each), False) for each in strangers)
        elif path.is_dir():
            yield Entry(path, "", size_of(path), False)
        elif path in _store_files(home.store_file):
            yield Entry(path, _STORE, size_of(path), not store_is_another_s)
        elif _is_settings(home, path):
            yield Entry(path, "settings", size_of(path), True)
        else:
            yield Entry(path, "", size_of(path), False)


def _strangers(home: Home, folder: Path) -> Iterator[Path]:
    """What the product did not make in a folder of ours."""
    inner = _inner_folders(home)
    about = (_folders(home) | inner)[folder]
    for path in sorted(folder.iterdir()):
        if not about.made(path):
            yield path
        elif path in inner:
            yield from _strangers(home, path)


def _is_settings(home: Home, path: Path) -> bool:
    """Whether it is the settings file, or a copy that a killed `at config` left; what a person saved of it is not."""
    name = re.escape(home.config_file.name)
    return re.fullmatch(rf"{name}|\.{name}\.[a-z0-9_]{{8}}", path.name) is not None


def _store_files(store: Path) -> list[Path]:
    return [Path(f"{store}{ending}") for ending in ("", "-wal", "-shm", "-journal", ".lock")]


def _configured_store(home: Home, environ: Mapping[str, str]) -> Path:
    try:
        return Path(Config.load_from(home.config_file, environ).cache.sqlite_path)
    except ConfigError:
        return home.store_file  # what cannot be read names no other


class Whose(StrEnum):
    """Who made the database in a file."""

    OURS = "ours"
    ANOTHER_S = "another program's"
    UNKNOWN = "unknown"
    """There is none, or it is empty or damaged."""


def whose_store(path: Path) -> Whose:
    """Told by the tables in it. Changes nothing."""
    if not path.is_file():
        return Whose.UNKNOWN
    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as connection:
            names = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
    except sqlite3.Error:
        return Whose.UNKNOWN
    if not names:
        return Whose.UNKNOWN
    return Whose.OURS if names >= {"alembic_version", "beads", "events"} else Whose.ANOTHER_S


def require_removable(home: Home, environ: Mapping[str, str]) -> None:
    """Raise `NotAHome` for a folder that must not be emptied, whatever `AT_HOME` says."""
    root = home.root.resolve()
    person = Path(environ.get("HOME") or "/").resolve()
    if root == person or root in person.parents:
        raise NotAHome(str(root), "it is your home folder, or holds it")
    if (root / ".git").exists():
        raise NotAHome(str(root), "it is a git repository")
    if home.root.exists() and home.root.stat().st_uid != os.geteuid():
        raise NotAHome(str(root), "it belongs to another user")
    if home.root.is_dir() and any(entry.known for entry in _in_home(home)) and not _has_sign(home):
        raise NotAHome(str(root), "nothing in it says that at made it")


def _has_sign(home: Home) -> bool:
    """Whether a daemon was at work in it, its store lies there, or all the folders that `Home.make` makes.

    An empty lock file is no sign: others call theirs so too. A daemon writes into it who it is.
    """
    return (
        (home.lock_file.is_file() and lock.owner(home).pid is not None)
        or whose_store(home.store_file) is Whose.OURS
        or all(folder.is_dir() for folder in (home.holders, *_folders(home)))
    )


def remove(home: Home, found: Iterable[Entry]) -> list[Path]:
    """Remove what of `found` the product made, and folders that are empty then; gives what could not be removed.

    Things that the product did not make stay, also where they lie in folders that it made.
    """
    found = list(found)
    stay = {entry.path for entry in found if not entry.known}
    left: list[Path] = []
    for entry in found:
        if entry.known:
            left += _remove_around(stay, entry.path)
    if home.root.is_dir() and not any(home.root.iterdir()):
        home.root.rmdir()
    return left


def _remove_around(stay: set[Path], path: Path) -> list[Path]:
    if path in stay:
        return []
    if path.is_symlink() or not any(path in each.parents for each in stay):
        return _remove_tree(path)
    return [each for child in path.iterdir() for each in _remove_around(stay, child)]


def _remove_tree(path: Path) -> list[Path]:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return []
    left: list[Path] = []

    def open_and_retry(function: Callable[..., Any], name: str, _error: Any) -> None:
        # Package caches make folders read-only; whoever owns them may still remove them.
        try:
            os.chmod(os.path.dirname(name), 0o700)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                function(name)
        except OSError:
            left.append(Path(name))

    shutil.rmtree(path, onerror=open_and_retry)
    return left


def elsewhere(home: Home, environ: Mapping[str, str]) -> Iterator[Elsewhere]:
    """What the agent programs keep about our folders, and what is in the person's repositories."""
    person = Path(environ.get("HOME") or "/")
    claude = Path(environ.get("CLAUDE_CONFIG_DIR") or person / ".claude")
    marked = re.sub(r"[^A-Za-z0-9]", "-", str(home.worktrees))
    for folder in sorted((claude / "projects").glob(f"{marked}*")):
        yield Elsewhere("claude", str(folder), "transcripts of a bead's folder")
    codex = Path(environ.get("CODEX_HOME") or person / ".codex")
    data = Path(environ.get("XDG_DATA_HOME") or person / ".local/share")
    for owner, path, about in (
        ("codex", codex / "sessions", "transcripts, those of our folders among them"),
        ("gemini", person / ".gemini" / "tmp", "chats, those of our folders among them"),
        ("opencode", data / "opencode" / "opencode.db", "sessions, those of our folders among them"),
    ):
        if path.exists():
            yield Elsewhere(owner, str(path), about)
    yield Elsewhere(
        "git", "refs/at/ and at/ branches", "in each repository: git for-each-ref refs/at refs/heads/at"
    )
