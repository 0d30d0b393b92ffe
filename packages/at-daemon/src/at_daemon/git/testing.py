"""A repository as its person or an agent works with it, for tests: plain git, their own configuration, no hardening."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from at_daemon import git

BEAD = "0123abcd-0000-4000-8000-000000000001"
REF = f"refs/at/beads/{BEAD}"
BRANCH = "at/0123abcd-work"


@dataclass(frozen=True)
class Repo:
    """A repository as its user works with it: plain git, their own configuration."""

    top: Path

    def git(self, *arguments: str, ok: bool = True, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.top, capture_output=True, input=stdin, check=False
        )
        if ok and done.returncode:
            raise AssertionError(f"git {arguments}: {done.stderr.decode()}")
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def commit(self, message: str, **files: str) -> str:
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.sha()

    def sha(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", revision)

    def tree(self, revision: str) -> dict[str, str]:
        """Path to content of every file of a commit."""
        names = self.git("ls-tree", "-r", "-z", "--name-only", revision).split("\0")
        return {name: self.git("show", f"{revision}:{name}") for name in names if name}

    def status(self) -> str:
        return self.git("status", "--porcelain")


def log_starts(folder: Path, setenv: Callable[[str, str], None]) -> Path:
    """A file that gets one line for each git process started in this environment from now on: its command."""
    log, script = folder / "starts", folder / "bin" / "git"
    script.parent.mkdir()
    log.touch()
    script.write_text(f'#!/bin/sh\necho "$1" >> {log}\nPATH="$PATH_OF_GIT" exec git "$@"\n')
    script.chmod(0o755)
    setenv("PATH_OF_GIT", os.environ["PATH"])
    setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return log


async def keep_and_remove(rig: Repo, agent: Repo) -> git.AtticEntry:
    """What a removal does with a folder; a second look at it makes no second entry, and the repository is whole."""
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert await git.keep(rig.top, agent.top, BEAD, "r") == entry
    await git.set_aside_folder(agent.top, agent.top.parent)
    await git.remove_set_aside(agent.top.parent)
    assert rig.git("fsck", "--no-dangling") == ""
    return entry
