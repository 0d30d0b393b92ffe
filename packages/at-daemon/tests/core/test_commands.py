"""Command lines in holders: run once, within a limit, found again, with everything that they wrote in their log."""

from __future__ import annotations

import dataclasses
import functools
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from at_core.errors import StoreError, TryLater
from at_core.paths import Home
from at_daemon.acts.commands import (
    BEGAN,
    FOLDER_PREFIX,
    CommandLost,
    CommandRun,
    Finished,
    abandon,
    carry_out,
    disown,
    duration,
    forget,
    is_command,
    session_name,
    spec_of,
)
from at_daemon.endings import let_go
from at_daemon.parts import Parts
from at_daemon.testing import Desk
from at_session.processes import kill_session
from at_session.session import SessionSpec, start_session

NAME = session_name(FOLDER_PREFIX, "a key")
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def parts(desk: Desk, tmp_path: Path) -> Parts:
    """A home in which holders can be started."""
    home = Home(tmp_path / "at")
    home.make()
    (tmp_path / "folder").mkdir()
    return desk.parts(home)


def run_of(parts: Parts, command: str, limit: float = 30.0, **changes: Any) -> CommandRun:
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


@pytest.mark.parametrize(
    ("wall", "awake", "seconds"),
    [
        (2.0, 2.5, 2.0),
        (2.0, 600.0, 2.0),
        (600.0, 2.5, 2.5),
        (600.0, None, 600.0),
        (math.inf, 2.5, 2.5),
        (math.inf, None, 0.0),
        (-5.0, 2.5, 0.0),
    ],
    ids=["both", "over since long", "slept", "another boot", "no exit", "nothing", "the clock was set"],
)
def test_how_long_it_took(wall: float, awake: float | None, seconds: float) -> None:
    assert duration(wall, awake) == seconds


def begun(parts: Parts, run: CommandRun) -> None:
    """Follow the run until it is there, as a daemon does that is killed then."""

    async def until_begun() -> None:
        there = anyio.Event()

        async def tell() -> None:
            there.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(carry_out, parts, dataclasses.replace(run, begun=tell))
            await there.wait()
            tasks.cancel_scope.cancel()

    anyio.run(until_begun)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "killed before it was noted"])
def test_its_limit_counts_from_its_start_whatever_becomes_of_the_daemon(
    parts: Parts, desk: Desk, noted: bool
) -> None:
    run = run_of(parts, "exec sleep 600", limit=500.0)
    begun(parts, run)
    desk.clock.pass_time(501.0)
    if not noted:
        (parts.home.journal / NAME / BEGAN).unlink()
        desk.clock.moment = datetime.now(UTC) + timedelta(seconds=501)
    finished = carried_out(parts, run)
    assert finished.timed_out and not finished.ok


@pytest.mark.parametrize(("limit", "ok"), [(500.0, True), (0.0, False)])
def test_what_ended_without_a_daemon_is_judged_by_the_same_limit(
    parts: Parts, desk: Desk, limit: float, ok: bool
) -> None:
    run = run_of(parts, "read line; echo done", limit=limit)

    async def ends() -> None:
        session = await start_session(
            await run.prepare(), run_dir=parts.home.holders, journal_dir=parts.home.journal
        )
        await session.close_input()
        await session.wait()
        await let_go(session)

    anyio.run(ends)
    desk.clock.pass_time(9000.0)
    finished = carried_out(parts, dataclasses.replace(run, prepare=never))
    assert (finished.exit_code, finished.timed_out) == ((0, False) if ok else (None, True))
    assert finished.seconds < 9000


async def never() -> SessionSpec:
    """What was begun is found, and not prepared again."""
    raise AssertionError("it was to be found")


def test_what_was_ended_with_everything_else_is_no_result(parts: Parts) -> None:
    first = run_of(parts, "echo once >> count; [ -e go ] || exec sleep 600")
    begun(parts, first)
    disown(parts.home.journal / NAME)
    folder = parts.home.root.parent / "folder"
    (folder / "go").touch()
    assert carried_out(parts, first).ok
    assert (folder / "count").read_text() in ("once\nonce\n", "once\n"), (
        "it may have been ended before it said so"
    )


def test_a_run_whose_holder_was_killed_is_lost_and_may_be_begun_anew(parts: Parts) -> None:
    run = run_of(parts, "[ -e go ] || exec sleep 600")

    async def killed() -> None:
        async def kill() -> None:
            await anyio.to_thread.run_sync(
                functools.partial(
                    kill_session, NAME, run_dir=parts.home.holders, journal_dir=parts.home.journal
                )
            )

        await carry_out(parts, dataclasses.replace(run, begun=kill))

    with pytest.raises(CommandLost):
        anyio.run(killed)
    (parts.home.root.parent / "folder" / "go").touch()
    assert carried_out(parts, run).ok


def test_a_holder_that_is_ended_while_it_starts_is_worth_another_try(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "holder.py"
    script.write_text("import os; os.kill(os.getpid(), 9)")
    with monkeypatch.context() as patch:
        patch.setattr("at_session.spawn.bundled_holder", lambda _: script)
        with pytest.raises(CommandLost, match="signal 9"):
            carried_out(parts, run_of(parts, "true"))
    assert carried_out(parts, run_of(parts, "true")).ok


def test_one_that_waits_for_a_place_is_given_up_at_once(parts: Parts) -> None:
    async def at_once() -> None:
        return None

    async def story() -> Finished:
        places = anyio.CapacityLimiter(1)
        await places.acquire_on_behalf_of("another")
        return await carry_out(parts, run_of(parts, "true", unwanted=at_once, places=places))

    assert anyio.run(story).given_up
    assert not (parts.home.journal / NAME).exists()


def test_what_cannot_be_told_fails_the_run_with_its_own_words(parts: Parts) -> None:
    async def broken() -> None:
        raise StoreError("it is damaged")

    with pytest.raises(StoreError):
        carried_out(parts, run_of(parts, "exec sleep 600", unwanted=broken))
    anyio.run(functools.partial(abandon, parts, NAME))


def test_a_daemon_that_ends_gives_nothing_up(parts: Parts) -> None:
    async def ends() -> None:
        raise TryLater("the daemon is ending")

    assert carried_out(parts, run_of(parts, "echo done", unwanted=ends)).ok


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
