"""Command lines for the shell, each in a holder of its own: a run outlives the daemon and is found again.

Gates and the commands around a bead's folder are run here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from at_daemon.failpoints import failpoint
from at_daemon.parts import Parts
from at_daemon.sessions import let_go
from at_session.errors import HolderSilent, JournalDamaged, RequestRefused, SessionError, SessionOver
from at_session.journal import ExitStatus, Record, RecordKind, read_records
from at_session.processes import kill_session
from at_session.session import EndedSession, Session, SessionSpec, open_session, start_session
from at_session.vocabulary import Transport

GATE_PREFIX = "gate-"
FOLDER_PREFIX = "folder-"
MOST_OUTPUT = 20_000
MOST_LOG = 1 << 30
LOG_SEGMENT = 4 << 20
STOP_GRACE_SECONDS = 2.0
REACH_SECONDS = 8.0
"""A command beyond its limit whose holder does not end it for so long is ended by force."""

Unwanted = Callable[[], Awaitable[None]]
"""Returns once nobody wants the command to go on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended; `output` is the end of what it wrote. `given_up`: it was ended because nobody wants it."""

    status: ExitStatus | None
    timed_out: bool
    given_up: bool
    seconds: float
    output: str

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int | None:
        """None for one that was ended."""
        return self.status.code if self.status and not self.timed_out and not self.given_up else None


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One run: the session's name, where its log goes, its limit, the prefix of its failpoints.

    `prepare` is awaited only if it was not begun before, and gives what it takes to begin it.
    """

    name: str
    place: str
    log: Path
    limit: float
    prepare: Callable[[], Awaitable[SessionSpec]]
    unwanted: Unwanted = anyio.sleep_forever


def session_name(prefix: str, key: str) -> str:
    """The session of what this key names, the same whenever it is looked for."""
    return prefix + hashlib.sha256(key.encode()).hexdigest()[:16]


def is_command(session_id: str) -> bool:
    """Whether the session is a command's; all others are agents'."""
    return session_id.startswith((GATE_PREFIX, FOLDER_PREFIX))


def spec_of(name: str, command: str, env: dict[str, str], cwd: Path) -> SessionSpec:
    """A command line in a shell. Its journal becomes its log, so it is not trimmed while it grows, but held back
    beyond a bound."""
    return SessionSpec(
        name,
        ("/bin/sh", "-c", command),
        env,
        str(cwd),
        Transport.PIPE,
        polite=15,
        journal_bytes=MOST_LOG,
        segment_bytes=LOG_SEGMENT,
    )


async def carry_out(parts: Parts, run: CommandRun) -> Finished:
    """Begin the command, or find the run that was begun, and follow it to its end; then its log is written.

    Never returns for a command that was ended because everything is stopped: the next daemon runs it again.
    """
    began = parts.awake_seconds()
    async with parts.starts.one():
        session = await _found_or_begun(parts, run)
    failpoint(f"{run.place}.after-start")
    try:
        status, timed_out, given_up = await _watched(parts, session, run)
    except JournalDamaged:  # what it said cannot be read any more, so nothing that it does proves anything
        await _give_up(session)
        await forget(parts, run.name)
        raise
    if parts.starts.closed:
        await anyio.sleep_forever()
    seconds = parts.awake_seconds() - began
    failpoint(f"{run.place}.after-exit")
    if isinstance(session, Session):
        await let_go(session)
    output = await anyio.to_thread.run_sync(_write_log, session, parts, run.log)
    if timed_out:
        output += f"\n(ended after {run.limit:.0f} s, its time limit)\n"
    return Finished(status, timed_out, given_up, round(seconds, 3), output[-MOST_OUTPUT:])


async def forget(parts: Parts, name: str) -> None:
    """Remove the journal of a run: it is on record, or is to be begun anew."""
    await anyio.to_thread.run_sync(
        functools.partial(shutil.rmtree, parts.home.journal / name, ignore_errors=True)
    )


async def _found_or_begun(parts: Parts, run: CommandRun) -> Session | EndedSession:
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    try:
        held = await open_session(run.name, **folders)
    except FileNotFoundError:
        pass
    else:
        if isinstance(held, Session):
            with contextlib.suppress(
                SessionOver, RequestRefused
            ):  # its input is closed already, or it is over
                await held.close_input()
            return held
        if held.exit is not None:
            return held
        held.kill_processes()
        held.discard()
    session = await start_session(await run.prepare(), **folders)
    with contextlib.suppress(SessionOver, RequestRefused):  # a quick command is over already
        await session.close_input()
    return session


async def _watched(
    parts: Parts, session: Session | EndedSession, run: CommandRun
) -> tuple[ExitStatus | None, bool, bool]:
    """Exit status, whether it met its limit, whether nobody wanted it any more."""
    given_up, failure = False, None
    status, timed_out = None, False

    async def watch() -> None:
        nonlocal given_up
        await run.unwanted()
        given_up = True
        await _stop(session)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            status, timed_out = await _exit_of(parts, session, run.limit)
        except (
            SessionError,
            OSError,
        ) as error:  # not out of a task group: it would come in a group of its own
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return status, timed_out, given_up


async def _stop(session: Session | EndedSession) -> None:
    if isinstance(session, Session):
        with contextlib.suppress(SessionOver, RequestRefused, HolderSilent):  # it may end at that very moment
            await session.stop(STOP_GRACE_SECONDS)


async def _exit_of(
    parts: Parts, session: Session | EndedSession, limit: float
) -> tuple[ExitStatus | None, bool]:
    if isinstance(session, EndedSession):
        return session.exit, False
    with anyio.move_on_after(limit):
        return await _followed(session), False
    with anyio.move_on_after(STOP_GRACE_SECONDS + REACH_SECONDS):
        await _stop(session)
        return await _followed(session), True
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    await anyio.to_thread.run_sync(functools.partial(kill_session, session.id, **folders))
    return None, True


async def _give_up(session: Session | EndedSession) -> None:
    if isinstance(session, Session):
        with contextlib.suppress(SessionError):  # it may have ended at that very moment
            await session.stop(STOP_GRACE_SECONDS)
            await session.wait()
        await let_go(session)


async def _followed(session: Session) -> ExitStatus | None:
    """Wait for the end and its exit status."""
    status: ExitStatus | None = None
    async with session.follow(0) as follower:
        while batch := await follower.batch():
            status = next((r.exit_status() for r in batch if r.kind is RecordKind.EXIT), status)
    return status


def _write_log(session: Session | EndedSession, parts: Parts, log: Path) -> str:
    log.parent.mkdir(mode=0o700, exist_ok=True)
    tail = b""
    with log.open("wb") as file:
        for record in read_records(parts.home.journal / session.id):
            data = _shown(record)
            file.write(data)
            tail = (tail + data)[-MOST_OUTPUT * 4 :]
    return tail.decode("utf-8", "replace")


def _shown(record: Record) -> bytes:
    if record.kind in (RecordKind.OUTPUT, RecordKind.STDERR):
        return record.data
    if record.kind is RecordKind.GAP:
        start, stop = record.gap()
        return b"\n(%d bytes are not kept)\n" % (stop - start)
    return b""
