"""What the product keeps on this machine, and what others keep about it: found, listed, removed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from at_cli.errors import NotAHome
from at_core.paths import Home


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing directly in the home folder. `known` says that the product made it."""

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


def entries(home: Home) -> list[Entry]:
    """What is in the home folder, sizes in bytes; empty if there is no such folder."""
    if not home.root.is_dir():
        return []
    known = _known(home)
    return [
        Entry(path, _about(path, known), size_of(path), _about(path, known) != "")
        for path in sorted(home.root.iterdir())
    ]


def _known(home: Home) -> dict[str, str]:
    return {
        home.config_file.name: "settings",
        home.store_file.name: "the store: beads, agents, events",
        home.run.name: "sockets and locks",
        home.journal.name: "what agents were told and said",
        home.worktrees.name: "folders of beads",
        home.gates.name: "folders in which gates ran",
        home.private.name: "what agent programs keep for us",
        home.environments.name: "environments of agents",
        home.logs.name: "logs",
    }


def _about(path: Path, known: Mapping[str, str]) -> str:
    beginning = re.split(r"-(?:wal|shm|journal)$|\.(?:lock|bak|old|new)", path.name)[0]
    return known.get(path.name) or known.get(beginning, "")


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


def remove(home: Home) -> list[Path]:
    """Remove what the product made, and the home folder if that leaves it empty; gives what could not be removed.

    Things that the product did not make stay.
    """
    left: list[Path] = []
    for entry in entries(home):
        if entry.known:
            left += _remove_tree(entry.path)
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
