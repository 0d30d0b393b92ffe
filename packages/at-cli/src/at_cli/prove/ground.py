"""The throw-away place of a rehearsal, and what is known of the CLIs that play in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from at_cli.errors import CannotProve
from at_core.config import Config
from at_core.errors import AtError, NotFound
from at_session.rehearsal.clis import CLIS

VERSION_SECONDS = 60.0
NEXT = "install one, or: at demo, which needs none"


class CliNotInstalled(NotFound):
    """A CLI that was asked for is not there."""

    def __init__(self, cli: str, binary: str) -> None:
        AtError.__init__(self, f"{cli}: there is no program {binary!r} on your PATH", "at doctor")


class NoCli(NotFound):
    """None of the CLIs is there."""

    def __init__(self) -> None:
        names = ", ".join(CLIS)
        AtError.__init__(
            self, f"none of the CLIs is on your PATH ({names}), so there is nothing to prove", NEXT
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """A CLI of this machine: the program's path and what it says of its version."""

    cli: str
    binary: str
    version: str


def find(config: Config, path: str | None) -> dict[str, str]:
    """The programs of the CLIs that are installed, by CLI, as the configuration names them."""
    found: dict[str, str] = {}
    for cli in CLIS:
        binary = getattr(config.agents, cli).binary
        if (program := shutil.which(binary, path=path)) is not None:
            found[cli] = program
    return found


def choose(config: Config, path: str | None, wanted: tuple[str, ...]) -> dict[str, str]:
    """Those of the installed CLIs that are wanted, or all. Raises CliNotInstalled, NoCli."""
    found = find(config, path)
    for cli in wanted:
        if cli not in found:
            raise CliNotInstalled(cli, getattr(config.agents, cli).binary)
    if not found:
        raise NoCli
    return {cli: program for cli, program in found.items() if not wanted or cli in wanted}


def version_of(cli: str, binary: str, environment: Mapping[str, str]) -> Installed:
    """Ask a CLI for its version, in a home of the rehearsal's own."""
    try:
        ran = subprocess.run(
            [binary, "--version"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Installed(cli, binary, f"unknown ({type(error).__name__})")
    said = (ran.stdout.strip() or ran.stderr.strip()).splitlines()
    return Installed(cli, binary, said[-1].strip() if said else f"unknown (exit code {ran.returncode})")


@dataclass(frozen=True, slots=True)
class ThrowAwayFolder:
    """The throw-away folder, and the folders around it that had to be made for it, the innermost first."""

    folder: Path
    made: tuple[Path, ...] = ()


PLACES = (Path("/var/tmp"),)
"""Not the system's temp folder: Codex starts no sandbox from a home there."""


def build(environ: Mapping[str, str]) -> ThrowAwayFolder:
    """A folder of our own, in the person's cache folder where there is no other. Raises CannotProve."""
    cache = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else "")
    problem = ""
    for base in (*PLACES, *([Path(cache)] if os.path.isabs(cache) else [])):
        made: list[Path] = []
        try:
            for each in reversed([base, *base.parents]):
                if not each.exists():
                    each.mkdir()
                    made.insert(0, each)
            return ThrowAwayFolder(Path(tempfile.mkdtemp(prefix="at-prove-", dir=base)), tuple(made))
        except OSError as error:
            problem = f"{base}: {error.strerror}"
            for each in made:
                each.rmdir()
    raise CannotProve(f"no folder can be made for the rehearsal ({problem})", "set XDG_CACHE_HOME")


def require_git(path: str | None) -> None:
    """Raises CannotProve where there is no git."""
    if shutil.which("git", path=path) is None:
        raise CannotProve("there is no git on your PATH", "install git, then at doctor")


def environment(home: Path, base: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment a rehearsal gets: where programs are and how text is encoded, no key, no home."""
    kept = {
        name: value
        for name, value in base.items()
        if name in ("PATH", "LANG", "TERM", "TZ", "SYSTEMROOT") or name.startswith("LC_")
    }
    return kept | {"HOME": str(home), "TMPDIR": str(home / "tmp")}
