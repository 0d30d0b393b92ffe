"""The real CLIs of the suite's lock file, installed once per lock into a cache folder outside the repository.

`package-lock.json` is made with `npm install --package-lock-only --omit-lockfile-registry-resolved`, so it names
versions and hashes and no registry.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LOCK = FOLDER / "package-lock.json"


class CannotInstall(Exception):
    """The CLIs cannot be had here; the message says why."""


def cache() -> Path:
    """Where the suite keeps what it installs and the homes of its CLIs; never below the system's temp folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "auto-tundra-tests"


@contextmanager
def new_home() -> Iterator[Path]:
    """A folder for the home and the repository of a test, gone at the end."""
    homes = cache() / "homes"
    homes.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=homes))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def installed() -> Path:
    """The folder with the CLIs' commands; installs them if this lock was never installed.

    Raises CannotInstall if npm is missing or fails.
    """
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    place = cache() / "clis" / key
    commands = place / "node_modules" / ".bin"
    done = place / "done"
    if done.exists():
        return commands
    if shutil.which("npm") is None:
        raise CannotInstall("npm is not installed")
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _install(place)
            done.touch()
    return commands


def _install(place: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(FOLDER / name, place / name)
    # Not `npm ci`: it refuses the lock where a registry lacks the builds for other systems, which are optional.
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode != 0:
        raise CannotInstall(f"npm install failed: {ran.stderr.strip()[-500:]}")
