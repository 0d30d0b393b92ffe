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
from at_core.paths import Home


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
_BY_ID = re.compile(r"\.?(?:gate-)?[0-9a-f]{8,}(?:[-.].*)?")
_LOG_FILES = re.compile(r"at(?:-daemon)?\.jsonl.*|daemon\.out.*|gates")
_SOCKETS_AND_LOCKS = re.compile(r"at\.sock.*|daemon\.lock|start\.lock|h")


def _folders(home: Home) -> dict[Path, tuple[str, re.Pattern[str]]]:
    """Our folders: what is in each, and how the product calls things there."""
    return {
        home.run: ("sockets and locks", _SOCKETS_AND_LOCKS),
        home.journal: ("what agents were told and said", _BY_ID),
        home.worktrees: ("folders of beads", _BY_ID),
        home.gates: ("folders in which gates ran", _BY_ID),
        home.private: ("what agent programs keep for us", _BY_ID),
        home.environments: ("environments of agents", _BY_ID),
        home.logs: ("logs", _LOG_FILES),
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
        if path in folders and path.is_dir() and not path.is_symlink():
            about, ours = folders[path]
            strangers = [child for child in sorted(path.iterdir()) if not ours.fullmatch(child.name)]
            yield Entry(path, about, size_of(path) - sum(map(size_of, strangers)), True)
            yield from (Entry(child, "", size_of(child), False) for child in strangers)
            continue
        if path in folders and path.is_symlink():
            yield Entry(path, folders[path][0], size_of(path), True)
            continue
        beginning = re.split(r"-(?:wal|shm|journal)$|\.(?:lock|bak|old|new)", path.name)[0]
        if beginning == home.store_file.name:
            yield Entry(path, _STORE, size_of(path), not store_is_another_s)
        elif beginning == home.config_file.name:
            yield Entry(path, "settings", size_of(path), True)
        else:
            yield Entry(path, "", size_of(path), False)


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


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links are not followed, what cannot be read counts nothing."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


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
    """Whether a daemon was at work in it, its store lies there, or all the folders that `Home.make` makes."""
    return (
        home.lock_file.is_file()
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
        if not entry.known:
            continue
        if entry.path.is_symlink() or entry.path not in {path.parent for path in stay}:
            left += _remove_tree(entry.path)
            continue
        for child in entry.path.iterdir():
            left += [] if child in stay else _remove_tree(child)
    if home.root.is_dir() and not any(home.root.iterdir()):
        home.root.rmdir()
    return left


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
