"""What at-daemon says and returns when it cannot start; run in this process, with wirings that fail."""

from __future__ import annotations

import errno
import gc
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from at_core.errors import NeedsPerson
from at_core.paths import Home
from at_daemon import main as main_module
from at_daemon.lock import only_daemon
from at_daemon.main import Run, main
from at_telemetry.logging import end_logging


@dataclass(frozen=True)
class Outcome:
    """Exit code, what the starter was told, and what was printed."""

    code: int
    report: dict[str, Any]
    out: str
    err: str


Here = Callable[..., Outcome]


@pytest.fixture
def here(home: Home, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Runs at-daemon for this test's home, and takes back what it changes in a process."""

    def run(wiring: Run) -> Outcome:
        reader, writer = os.pipe()
        try:
            code = main(["--home", str(home.root), "--ready-fd", str(writer), "--foreground"], wiring)
            *steps, report = [json.loads(line) for line in os.read(reader, 4096).splitlines()]
            assert all(set(step) == {"starting", "pid"} for step in steps)
        finally:
            os.close(reader)
        printed = capsys.readouterr()
        return Outcome(code, report, printed.out, printed.err)

    name = Path("/proc/self/comm").read_text()
    yield run
    end_logging()
    gc.unfreeze()
    Path("/proc/self/comm").write_text(name)


async def needs_person(home: Home, config: Any, ready: Callable[[], None]) -> None:
    raise NeedsPerson("the store is of a newer version", "update auto-tundra")


async def full_disk(home: Home, config: Any, ready: Callable[[], None]) -> None:
    async with anyio.create_task_group():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home.store_file))


async def crash(home: Home, config: Any, ready: Callable[[], None]) -> None:
    raise ValueError("an inner\nmatter")


async def long_story(home: Home, config: Any, ready: Callable[[], None]) -> None:
    raise NeedsPerson("x" * 100_000)


async def crash_of_a_task(home: Home, config: Any, ready: Callable[[], None]) -> None:
    async def task() -> None:
        await anyio.lowlevel.checkpoint()
        raise NeedsPerson("later")

    async with anyio.create_task_group() as group:
        group.start_soon(task)
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("wiring", "line", "code"),
    [
        (needs_person, "the store is of a newer version", 3),
        (full_disk, "the daemon cannot run: [Errno 28] No space left on device: '{home}/cache.db'", 1),
        (crash, "the daemon failed inside: ValueError: an inner matter", 1),
        (crash_of_a_task, "later", 3),
        (long_story, "x" * 400, 3),
    ],
)
def test_a_failure_is_one_line_to_starter_and_person_and_whole_in_the_log(
    home: Home, here: Here, wiring: Run, line: str, code: int
) -> None:
    found = here(wiring)
    assert found.code == found.report["error"]["exit_code"] == code
    assert found.report["error"]["message"] == line.format(home=home.root)
    assert found.out == ""
    assert found.err.startswith(f"at-daemon: {found.report['error']['message']}")
    assert found.err.count("\n") == 1
    log = (home.logs / "at-daemon.jsonl").read_text()
    assert "Traceback" in log


def test_ready_is_said_once_and_a_failure_after_it_is_the_exit_code(home: Home, here: Here) -> None:
    async def wiring(home: Home, config: Any, ready: Callable[[], None]) -> None:
        ready()
        raise NeedsPerson("later")

    found = here(wiring)
    assert found.report["ready"]["pid"] == os.getpid()
    assert (found.code, found.err) == (3, "at-daemon: later\n")


def test_a_starter_that_has_left_does_not_matter(home: Home, here: Here) -> None:
    async def wiring(home: Home, config: Any, ready: Callable[[], None]) -> None:
        ready()

    reader, writer = os.pipe()
    os.close(reader)
    assert main(["--home", str(home.root), "--ready-fd", str(writer), "--foreground"], wiring) == 0


def test_a_malformed_configuration_starts_nothing(home: Home, here: Here) -> None:
    home.config_file.write_text("[general]\nmax_agents = 'many'\n")
    reached: list[bool] = []

    async def wiring(home: Home, config: Any, ready: Callable[[], None]) -> None:
        reached.append(True)

    found = here(wiring)
    assert "config.toml" in found.report["error"]["message"]
    assert "max_agents" in found.report["error"]["message"]
    assert found.code == found.report["error"]["exit_code"]
    assert not reached


@pytest.mark.parametrize("elsewhere", [None, "/nowhere"])
def test_configuration_and_store_are_those_of_the_home_that_was_named(
    home: Home, here: Here, monkeypatch: pytest.MonkeyPatch, elsewhere: str | None
) -> None:
    if elsewhere is None:
        monkeypatch.delenv("AT_HOME", raising=False)
    else:
        monkeypatch.setenv("AT_HOME", elsewhere)
    home.config_file.write_text("[general]\nmax_agents = 7\n")
    seen: list[tuple[int, str]] = []

    async def wiring(home: Home, config: Any, ready: Callable[[], None]) -> None:
        seen.append((config.general.max_agents, config.cache.sqlite_path))
        ready()

    assert here(wiring).code == 0
    assert seen == [(7, str(home.store_file))]


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--home", str(tmp_path / "file" / "home")]) == 1
    printed = capsys.readouterr().err
    assert "Not a directory" in printed
    assert printed.count("\n") == 1


class TestTheLockIsHeld:
    """Another daemon has the home."""

    def test_by_hand_it_says_who_is_there_and_ends(
        self, home: Home, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with only_daemon(home, "0"):
            assert main(["--home", str(home.root)]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == (
            f"at-daemon: another daemon serves {home.root} (pid {os.getpid()}, version 0) (at status)\n"
        )

    def test_one_that_ends_is_followed(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = threading.Event()
        monkeypatch.setattr(main_module, "answers", lambda home: refused.set())
        outcomes: list[bool] = []

        def start() -> None:
            with ExitStack() as held:
                outcomes.append(main_module._is_only(home, held, main_module._Report(None), joins=True))

        with only_daemon(home, "0"):
            starting = threading.Thread(target=start)
            starting.start()
            assert refused.wait(10)
        starting.join()
        assert outcomes == [True]

    def test_one_that_never_answers_is_named(
        self, home: Home, here: Here, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(main_module, "_JOIN_SECONDS", 0.1)
        with only_daemon(home, "0"):
            found = here(needs_person)
        error = found.report["error"]
        assert error["message"] == f"another daemon serves {home.root} (pid {os.getpid()}, version 0)"
        assert (error["code"], error["exit_code"], found.code) == ("already_running", 1, 1)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["--help"], 0), (["--nothing"], 2), (["--ready-fd", "x"], 2)]
)
def test_arguments(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert "at-daemon" in (printed.err if code else printed.out)
