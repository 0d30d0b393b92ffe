"""Starting on demand, with a stand-in for the daemon that is a real process; the real one is in at-daemon's tests."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from at_core import start
from at_core.config.reading import fields, variable
from at_core.errors import AtError, DaemonUnreachable, NeedsPerson
from at_core.paths import Home, short_socket_path
from at_core.start import answers, ensure_daemon

STAND_IN = """
import json, os, socket, sys, time
home, ready, mode = sys.argv[2], int(sys.argv[4]), os.environ["STAND_IN"]
with open(home + "/starts", "a") as file:
    file.write(json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), "env": dict(os.environ), "umask": os.umask(0),
        "stdin": os.readlink("/proc/self/fd/0"), "argv": sys.argv[1:]}) + "\\n")
print("hello from the stand-in", flush=True)
for step in range(int(os.environ.get("STEPS", 0))):
    os.write(ready, b'{"starting": "a", "pid": %d}\\n{"start' % os.getpid())
    os.write(ready, b'ing": "b", "pid": %d}\\n' % os.getpid())
if mode == "serve":
    folder = os.open(home + "/run", os.O_RDONLY)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{folder}/at.sock")
    listener.listen()
    os.write(ready, b'{"ready": {"pid": %d}}\\n' % os.getpid())
    os.close(ready)
    while listener.accept()[0].recv(3) != b"end":
        pass
elif mode.startswith("say "):
    os.write(ready, mode[4:].encode() + b"\\n")
elif mode == "work":
    while time.process_time() < 0.8:
        pass
    os.write(ready, b'{"error": {"code": "refused", "message": "after all", "hint": "", "exit_code": 1}}\\n')
elif mode == "hang":
    sys.stdin = open(home + "/gate")
    sys.stdin.read()
elif mode.startswith("die "):
    sys.stderr.write(mode[4:] + "\\n")
    sys.exit(7)
"""
COMMAND = [sys.executable, "-I", "-c", STAND_IN]


@dataclass
class StandIn:
    """The stand-in of one home."""

    home: Home
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "KEPT": "x"})

    def ensure(self, mode: str = "serve") -> None:
        ensure_daemon(self.home, {**self.environ, "STAND_IN": mode}, COMMAND)

    def starts(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.home.root / "starts").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def end(self) -> None:
        """End it and wait until it is gone."""
        with socket.socket(socket.AF_UNIX) as caller, short_socket_path(self.home.socket) as address:
            caller.connect(address)
            caller.sendall(b"end")
        os.waitpid(self.starts()[-1]["pid"], 0)


@pytest.fixture
def stand_in(home: Home) -> Iterator[StandIn]:
    """Ended after the test."""
    stand_in = StandIn(home)
    yield stand_in
    if answers(home):
        stand_in.end()


def test_it_is_started_once_and_then_found(stand_in: StandIn) -> None:
    assert not answers(stand_in.home)
    stand_in.ensure()
    assert answers(stand_in.home)
    stand_in.ensure()
    assert len(stand_in.starts()) == 1


def test_after_its_end_it_is_started_again_beside_its_leftovers(stand_in: StandIn) -> None:
    stand_in.ensure()
    stand_in.end()
    assert stand_in.home.socket.exists()
    stand_in.home.socket.unlink()
    stand_in.ensure()
    assert len(stand_in.starts()) == 2


def test_many_callers_at_once_start_one(stand_in: StandIn) -> None:
    failures: list[AtError] = []
    together = threading.Barrier(12)

    def call() -> None:
        together.wait()
        try:
            stand_in.ensure()
        except AtError as error:
            failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures
    assert len(stand_in.starts()) == 1


def test_what_the_child_gets(stand_in: StandIn) -> None:
    marks = {"AT_SESSION_MARK": "s", "AT_SLOT": "3", "AT_HOME": "/h", "AT_LOG": "debug"}
    stand_in.environ |= marks
    stand_in.ensure()
    (child,) = stand_in.starts()
    kept = {"PATH", "KEPT", "AT_HOME", "AT_LOG", "STAND_IN", "AT_SESSION_FREE"}
    assert set(child["env"]) - {"LC_CTYPE"} == kept
    assert child["stdin"] == os.devnull
    assert child["umask"] == (mask := os.umask(0o077))
    os.umask(mask)
    assert child["argv"] == ["--home", str(stand_in.home.root), "--ready-fd", "3"]


def test_the_child_gets_every_setting_of_the_environment_and_no_mark_of_an_agent(stand_in: StandIn) -> None:
    settings = {variable(key): "x" for key in fields()}
    marks = (
        "AT_SESSION",
        "AT_SESSION_MARK",
        "AT_SLOT",
        "AT_BEAD",
        "AT_AGENT",
        "AT_AGENT_ID",
        "AT_GATE",
        "AT_PORT0",
        "AT_PORT",
    )
    stand_in.environ |= settings | dict.fromkeys(marks, "1")
    stand_in.ensure()
    (child,) = stand_in.starts()
    assert set(settings) <= set(child["env"])
    assert not set(marks) & set(child["env"])


def test_what_the_child_prints_is_kept_closed_and_bounded(stand_in: StandIn) -> None:
    output = stand_in.home.daemon_output
    output.write_text("old\n" * 300_000)
    stand_in.ensure()
    assert output.read_text() == "hello from the stand-in\n"
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert output.with_suffix(".out.1").stat().st_size == 1_200_000


def test_a_full_disk_does_not_keep_the_child_from_starting(stand_in: StandIn) -> None:
    stand_in.home.daemon_output.mkdir()
    stand_in.ensure()
    assert answers(stand_in.home)


def test_the_childs_own_error_is_raised(stand_in: StandIn) -> None:
    error = {
        "code": "needs_person",
        "message": "config.toml, line 3: unknown key",
        "hint": "at config",
        "exit_code": 3,
    }
    with pytest.raises(NeedsPerson) as caught:
        stand_in.ensure("say " + json.dumps({"error": error}))
    assert (caught.value.message, caught.value.hint) == (error["message"], error["hint"])


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("die out of luck", "ended while it started: out of luck"),
        ("die ", "ended while it started: hello from the stand-in"),
        ("say what?", "is no daemon"),
        ("say {}", "no reason"),
    ],
)
def test_a_child_that_ends_is_reported_in_one_line(stand_in: StandIn, mode: str, line: str) -> None:
    with pytest.raises(AtError, match=line) as caught:
        stand_in.ensure(mode)
    assert "\n" not in caught.value.message
    with pytest.raises(ChildProcessError):
        os.waitpid(stand_in.starts()[0]["pid"], 0)


def test_a_silent_end_says_the_status(stand_in: StandIn) -> None:
    stand_in.home.daemon_output.mkdir()
    with pytest.raises(DaemonUnreachable, match=r"\(status 7\)"):
        stand_in.ensure("die x")


def test_steps_of_a_start_are_no_outcome(stand_in: StandIn) -> None:
    stand_in.environ["STEPS"] = "20"
    stand_in.ensure()
    assert answers(stand_in.home)


@pytest.mark.parametrize("steps", ["0", "1"])
def test_a_child_that_does_not_get_on_is_not_waited_for(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, steps: str
) -> None:
    stand_in.environ["STEPS"] = steps
    monkeypatch.setattr(start, "START_SECONDS", 0.5)
    gate = stand_in.home.root / "gate"
    os.mkfifo(gate)
    with pytest.raises(DaemonUnreachable, match="does not get on"):
        stand_in.ensure("hang")
    gate.open("w").close()
    os.waitpid(-1, 0)


@pytest.mark.parametrize("steps", ["0", "1"])
def test_a_child_that_uses_the_processor_is_waited_for(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, steps: str
) -> None:
    stand_in.environ["STEPS"] = steps
    monkeypatch.setattr(start, "START_SECONDS", 0.5)
    monkeypatch.setattr(start, "_MOST_WAITS", 1000)
    with pytest.raises(AtError, match="after all"):
        stand_in.ensure("work")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda home: None, "No such file"),
        (lambda home: home.gates.rmdir() or home.gates.touch(), "File exists"),
    ],
    ids=["command", "folder"],
)
def test_what_cannot_be_started_is_said(home: Home, spoil: Callable[[Home], object], line: str) -> None:
    spoil(home)
    with pytest.raises(DaemonUnreachable, match=line) as caught:
        ensure_daemon(home, {}, ["/nowhere/at-daemon"])
    assert caught.value.exit_code == 69


class TestAnotherStarter:
    """Somebody else holds the start lock."""

    @pytest.fixture
    def lock(self, home: Home) -> Iterator[int]:
        descriptor = os.open(home.start_lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
        os.close(descriptor)

    def test_one_that_never_ends_is_not_waited_for(
        self, stand_in: StandIn, lock: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(start, "START_SECONDS", 0.01)
        with pytest.raises(DaemonUnreachable, match="another call"):
            stand_in.ensure()
        assert not stand_in.starts()

    def test_one_that_failed_is_followed(self, stand_in: StandIn, lock: int) -> None:
        waiting = threading.Thread(target=stand_in.ensure)
        waiting.start()
        fcntl.flock(lock, fcntl.LOCK_UN)
        waiting.join()
        assert len(stand_in.starts()) == 1


def test_no_folder_of_the_caller_is_searched_for_modules(home: Home, tmp_path: Path) -> None:
    """A repository may have a folder of any name, and `at` runs in repositories."""
    (tmp_path / "at_daemon").mkdir()
    (tmp_path / "at_daemon" / "__main__.py").write_text("raise SystemExit('taken over')")
    (tmp_path / "argparse.py").write_text("raise SystemExit('taken over')")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(DaemonUnreachable) as caught:
            ensure_daemon(home, {"HOME": str(tmp_path)}, [*start.COMMAND, "--version"])
    finally:
        os.chdir(before)
    # Where at-daemon is not installed it is the interpreter that says so.
    assert re.search(r"at-daemon \d|No module named at_daemon", caught.value.message)
