"""Command lines in holders: run once, within a limit, found again, with everything that they wrote in their log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from at_core.config import Config
from at_core.paths import Home
from at_daemon.acts.commands import (
    FOLDER_PREFIX,
    CommandRun,
    Finished,
    carry_out,
    forget,
    is_command,
    session_name,
    spec_of,
)
from at_daemon.clis import Clis
from at_daemon.news import News
from at_daemon.parts import Parts
from at_daemon.sessions import LiveSessions
from at_daemon.testing import Desk
from at_session.session import SessionSpec, start_session

NAME = session_name(FOLDER_PREFIX, "a key")
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def parts(desk: Desk, tmp_path: Path) -> Parts:
    """A home in which holders can be started."""
    home = Home(tmp_path / "at")
    home.make()
    (tmp_path / "folder").mkdir()
    return Parts(
        home=home,
        config=Config(),
        ledger=desk.ledger,
        sessions=LiveSessions(desk.ledger, home, Clis()),
        clis=Clis(),
        gate_slots=anyio.CapacityLimiter(1),
        forecasts=anyio.CapacityLimiter(1),
        news=News(),
        stopping=anyio.Event(),
        started_at=desk.clock.now(),
    )


def run_of(
    parts: Parts, command: str, limit: float = 30.0, **changes: Callable[[], Awaitable[None]]
) -> CommandRun:
    """The run of a command in the folder."""
    folder = parts.home.root.parent / "folder"

    async def prepare() -> SessionSpec:
        return spec_of(NAME, command, ENVIRONMENT, folder)

    return CommandRun(NAME, "setup", parts.home.logs / "worktrees" / "1.log", limit, prepare, **changes)


def carried_out(parts: Parts, run: CommandRun) -> Finished:
    """What it came to; its journal is removed."""

    async def both() -> Finished:
        finished = await carry_out(parts, run)
        await forget(parts, NAME)
        return finished

    return anyio.run(both)


@pytest.mark.parametrize(
    ("command", "ok", "code"),
    [
        ("echo a; echo b >&2", True, 0),
        ("echo a; echo b >&2; exit 7", False, 7),
        ("echo a; echo b; kill -9 $$", False, None),
    ],
)
def test_how_it_ended_and_what_it_wrote(parts: Parts, command: str, ok: bool, code: int | None) -> None:
    run = run_of(parts, command)
    finished = carried_out(parts, run)
    assert (finished.ok, finished.exit_code, finished.timed_out) == (ok, code, False)
    assert sorted(finished.output.split()) == sorted(run.log.read_text().split()) == ["a", "b"]
    assert not (parts.home.journal / NAME).exists()


def test_beyond_its_limit_it_is_ended_with_all_that_it_started(parts: Parts) -> None:
    finished = carried_out(parts, run_of(parts, "sleep 600 & sleep 600", limit=0.3))
    assert finished.timed_out and not finished.ok and finished.exit_code is None
    assert finished.output.endswith("its time limit)\n")


def test_what_nobody_wants_any_more_is_ended(parts: Parts) -> None:
    async def at_once() -> None:
        return None

    finished = carried_out(parts, run_of(parts, "exec sleep 600", unwanted=at_once))
    assert finished.given_up and not finished.ok


@pytest.mark.parametrize("ended", [True, False], ids=["ended meanwhile", "under way still"])
def test_a_run_that_was_begun_is_found_again_and_not_begun_anew(parts: Parts, ended: bool) -> None:
    run = run_of(parts, "echo once >> count; [ -e go ] || read line; echo done")
    folder = parts.home.root.parent / "folder"
    if ended:
        (folder / "go").touch()

    async def begin() -> None:
        session = await start_session(
            await run.prepare(), run_dir=parts.home.holders, journal_dir=parts.home.journal
        )
        if ended:
            await session.wait()
        await session.aclose()

    anyio.run(begin)
    finished = carried_out(parts, run)
    assert finished.ok
    assert (folder / "count").read_text() == "once\n"
    assert "done" in run.log.read_text()


def test_its_name_tells_it_from_an_agent_s_session() -> None:
    assert is_command(NAME) and session_name(FOLDER_PREFIX, "a key") == NAME
    assert not is_command("3f2a9c1e0000-1")
