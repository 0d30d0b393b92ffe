"""Starting, joining, failing and ending of the real daemon process, with a wiring of few parts."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from at_core.client import Client
from at_core.errors import AtError, DaemonUnreachable, NeedsPerson
from at_core.paths import Home
from at_core.start import answers, ensure_daemon
from at_daemon.__about__ import __version__
from at_daemon.lock import owner
from at_daemon.main import main

SCRIPT = [sys.executable, "-P", str(Path(__file__).with_name("daemon_script.py"))]


@dataclass
class Daemons:
    """The daemon of one home."""

    home: Home
    environ: dict[str, str] = field(
        default_factory=lambda: {**os.environ, "STARTER_SESSION": str(os.getsid(0))}
    )

    @property
    def client(self) -> Client:
        return Client(self.home)

    def ensure(self, wiring: str = "serve") -> None:
        ensure_daemon(self.home, {**self.environ, "WIRING": wiring}, SCRIPT)

    def pid(self) -> int:
        return int(self.client.call("health")["pid"])

    def end(self, how: Callable[[int], object]) -> None:
        """Do `how` to the daemon's process and wait until it is gone."""
        pid = self.pid()
        descriptor = os.pidfd_open(pid)
        try:
            how(pid)
            assert select.select([descriptor], [], [], 20)[0], "the daemon does not end"
        finally:
            os.close(descriptor)

    def down(self) -> None:
        self.end(lambda pid: self.client.call("down"))


@pytest.fixture
def daemons(home: Home) -> Iterator[Daemons]:
    """Ended after the test."""
    daemons = Daemons(home)
    yield daemons
    if answers(home):
        daemons.down()
    elif (late := owner(home).pid) and os.fsencode(home.root) in _command_of(late):
        os.kill(late, signal.SIGKILL)  # one that did not get ready in time, and would stay for ever


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_it_is_started_once_by_many_and_ended_in_order(daemons: Daemons) -> None:
    failures: list[AtError] = []

    def call() -> None:
        try:
            daemons.ensure()
        except AtError as error:
            failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures
    assert daemons.home.daemon_output.read_text() == ""
    assert daemons.home.lock_file.read_text() == f"{daemons.pid()} {__version__}\n"
    daemons.down()
    assert not daemons.home.socket.exists()
    assert daemons.home.daemon_output.read_text() == '"ended in order"\n'


def test_it_leaves_its_starter(daemons: Daemons) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        daemons.ensure()
    finally:
        os.close(writer)
    assert os.read(reader, 1) == b"", "the daemon keeps a descriptor of its starter open"
    os.close(reader)
    status = daemons.client.call("status")
    output = str(daemons.home.daemon_output)
    assert status == {
        "cwd": "/",
        "session": True,
        "descriptors": [os.devnull, output, output],
        "inherited": [],
        "name": "at-daemon",
        "lines": True,
    }
    with pytest.raises(ChildProcessError):
        os.waitpid(daemons.pid(), os.WNOHANG)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_an_orderly_end(daemons: Daemons, number: int) -> None:
    daemons.ensure()
    daemons.end(lambda pid: os.kill(pid, number))
    assert not daemons.home.socket.exists()
    assert daemons.home.daemon_output.read_text() == ""


def test_after_sigkill_the_next_call_starts_another(daemons: Daemons) -> None:
    client = Client(daemons.home, daemons.ensure)
    first = client.call("health")["pid"]
    daemons.end(lambda pid: os.kill(pid, signal.SIGKILL))
    assert daemons.home.socket.exists()
    assert client.call("health")["pid"] != first


def test_one_that_answers_is_joined(daemons: Daemons) -> None:
    daemons.ensure()
    reader, writer = os.pipe()
    arguments = ["--home", str(daemons.home.root), "--ready-fd", str(writer), "--foreground"]
    assert main(arguments) == 0
    told = json.loads(os.read(reader, 1000).splitlines()[-1])
    assert told == {"ready": {"pid": daemons.pid(), "version": __version__}}
    os.close(reader)


@pytest.mark.parametrize(
    ("wiring", "kind", "line", "exit_code"),
    [
        ("needs_person", NeedsPerson, "the store is of a newer version", 3),
        ("die", DaemonUnreachable, "ended while it started", 69),
    ],
)
def test_what_goes_wrong_is_told_to_the_starter(
    daemons: Daemons, wiring: str, kind: type[AtError], line: str, exit_code: int
) -> None:
    with pytest.raises(kind, match=line) as caught:
        daemons.ensure(wiring)
    assert caught.value.exit_code == exit_code
    assert "\n" not in caught.value.message
    assert not answers(daemons.home)
