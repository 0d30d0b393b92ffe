"""The whole product from outside: the installed `at`, real git, real processes, one home folder and one repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AT = str(Path(sys.executable).with_name("at"))
PATIENCE_SECONDS = 100


@dataclass(frozen=True, slots=True)
class Ran:
    """What one call of `at` gave."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        loaded: dict[str, Any] = json.loads(self.stdout)
        return loaded

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error on standard error."""
        loaded: dict[str, Any] = json.loads(self.stderr)["error"]
        return loaded


@dataclass(slots=True)
class Product:
    """One home folder and one repository, and `at` to use on them."""

    home: Path
    repo: Path
    env: dict[str, str] = field(default_factory=dict)

    def at(self, *words: str, cwd: Path | None = None, stdin: str | None = None, **env: str) -> Ran:
        """Call `at` and wait for it."""
        done = subprocess.run(
            [AT, *words],
            cwd=cwd or self.repo,
            env=self.env | env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Call `at … --json`, insist on the exit code, give the document."""
        ran = self.at(*words, "--json")
        assert ran.code == code, (
            f"at {' '.join(words)}: exit {ran.code}, not {code}\n{ran.stdout}\n{ran.stderr}"
        )
        return ran.document

    def json_lines(self, *words: str) -> list[dict[str, Any]]:
        """Call `at … --json` for a verb that prints one document a line."""
        ran = self.at(*words, "--json")
        assert ran.code == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def approve_all(self) -> None:
        """Approve everything that is asked now."""
        for ask in self.json("approvals")["approvals"]:
            self.json("approve", ask["id"])

    def run(self, prompt: str, *options: str, code: int = 0) -> dict[str, Any]:
        """`at run --cli demo --wait`: the bead document at its end."""
        return self.json("run", prompt, "--cli", "demo", "--wait", "--timeout", "50", *options, code=code)

    def start(self, prompt: str, *options: str) -> str:
        """`at run --cli demo` without waiting: the bead's id."""
        return str(self.json("run", prompt, "--cli", "demo", *options)["bead"]["id"])

    def run_to_rest(self, bead: str) -> dict[str, Any]:
        """The bead document once nothing more happens by itself."""
        for event in self._follow(0):
            if event["bead_id"] == bead:
                document = self.json("show", bead)
                if document["settled"]:
                    return document
        raise AssertionError("the events ended before the bead was settled")

    def wait(self, bead: str, event: str, after: int = 0) -> dict[str, Any]:
        """Follow the events of a bead until one of this type comes."""
        for found in self._follow(after):
            if found["type"] == event and found["bead_id"] == bead:
                return found
        raise AssertionError(f"the events ended before {event}")

    def _follow(self, after: int) -> Iterator[dict[str, Any]]:
        follow = subprocess.Popen(
            [AT, "events", "-f", "--after", str(after), "--json"],
            cwd=self.repo,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert follow.stdout is not None
            for line in follow.stdout:
                yield json.loads(line)
        finally:
            follow.kill()
            follow.wait()
            if follow.stdout is not None:
                follow.stdout.close()

    def git(self, *words: str) -> str:
        """Plain git in the repository."""
        done = subprocess.run(
            ["git", *words], cwd=self.repo, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in the repository."""
        file = self.repo / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def settings(self, text: str) -> None:
        """Commit a settings file and trust it."""
        self.write(".auto-tundra.toml", text)
        self.commit("Set the gates")
        ran = self.at("trust", "--yes", "--json")
        assert ran.code == 0, ran.stderr

    def daemon_pid(self) -> int:
        """The daemon's process id."""
        return int(self.json("status")["daemon"]["pid"])

    def kill_daemon(self) -> None:
        """SIGKILL the daemon."""
        os.kill(self.daemon_pid(), signal.SIGKILL)

    def processes(self) -> list[str]:
        """Processes that this home accounts for: the daemon, holders, agents and whatever they started."""
        marks = (os.fsencode(self.home), b"AT_SESSION_MARK=")
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                line, environ = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:
                continue
            if marks[0] in line or (marks[1] in environ and marks[0] in environ):
                found.append(f"{folder.name} {line.replace(bytes(1), b' ').decode(errors='replace')[:120]}")
        return found


def make_product(folder: Path) -> Product:
    """A fresh home, a person, and a repository with one commit on `main`, below `folder`."""
    person, repo = folder / "person", folder / "repo"
    person.mkdir(parents=True)
    repo.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TERM", "SYSTEMROOT")
    }
    env = kept | {
        "HOME": str(person),
        "AT_HOME": str(folder / "at"),
        "AT_START_SECONDS": "40",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada Example",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada Example",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }
    (person / ".gitconfig").write_text("[user]\n\tname = Ada Example\n\temail = ada@example.com\n")
    made = Product(folder / "at", repo, env)
    made.git("init", "-q", "-b", "main")
    made.write("README.md", "hello\n")
    made.commit("Begin")
    return made


@contextmanager
def product_in(folder: Path) -> Iterator[Product]:
    """`make_product`; at its end the daemon is told to end, and nothing of it may be left running."""
    made = make_product(folder)
    yield made
    made.at("down")
    assert made.processes() == []
