"""The whole product from outside: the installed `at`, real git, real processes, one home folder and one repository."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from at_cli.daemon import Daemon
from at_cli.main import run
from at_cli.streams import Streams
from at_core import start
from at_core.paths import Home

AT = str(Path(sys.executable).with_name("at"))
PATIENCE_SECONDS = 100
START_SECONDS = 40.0
PROGRAMS = frozenset({"up", "down", "exec", "diff", "pr", "status"})
"""Verbs that are called as programs of their own: they begin and end processes, or have a fast path. Others only speak
with the daemon, and an interpreter for each call is most of what a test costs; `AT_TEST_PROGRAMS=1` has it all the same."""


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
        beside_others = (
            threading.current_thread() is not threading.main_thread()
        )  # a process has one working folder
        if beside_others or not PROGRAMS.isdisjoint(words[:1]) or os.environ.get("AT_TEST_PROGRAMS"):
            return self._program(words, cwd or self.repo, stdin, env)
        out, error = io.BytesIO(), io.BytesIO()
        streams = Streams(stdin=io.BytesIO((stdin or "").encode()), stdout=out, stderr=error)
        with contextlib.chdir(cwd or self.repo):
            code = run(words, streams, self.env | env)
        return Ran(code, out.getvalue().decode(), error.getvalue().decode())

    def _program(self, words: Sequence[str], cwd: Path, stdin: str | None, env: Mapping[str, str]) -> Ran:
        done = subprocess.run(
            [AT, *words],
            cwd=cwd,
            env={**self.env, **env},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Call `at` and do not wait for it."""
        return subprocess.Popen(
            [AT, *words],
            cwd=self.repo,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

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
        for event in self.happenings(0):
            if event["bead_id"] == bead:
                document = self.json("show", bead)
                if document["settled"]:
                    return document
        raise AssertionError("the events ended before the bead was settled")

    def wait(self, bead: str, event: str, after: int = 0) -> dict[str, Any]:
        """Follow the events of a bead until one of this type comes."""
        for found in self.happenings(after):
            if found["type"] == event and found["bead_id"] == bead:
                return found
        raise AssertionError(f"the events ended before {event}")

    def wait_for_all(self, beads: list[str], event: str) -> None:
        """Follow the events until each of the beads had one of this type."""
        left = set(beads)
        for found in self.happenings(0):
            if found["type"] == event:
                left.discard(found["bead_id"])
            if not left:
                return
        raise AssertionError(f"the events ended before {event} of {left}")

    def happened(self) -> list[dict[str, Any]]:
        """All events so far."""
        found: list[dict[str, Any]] = []
        while page := self.json_lines("events", "--after", str(found[-1]["seq"] if found else 0)):
            found += page
        return found

    def happenings(self, after: int) -> Iterator[dict[str, Any]]:
        """Events after that one, as they come, without end."""
        return Daemon(Home(self.home), self.env).stream_events(after)

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

    def settings(self, text: str, *, trust: bool = True) -> None:
        """Commit a settings file, and trust it unless told not to."""
        self.write(".auto-tundra.toml", text)
        self.commit("Set the gates")
        if not trust:
            return
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
    start.START_SECONDS = START_SECONDS
    person, repo = folder / "person", folder / "repo"
    person.mkdir(parents=True)
    repo.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TERM", "SYSTEMROOT")
    }
    env = kept | {
        "HOME": str(person),
        "AT_HOME": str(folder / "at"),
        "AT_START_SECONDS": str(START_SECONDS),
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
