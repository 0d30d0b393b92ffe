"""`at` as a process: the fast path, closed and full outputs, broken pipes, signals, locales, terminals."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_cli import fast
from at_cli.testing import DOCUMENT, At, FakeDaemon
from at_core.paths import Home

AT = [sys.executable, "-m", "at_cli"]
SLOW_MODULES = {
    "click", "rich", "json", "socket", "re", "pathlib", "typing", "enum", "dataclasses", "collections",
    "functools", "argparse", "subprocess", "threading", "signal", "at_core", "at_cli.main",
}  # fmt: skip


def call(at: At, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run `at` to its end in the environment of `at`."""
    environ = at.environ | settings.pop("environ", {})
    settings.setdefault("stdin", subprocess.DEVNULL)
    if "stdout" not in settings:
        settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run([*AT, *arguments], env=environ, timeout=50, **settings)


@pytest.mark.parametrize(
    "arguments, route",
    [
        ([], "status_text"),
        (["status"], "status_text"),
        (["status", "--json"], "status"),
        (["--json"], "status"),
        (["status", "--short"], "short_text"),
        (["status", "--short", "--tmux"], "short_text"),
    ],
)
def test_the_fast_path_loads_nothing(
    at: At, daemon: FakeDaemon, place: Path, arguments: list[str], route: str
) -> None:
    code = "import sys; from at_cli.fast import main; code = main(); print(*sys.modules, file=sys.stderr); sys.exit(code)"
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=at.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.endswith("\n")
    loaded = set(done.stderr.split()) - set(bare.stdout.split())
    assert loaded == {"at_cli", "at_cli.fast", "_socket"}
    assert loaded & SLOW_MODULES == set()
    more = {
        "status": {},
        "status_text": {"color": "0", "width": "80"},
        "short_text": {"tmux": str(int("--tmux" in arguments))},
    }[route]
    assert daemon.last(route).query == {"path": str(place), **more}


def test_the_fast_path_prints_what_the_daemon_rendered(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["status_text"] = "rig d\u00e9mo\n" * 20_000
    done = call(at, "status")
    assert done.stdout.decode() == "rig d\u00e9mo\n" * 20_000


@pytest.mark.parametrize("arguments", [["--short"], ["--short", "--tmux"], ["--tmux", "--short"]])
def test_a_prompt_gets_nothing_where_no_daemon_runs_and_starts_none(at: At, arguments: list[str]) -> None:
    done = call(at, "status", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not at.home.root.exists()
    told = at("status", *arguments, "--json")
    assert (told.code, told.document["needs"], told.document["text"]) == (0, 0, "")


@pytest.mark.parametrize("arguments", [["--short"], ["--tmux", "--short"]])
def test_a_prompt_waits_for_no_daemon_that_is_stuck(
    at: At, stuck: threading.Event, arguments: list[str]
) -> None:
    done = call(at, "status", *arguments)
    assert stuck.is_set(), "it was asked"
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_prompt_gets_one_line_or_none(at: At, daemon: FakeDaemon) -> None:
    assert call(at, "status", "--short").stdout == b"2! 1@\n"
    assert at("status", "--short").out == "2! 1@\n"
    assert at("status", "--short", "--json").document["needs"] == 2
    daemon.answers["short_text"] = ""
    assert (call(at, "status", "--short").stdout, at("status", "--short").out) == (b"", "")
    wrong = at("status", "--tmux")
    assert wrong.code == 2 and "at status --short --tmux" in wrong.err


def test_a_socket_path_of_any_length(at: At, tmp_path: Path) -> None:
    home = Home(tmp_path / ("deep/" * 40))
    fake = FakeDaemon(home)
    try:
        assert call(at, "status", environ={"AT_HOME": str(home.root)}).stdout.startswith(b"rig demo")
        assert call(at, "ls", environ={"AT_HOME": str(home.root)}).returncode == 0
    finally:
        fake.close()


@settings(deadline=None)  # a busy machine is no defect
@given(
    st.dictionaries(
        st.sampled_from(["AT_HOME", "HOME"]),
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12),
    )
)
def test_both_paths_find_the_same_socket(environ: dict[str, str]) -> None:
    given_bytes = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
    assert os.path.abspath(fast.socket_path(given_bytes)) == os.path.abspath(
        os.fsencode(Home.find(environ).socket)
    )


def test_a_failure_of_the_daemon_is_told_by_the_whole_program(at: At, daemon: FakeDaemon) -> None:
    from at_cli.testing import Failure

    daemon.answers["status_text"] = Failure("store", "the disk is full", "at doctor")
    done = call(at, "status")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"at: the disk is full (next: at doctor)\n"


@pytest.mark.parametrize("arguments", [["status"], ["--help"]])
@pytest.mark.parametrize("how", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_like_the_null_device(
    at: At, daemon: FakeDaemon, arguments: list[str], how: str
) -> None:
    line = f'"$0" "$@" {how}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, *AT, *arguments], env=at.environ, capture_output=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [["status"], ["ls"], ["--help"]])
def test_a_full_disk_is_one_line(at: At, daemon: FakeDaemon, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = call(at, *arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"No space left on device" in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["events", "--json"], ["--help"]])
def test_a_reader_that_went_away_is_quiet(at: At, daemon: FakeDaemon, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = call(at, *arguments, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def stuck(daemon: FakeDaemon) -> Iterator[threading.Event]:
    """Set once the daemon was asked something that it will not answer before the test is over."""
    asked, over = threading.Event(), threading.Event()

    def hold(_seen: object) -> Any:
        asked.set()
        over.wait(50)
        return DOCUMENT

    daemon.answers |= {"wait": hold, "status_text": hold, "short_text": hold, "nudge": hold}
    yield asked
    over.set()


@pytest.mark.parametrize(
    "arguments", [["status"], ["run", "P", "--wait"], ["nudge", "furiosa", "-m", "x", "--json"]]
)
def test_an_interrupt_is_130_and_no_traceback(at: At, stuck: threading.Event, arguments: list[str]) -> None:
    with subprocess.Popen(
        [*AT, *arguments],
        env=at.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert stuck.wait(40)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert (process.returncode, out, err) == (130, b"", b"")


NOT_UTF_8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("locale", [NOT_UTF_8])
@pytest.mark.parametrize("arguments", [["ls"], ["status"], ["--help"], ["doctor"]])
def test_any_locale_will_do(at: At, daemon: FakeDaemon, locale: dict[str, str], arguments: list[str]) -> None:
    bead = {"id": "3f2a9c1e", "title": "na\u00efve \u6f22", "status": "review", "lane": "standard"}
    daemon.answers |= {
        "beads": {"beads": [bead]},
        "show": {**DOCUMENT, "bead": bead},
        "status_text": "na\u00efve \u6f22\n",
    }
    done = call(at, *arguments, environ=locale)
    assert (
        done.returncode in ((0, 1) if arguments == ["doctor"] else (0,)) and b"Traceback" not in done.stderr
    )
    if arguments not in (["--help"], ["doctor"]):
        assert b"na\\xefve" in done.stdout or "na\u00efve".encode() in done.stdout


def test_json_is_utf_8_in_every_locale(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["beads"] = {"beads": [{"title": "na\u00efve \u6f22"}]}
    done = call(at, "ls", "--json", environ=NOT_UTF_8)
    assert json.loads(done.stdout.decode("utf-8")) == daemon.answers["beads"]


def test_a_folder_that_is_gone(at: At, daemon: FakeDaemon, place: Path) -> None:
    line = f'rmdir "{place}"; exec "$0" "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", line, *AT, "ls"],
        cwd=place,
        env=at.environ,
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1 and b"no longer exists" in done.stderr


def on_terminal(
    at: At,
    *arguments: str,
    watch: tuple[str, threading.Event] | None = None,
    environ: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Exit code and everything that a person would have seen; `watch` sets an event once a text is on the screen."""
    master, slave = os.openpty()
    with subprocess.Popen(
        [*AT, *arguments],
        env={**at.environ, "TERM": "xterm", **(environ or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            ready, _, _ = select.select([master], [], [], 40)
            assert ready, seen
            try:
                piece = os.read(master, 65536)
            except OSError:
                break  # Linux says EIO once the last process at the other end is gone
            if not piece:
                break
            seen += piece
            if watch is not None and watch[0].encode() in seen:
                watch[1].set()
        code = process.wait(40)
    os.close(master)
    return code, seen.decode()


@pytest.mark.parametrize(
    "environ, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_only_where_they_are_wanted(
    at: At, daemon: FakeDaemon, environ: dict[str, str], coloured: bool
) -> None:
    code, seen = on_terminal(at, "ls", environ=environ)
    assert code == 0
    assert bool(re.search(r"\x1b\[\d+m", seen)) is coloured


def test_json_has_no_colour_on_a_terminal(at: At, daemon: FakeDaemon) -> None:
    code, seen = on_terminal(at, "ls", "--json")
    assert code == 0 and "\x1b" not in seen


def test_a_terminal_shows_what_is_waited_for(at: At, daemon: FakeDaemon) -> None:
    at_work = {**DOCUMENT, "settled": False, "bead": {**dict(DOCUMENT["bead"]), "status": "slung"}}  # type: ignore[call-overload]
    shown = threading.Event()

    def once_it_is_shown(_seen: object) -> Any:
        assert shown.wait(30)
        return DOCUMENT

    daemon.answers |= {"run": at_work, "wait": once_it_is_shown}
    code, seen = on_terminal(at, "run", "P", "--wait", watch=("slung furiosa: working", shown))
    assert code == 0 and shown.is_set()
    assert seen.rstrip().splitlines()[-1].startswith("  next")


def test_a_defect_is_one_line_and_its_traceback_a_file(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["beads"] = {"unexpected": []}
    outcome = at("ls", "--json")
    log = daemon.home.logs / "at.jsonl"
    assert outcome.code == 1 and outcome.error["code"] == "internal" and str(log) in outcome.error["hint"]
    assert "KeyError" in log.read_text() and log.stat().st_mode & 0o777 == 0o600
