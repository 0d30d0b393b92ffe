"""Starting, joining, failing and ending of the real daemon process, with a wiring of few parts."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from at_core.client import Client
from at_core.errors import AtError, DaemonUnreachable, NeedsPerson
from at_core.paths import Home
from at_core.start import answers, ensure_daemon
from at_daemon import main as main_module
from at_daemon.__about__ import __version__
from at_daemon.lock import only_daemon

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

    def run(self, *arguments: str, wiring: str = "serve") -> subprocess.CompletedProcess[str]:
        """By hand, to its end."""
        return subprocess.run(
            [*SCRIPT, "--home", str(self.home.root), *arguments],
            env={**self.environ, "WIRING": wiring}, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip


@pytest.fixture
def daemons(home: Home) -> Iterator[Daemons]:
    """Ended after the test."""
    daemons = Daemons(home)
    yield daemons
    if answers(home):
        daemons.down()


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


class TestJoining:
    """The lock is held by somebody, and this daemon was started on demand."""

    def test_one_that_ends_is_followed(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = threading.Event()
        monkeypatch.setattr(main_module, "answers", lambda home: refused.set())
        outcomes: list[bool] = []

        def start() -> None:
            with ExitStack() as held:
                outcomes.append(main_module._is_only(home, held, joins=True))

        with only_daemon(home, "0"):
            starting = threading.Thread(target=start)
            starting.start()
            assert refused.wait(10)
        starting.join()
        assert outcomes == [True]

    def test_one_that_answers_is_joined(self, daemons: Daemons) -> None:
        daemons.ensure()
        reader, writer = os.pipe()
        assert (
            main_module.main(["--home", str(daemons.home.root), "--ready-fd", str(writer), "--foreground"])
            == 0
        )
        assert json.loads(os.read(reader, 1000)) == {"ready": {"pid": daemons.pid(), "version": __version__}}
        os.close(reader)

    def test_one_that_never_answers_is_named(
        self, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(main_module, "START_SECONDS", 0.1)
        reader, writer = os.pipe()
        with only_daemon(home, "0"):
            assert (
                main_module.main(["--home", str(home.root), "--ready-fd", str(writer), "--foreground"]) == 1
            )
        error = json.loads(os.read(reader, 1000))["error"]
        os.close(reader)
        assert error["message"] == f"another daemon serves {home.root} (pid {os.getpid()}, version 0)"
        assert (error["code"], error["exit_code"]) == ("already_running", 1)
        assert error["message"] in capsys.readouterr().err


def test_a_second_one_by_hand_says_who_is_there_and_ends(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with only_daemon(home, "0"):
        assert main_module.main(["--home", str(home.root)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"at-daemon: another daemon serves {home.root} (pid {os.getpid()}, version 0) (at status)\n"
    )


@pytest.mark.parametrize(
    ("wiring", "kind", "line", "exit_code"),
    [
        ("needs_person", NeedsPerson, "the store is of a newer version", 3),
        ("full", AtError, "No space left on device", 1),
        ("crash", AtError, "ValueError: an inner matter", 1),
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


def test_by_hand_it_is_one_line_and_the_exit_code(daemons: Daemons) -> None:
    found = daemons.run(wiring="needs_person")
    assert found.returncode == 3
    assert found.stdout == ""
    assert found.stderr == "at-daemon: the store is of a newer version (update auto-tundra)\n"
    log = (daemons.home.logs / "at-daemon.jsonl").read_text()
    assert "the store is of a newer version" in log


def test_a_malformed_configuration_starts_nothing(daemons: Daemons) -> None:
    daemons.home.config_file.write_text("[general]\nmax_agents = 'many'\n")
    with pytest.raises(AtError, match="config.toml") as caught:
        daemons.ensure()
    assert "max_agents" in caught.value.message
    assert not answers(daemons.home)
    assert not daemons.home.socket.exists()


def test_a_failure_after_the_start_is_in_the_log_and_in_the_exit_code(daemons: Daemons) -> None:
    found = daemons.run("--foreground", wiring="crash_later")
    assert found.returncode == 3
    assert found.stderr == "at-daemon: later\n"


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main_module.main(["--home", str(tmp_path / "file" / "home")]) == 1
    printed = capsys.readouterr().err
    assert "Not a directory" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["--help"], 0), (["--nothing"], 2), (["--ready-fd", "x"], 2)]
)
def test_arguments(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main_module.main(arguments)
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert "at-daemon" in (printed.err if code else printed.out)
