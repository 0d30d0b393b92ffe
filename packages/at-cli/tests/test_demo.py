"""`at demo` beyond its play: whose settings it uses, and what is left of one that is ended from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from at_cli.demo.stage import GitNeeded, Stage
from at_cli.ended import SIGNALS, EndedBySignal, ended_by_signals
from at_core.config import Config

AT = [sys.executable, "-m", "at_cli"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary folder is empty, and whose person has moved the store."""
    (tmp_path / "tmp").mkdir()
    return {
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path / "tmp"),
        "PATH": os.environ["PATH"],
        "AT_CACHE__SQLITE_PATH": str(tmp_path / "elsewhere.db"),
        "AT_LOG": "debug",
    }


def test_the_person_s_settings_are_not_those_of_the_demo(tmp_path: Path, environ: dict[str, str]) -> None:
    stage = Stage(tmp_path / "stage")
    given = stage.environment(environ | {"AT_AGENTS__DEMO__BINARY": "/other", "GIT_DIR": "/other/.git"})
    assert given == {
        "HOME": str(tmp_path),
        "TMPDIR": environ["TMPDIR"],
        "PATH": environ["PATH"],
        "AT_LOG": "debug",
        "AT_HOME": str(stage.home.root),
        "AT_UI__NOTIFY": "off",
    }
    assert Config.load(given).cache.sqlite_path == str(stage.home.store_file)


def test_a_demo_that_cannot_begin_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(GitNeeded):
        Stage.build()
    assert list(tmp_path.iterdir()) == []


ENDS = (
    (signal.SIGINT, "is started"),
    (signal.SIGTERM, "took its prompt"),
    (signal.SIGHUP, "KILLED"),  # no daemon is there to stop the agents
)


def test_a_demo_that_is_ended_cleans_up(tmp_path: Path, environ: dict[str, str]) -> None:
    with ExitStack() as all_ended:
        demos = [all_ended.enter_context(start_demo(environ)) for _ in ENDS]
        for demo, (number, line_seen) in zip(demos, ENDS, strict=True):
            assert demo.stdout is not None
            assert any(line_seen in line for line in demo.stdout)
            demo.send_signal(number)
        left = [(demo.communicate(timeout=50)[1], demo.returncode) for demo in demos]
    assert left == [("", 128 + number) for number, _ in ENDS]
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"] and list((tmp_path / "tmp").iterdir()) == []
    assert [line for line in command_lines() if str(tmp_path) in line] == []


def start_demo(environ: dict[str, str]) -> subprocess.Popen[str]:
    """`at demo` as a process of its own, its lines to be read as they come."""
    return subprocess.Popen(
        [*AT, "demo"],
        env=environ,
        cwd=environ["HOME"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


CLEARS_UP_UNDER_SIGNALS = """
import os, signal, sys
from at_cli.fast import main
from at_cli.demo.play import Play
from at_cli.demo.stage import Stage

def after_signals(act, *numbers):
    def signalled(*given):
        for number in numbers:
            os.kill(os.getpid(), number)
        return act(*given)
    return signalled

Play.moments = lambda play: iter(())  # it clears up as soon as its agents are started
Play.end = after_signals(Play.end, signal.SIGHUP)
Stage.clear = after_signals(Stage.clear, signal.SIGTERM, signal.SIGINT)
sys.argv[1:] = ["demo", "--json"]
sys.exit(main())
"""


def test_a_demo_that_is_ended_while_it_clears_up_clears_up(tmp_path: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLEARS_UP_UNDER_SIGNALS],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGHUP, "")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [line for line in command_lines() if str(tmp_path) in line] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_once_and_only_where_it_may(number: signal.Signals) -> None:
    seen = []
    with ended_by_signals() as ending:
        with pytest.raises(EndedBySignal), ending.interrupting():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(signal.SIGTERM)
                seen.append("cleared up")
        signal.raise_signal(signal.SIGHUP)
        seen.append("goes on")
    assert seen == ["cleared up", "goes on"]
    assert ending.number == number


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_came_before_interrupts_as_soon_as_it_may(number: signal.Signals) -> None:
    seen = []
    with ended_by_signals() as ending:
        signal.raise_signal(number)
        seen.append("built")
        with pytest.raises(EndedBySignal) as raised, ending.interrupting():
            seen.append("played")
    assert seen == ["built"]
    assert raised.value.number == ending.number == number


def test_a_demo_under_nohup_goes_on_when_the_terminal_closes(tmp_path: Path, environ: dict[str, str]) -> None:
    code = (
        "import os, signal; from at_cli.ended import ended_by_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ended_by_signals(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def command_lines() -> list[str]:
    """Of every process that may be looked at."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                found.append(
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
            except OSError:
                continue
    return found
