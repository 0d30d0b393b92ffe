"""Where things are in the home folder. Standard library only: the fast path reads it too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder, mode 0700. Nothing of the product is kept outside it."""

    root: Path

    @classmethod
    def find(cls, environment: dict[str, str] | os._Environ[str] | None = None) -> Home:
        """`AT_HOME`, else `~/.auto-tundra`."""
        env = os.environ if environment is None else environment
        named = env.get("AT_HOME")
        return cls(
            Path(named).absolute()
            if named
            else Path(env.get("HOME") or os.path.expanduser("~")) / ".auto-tundra"
        )

    @property
    def config_file(self) -> Path:
        """The person's settings."""
        return self.root / "config.toml"

    @property
    def store_file(self) -> Path:
        """The store, unless the configuration moves it."""
        return self.root / "cache.db"

    @property
    def run(self) -> Path:
        """Sockets and locks, short names."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """The daemon's API."""
        return self.run / "at.sock"

    @property
    def lock_file(self) -> Path:
        """Held by the one daemon of this home."""
        return self.run / "daemon.lock"

    @property
    def journal(self) -> Path:
        """One folder a session."""
        return self.root / "journal"

    @property
    def worktrees(self) -> Path:
        """One folder a bead."""
        return self.root / "worktrees"

    @property
    def gates(self) -> Path:
        """Checkouts in which gates run, one a slot."""
        return self.root / "gates"

    @property
    def private(self) -> Path:
        """One folder an agent, for what drivers keep outside the repository."""
        return self.root / "private"

    @property
    def logs(self) -> Path:
        """The daemon's own log."""
        return self.root / "logs"

    def make(self) -> None:
        """Create the folders that must exist, closed to other users; raises `OSError`."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.journal, self.worktrees, self.gates, self.private, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
