"""A day of a person with fifteen agents: the plan, the machine, and a person who only does what `at next` says."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acceptance import sleeping_daemon
from acceptance.product import Product
from acceptance.sleeping_daemon import Machine

LOOKS_AT_MOST = 4000
OBEYED = (0, 1, 3)
"""Exit codes of what was done as told: work that did not land after all is told by the next need."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A work item of the morning. `after` are titles of others."""

    title: str
    prompt: str
    cli: str = "demo"
    after: tuple[str, ...] = ()
    allow: str = "edits"


@dataclass(slots=True)
class Computer:
    """The machine on which the product runs."""

    product: Product
    clock: Path
    daemon: subprocess.Popen[bytes] | None = None
    machine: Machine = field(default_factory=Machine)

    def boot(self) -> None:
        """Start the daemon, as a login does."""
        self.machine.write(self.clock)
        reads, writes = os.pipe()
        program = [sys.executable, sleeping_daemon.__file__, str(self.clock)]
        options = ["--home", str(self.product.home), "--ready-fd", str(writes), "--foreground"]
        self.daemon = subprocess.Popen(
            [*program, *options],
            env=self.product.env,
            stdin=subprocess.DEVNULL,
            pass_fds=[writes],
            start_new_session=True,
        )
        os.close(writes)
        with open(reads) as told:
            assert '"ready"' in told.read()
        assert self.product.daemon_pid() == self.daemon.pid

    def reboot(self) -> None:
        """Everything ends at once; then it is another boot."""
        while running := self._pids():
            for pid in running:
                _signal(pid, signal.SIGKILL)
            assert self.daemon
            self.daemon.wait()
        self.machine = replace(self.machine, boot=self.machine.boot + "+")
        self.boot()

    def sleep(self, hours: float) -> None:
        """Everything stands still, while the wall clock goes on."""
        running = self._pids()
        for pid in running:
            _signal(pid, signal.SIGSTOP)
        self.machine = replace(self.machine, ahead_seconds=self.machine.ahead_seconds + hours * 3600)
        self.machine.write(self.clock)
        for pid in running:
            _signal(pid, signal.SIGCONT)

    def end(self) -> None:
        """Everything is told to end; nothing of it may be left."""
        self.product.at("down")
        if self.daemon:
            self.daemon.wait(30)
        assert self.product.processes() == []

    def _pids(self) -> list[int]:
        return [int(line.split()[0]) for line in self.product.processes()]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@dataclass(slots=True)
class Person:
    """Types what `at next` says and nothing else, once the work is given out."""

    product: Product
    keys: int = 0
    beads: dict[str, str] = field(default_factory=dict)
    """Ids of work items by title."""
    decided: list[str] = field(default_factory=list)
    seen: int = 0
    """The last event after which the person looked."""

    def give(self, plan: list[Planned]) -> None:
        """Note each work item and start it."""
        for each in plan:
            after = [word for title in each.after for word in ("--after", self.beads[title][:8])]
            words = ["run", each.prompt, "--cli", each.cli, "--title", each.title, "--allow", each.allow]
            self.beads[each.title] = self._type(*words, *after)["bead"]["id"]

    def work_until(self, over: Callable[[], bool]) -> None:
        """Decide what is wanted, look again whenever something happened."""
        for looked, event in enumerate(self.product.happenings(self.seen)):
            assert looked < LOOKS_AT_MOST, (self.decided, self.product.at("ls").stdout)
            self.seen = event["seq"]
            while not over() and (needs := self.product.json("next")["needs"]):
                self._obey(needs[0])
            if over():
                return

    def statuses(self) -> dict[str, str]:
        """Of all work items, by title."""
        return {bead["title"]: bead["status"] for bead in self.product.json("ls")["beads"]}

    def _obey(self, need: dict[str, Any]) -> None:
        acts = need["acts"][:2] if need["kind"] == "review" else need["acts"][:1]
        for act in acts:
            program, *words = shlex.split(act)
            assert program == "at", act
            self._type(*["blue" if word == "TEXT" else word for word in words])
        self.decided.append(f"{need['title']}: {need['kind']}")

    def _type(self, *words: str) -> dict[str, Any]:
        self.keys += len(shlex.join(["at", *words])) + 1
        ran = self.product.at(*words, "--json")
        assert ran.code in OBEYED, f"at {shlex.join(words)}: exit {ran.code}\n{ran.stdout}\n{ran.stderr}"
        return ran.document
