"""What is so on this machine, read without network and without starting anything but `--version`."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from at_core.paths import Home

VERSION_SECONDS = 15.0
"""Node takes seconds to start on a busy machine."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program on PATH: `version` is the number it prints; `trouble` says why there is none."""

    name: str
    path: str | None
    version: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """The home folder; `free_bytes` is that of the file system it is or would be on."""

    path: str
    exists: bool
    ours: bool
    mode: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class PtyFacts:
    """Pseudo-terminals: how many there are and may be (None where the system does not say), and why none opens."""

    used: int | None
    limit: int | None
    trouble: str | None


def find_programs(binaries: Iterable[tuple[str, str]], environ: Mapping[str, str]) -> list[Program]:
    """Programs given as name and binary, each asked for its version at the same time as the others."""
    wanted = list(binaries)
    with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
        return list(pool.map(lambda each: find_program(each[0], each[1], environ), wanted))


def find_program(name: str, binary: str, environ: Mapping[str, str]) -> Program:
    """One program as a shell with this environment would find it."""
    path = shutil.which(binary, path=environ.get("PATH", os.defpath))
    if path is None:
        return Program(name, None)
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            env={**environ, "DISABLE_AUTOUPDATER": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Program(name, path, trouble=f"--version did not end within {VERSION_SECONDS:.0f} s")
    except OSError as error:
        return Program(name, path, trouble=f"does not start: {error.strerror}")
    said = (done.stdout or done.stderr).decode("utf-8", "replace").strip()
    if done.returncode != 0:
        return Program(
            name,
            path,
            trouble=f"--version ends with {done.returncode}: {said.splitlines()[0] if said else 'no word'}",
        )
    found = re.search(r"\d+(\.\d+)+\S*", said)
    return Program(name, path, version=found[0] if found else said.splitlines()[0] if said else "unknown")


def refusal(cli: str, allow: str, environ: Mapping[str, str], folder: str) -> tuple[str, str] | None:
    """Why the driver of a CLI would not start it with this permission mode, and what to do; None if it would."""
    from at_session.drivers import driver_for
    from at_session.errors import LaunchRefused
    from at_session.vocabulary import Allow, LaunchRequest

    request = LaunchRequest(
        agent_id="doctor",
        binary=cli,
        args=(),
        cwd=folder,
        env=environ,
        private_dir=folder,
        allow=Allow(allow),
    )
    try:
        driver_for(cli)().launch(request)
    except LaunchRefused as problem:
        return problem.reason, problem.hint
    return None


def git_identity(environ: Mapping[str, str], folder: str) -> str | None:
    """The address that git would put on a commit made in `folder`; None if it is not set up."""
    path = shutil.which("git", path=environ.get("PATH", os.defpath))
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, "config", "--get", "user.email"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            env=dict(environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() or environ.get("GIT_AUTHOR_EMAIL") or None


def repository_of(folder: str) -> str | None:
    """The top of the git repository that `folder` lies in, found by its `.git` as git itself looks for it.

    An empty `.git` is none: the sandbox of Codex leaves one in the system's temp folder.
    """
    place = Path(folder)
    return next((str(each) for each in (place, *place.parents) if _is_repository(each / ".git")), None)


def _is_repository(git: Path) -> bool:
    return git.is_file() or (git / "HEAD").is_file()


def home_facts(home: Home) -> HomeFacts:
    """The home folder as it is, or as it would be; raises nothing for one that is not there."""
    place = next(each for each in (home.root, *home.root.parents) if each.exists())
    free = shutil.disk_usage(place).free
    try:
        found = home.root.stat()
    except OSError:
        return HomeFacts(str(home.root), False, True, 0o700, free)
    return HomeFacts(str(home.root), True, found.st_uid == os.geteuid(), stat.S_IMODE(found.st_mode), free)


def pty_facts() -> PtyFacts:
    """Whether a pseudo-terminal can be had now."""
    trouble = None
    try:
        for descriptor in os.openpty():
            os.close(descriptor)
    except OSError as error:
        trouble = error.strerror or "refused"
    return PtyFacts(_number("/proc/sys/kernel/pty/nr"), _number("/proc/sys/kernel/pty/max"), trouble)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text("ascii"))
    except (OSError, ValueError):
        return None


def python_facts() -> tuple[str, str]:
    """Version and path of the interpreter that runs us."""
    return ".".join(map(str, sys.version_info[:3])), sys.executable


def sqlite_version() -> tuple[int, ...]:
    """Version of the SQLite library in this Python."""
    return sqlite3.sqlite_version_info
