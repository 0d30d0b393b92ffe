"""Where things are in the home folder. Standard library only: the fast path reads it too."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOCKET_PATH_BYTES = 103
"""What every system takes: `sun_path` is 108 bytes on Linux and 104 on macOS, with the closing zero."""


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
    def clis(self) -> Path:
        """The person's manifests of further CLIs, one file each."""
        return self.root / "clis"

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
    def holders(self) -> Path:
        """Sockets of the holders; a short name, since socket paths are short."""
        return self.run / "h"

    @property
    def journal(self) -> Path:
        """One folder a session."""
        return self.root / "journal"

    @property
    def worktrees(self) -> Path:
        """One folder a bead."""
        return self.root / "worktrees"

    @property
    def warm(self) -> Path:
        """Folders whose files are written before a bead wants them; of the file system of `worktrees`."""
        return self.root / "warm"

    @property
    def gates(self) -> Path:
        """Checkouts in which gates run, one a slot."""
        return self.root / "gates"

    @property
    def folder_cache(self) -> Path:
        """What set-ups made, for folders to come; one folder an entry."""
        return self.root / "folder-cache"

    @property
    def scratch(self) -> Path:
        """What is written to be looked at once."""
        return self.root / "scratch"

    @property
    def environments(self) -> Path:
        """One 0600 file an agent: the environment of its starts. Outside every folder that an agent is given."""
        return self.root / "environments"

    @property
    def private(self) -> Path:
        """One folder an agent, for what drivers keep outside the repository."""
        return self.root / "private"

    @property
    def logs(self) -> Path:
        """The daemon's own log."""
        return self.root / "logs"

    @property
    def start_lock(self) -> Path:
        """Held by the one face that is starting the daemon."""
        return self.run / "start.lock"

    @property
    def daemon_output(self) -> Path:
        """What the daemon printed: start-up errors and the interpreter's own last words."""
        return self.logs / "daemon.out"

    def make(self) -> None:
        """Create the folders that must exist, closed to other users.

        Raises `OSError`; `PermissionError` for a folder of somebody else, and for one that is open to others and
        already holds other things, which is not ours to close.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close(self.root, known=self.run.exists() or self.config_file.exists())
        for folder in (
            self.clis,
            self.run,
            self.holders,
            self.journal,
            self.worktrees,
            self.warm,
            self.gates,
            self.folder_cache,
            self.scratch,
            self.private,
            self.environments,
            self.logs,
        ):
            folder.mkdir(mode=0o700, exist_ok=True)
            _close(folder, known=True)


def _close(folder: Path, known: bool) -> None:
    """Take the rights of other users from `folder`, if it is ours; `known` says that we made what is in it."""
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user (uid {found.st_uid})")
    if stat.S_IMODE(found.st_mode) & 0o077:
        if not known and any(folder.iterdir()):
            raise PermissionError(
                f"{folder} is open to other users and holds other things: use a folder of its own"
            )
        folder.chmod(0o700)


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


@contextmanager
def short_socket_path(path: Path) -> Iterator[str]:
    """A name of `path` that fits a socket address; good while the context lasts.

    A long one goes through a descriptor of its folder, so the working folder stays as it is. Raises `OSError`, also
    where the system has no `/proc/self/fd` and the path is too long.
    """
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not os.path.isdir(f"/proc/self/fd/{folder}"):
            raise OSError(f"a socket's path may have {_SOCKET_PATH_BYTES} bytes on this system: {path}")
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
