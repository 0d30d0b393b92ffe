"""Command lines for the shell, each in a holder of its own: a run outlives the daemon and is found again.

Gates and the commands around a bead's folder are run here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import anyio
import anyio.lowlevel

from at_core.errors import AtError, TryLater
from at_daemon.endings import let_go
from at_daemon.failpoints import failpoint
from at_daemon.parts import Parts
from at_session.errors import (
    HolderFailed,
    HolderLost,
    HolderSilent,
    JournalDamaged,
    RequestRefused,
    SessionError,
    SessionOver,
)
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

OF_THE_MOMENT = ("socket", "start")
"""Stages at which a holder fails for what the machine does just then: it was killed, or found no processor in time."""

DISOWNED = "disowned"
"""The file in a journal that says that its run is no result, whatever its end."""

BEGAN = "began"
"""The file in a journal that says when its run was begun, in awake seconds of which boot."""

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
    places: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(math.inf))
    begun: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    """Told whenever the run is there: begun now, or found."""


class CommandLost(AtError):
    """A command came to no end that is on record: its holder was killed, or could not be started just now."""

    code = "command_lost"
    exit_code = TryLater.exit_code

    def __init__(self, error: SessionError) -> None:
        super().__init__(f"it was lost: {error}", "try again")


def is_of_the_moment(error: Exception) -> TypeGuard[HolderFailed]:
    """Whether a holder failed to start for what may be otherwise at the next try. It left nothing behind."""
    return isinstance(error, HolderFailed) and error.stage in OF_THE_MOMENT


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
    """Begin the command once it has a place, or find the run that was begun, and follow it to its end; then its log is
    written.

    Never returns for a command that was ended because everything is stopped: the next daemon runs it again. Raises
    CommandLost.
    """
    token = object()
    try:
        found = await _found(parts, run)
        if not await _has_place(run, token, waits=found is None):
            return Finished(None, False, True, 0.0, "")
        return await _carried_out(parts, run, found)
    except (SessionError, OSError) as error:
        if parts.starts.closed:
            await anyio.sleep_forever()  # it was ended with everything else
        if isinstance(error, HolderLost) or is_of_the_moment(error):
            raise CommandLost(error) from error
        raise
    finally:
        with contextlib.suppress(RuntimeError):  # one that was found may have no place
            run.places.release_on_behalf_of(token)


async def _carried_out(parts: Parts, run: CommandRun, found: Session | EndedSession | None) -> Finished:
    if found is None:
        async with parts.starts.one():
            session: Session | EndedSession = await _begin(parts, run)
    else:
        session = found
    try:
        return await _followed_up(parts, run, session)
    finally:
        if isinstance(session, Session):
            await session.aclose()


async def _followed_up(parts: Parts, run: CommandRun, session: Session | EndedSession) -> Finished:
    failpoint(f"{run.place}.after-start")
    await run.begun()
    status, timed_out, given_up = await _watched(parts, session, run)
    if parts.starts.closed:
        await anyio.sleep_forever()
    failpoint(f"{run.place}.after-exit")
    if isinstance(session, Session):
        await let_go(session)
    output, wall_seconds = await anyio.to_thread.run_sync(_write_log, session, run.log)
    seconds = duration(wall_seconds, _awake_since(parts, session.journal))
    if isinstance(session, EndedSession) and seconds > run.limit:
        timed_out = True  # it ended while nobody was there to end it
    if timed_out:
        output += f"\n(it did not end within {run.limit:.0f} s, its time limit)\n"
    return Finished(status, timed_out, given_up, round(seconds, 3), output[-MOST_OUTPUT:])


def duration(wall: float, awake: float | None) -> float:
    """How long a run took: by the journal's times, in which a machine may have slept, or by awake time since its start,
    in which it may have been over for long. Either may be unknown (infinite, None)."""
    known = [each for each in (wall, awake) if each is not None and each < math.inf]
    return max(0.0, min(known, default=0.0))


async def abandon(parts: Parts, name: str) -> None:
    """End a run that nobody wants any more, if it was begun, and forget it."""
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    try:
        held = await open_session(name, **folders)
    except FileNotFoundError:
        return
    if isinstance(held, EndedSession):
        held.kill_processes()
    else:
        with contextlib.suppress(SessionOver, RequestRefused):  # it may end at that very moment
            await held.stop(STOP_GRACE_SECONDS)
            await held.wait()
        await let_go(held)
        await held.aclose()
    await forget(parts, name)


def disown(journal: Path) -> None:
    """Have the run of this journal begun anew when it is looked for again: what ends it now is no end of its own."""
    with contextlib.suppress(FileNotFoundError):  # it is forgotten already
        (journal / DISOWNED).touch()


async def forget(parts: Parts, name: str) -> None:
    """Remove the journal of a run: it is on record, or is to be begun anew."""
    await anyio.to_thread.run_sync(
        functools.partial(shutil.rmtree, parts.home.journal / name, ignore_errors=True)
    )


async def _found(parts: Parts, run: CommandRun) -> Session | EndedSession | None:
    """The run that was begun before, unless its end is none of its own."""
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    try:
        held = await open_session(run.name, **folders)
    except FileNotFoundError:
        return None
    disowned = (held.journal / DISOWNED).exists()
    if isinstance(held, Session) and not disowned:
        with contextlib.suppress(SessionOver, RequestRefused):  # its input is closed already, or it is over
            await held.close_input()
        return held
    if isinstance(held, EndedSession) and held.exit is not None and not disowned:
        return held
    if isinstance(held, Session):
        await held.aclose()
    await abandon(parts, run.name)
    return None


async def _has_place(run: CommandRun, token: object, *, waits: bool) -> bool:
    """Take a place; False if nobody wants the run any more before one is free. One that runs already waits for none."""
    if not waits:
        with contextlib.suppress(anyio.WouldBlock):
            run.places.acquire_on_behalf_of_nowait(token)
        return True
    has, failure = False, None

    async def give_up() -> None:
        nonlocal failure
        failure = await _until_unwanted(run)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)
        await run.places.acquire_on_behalf_of(token)
        has = True
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return has


async def _until_unwanted(run: CommandRun) -> AtError | None:
    """Return once nobody wants the run, with what went wrong if that cannot be told. It is wanted while the daemon ends.

    Not raised: it would come out of a task group in a group of its own.
    """
    try:
        await run.unwanted()
    except TryLater:
        await anyio.sleep_forever()
    except AtError as error:
        return error
    return None


async def _begin(parts: Parts, run: CommandRun) -> Session:
    session = await start_session(
        await run.prepare(), run_dir=parts.home.holders, journal_dir=parts.home.journal
    )
    now = parts.ledger.worlds.clock.awake()
    (session.journal / BEGAN).write_text(json.dumps({"awake": now.seconds, "boot": now.boot}))
    with contextlib.suppress(SessionOver, RequestRefused):  # a quick command is over already
        await session.close_input()
    return session


def _awake_since(parts: Parts, journal: Path) -> float | None:
    """Awake seconds since the run was begun; None if it was in another boot, or that was not written down."""
    now = parts.ledger.worlds.clock.awake()
    try:
        began = json.loads((journal / BEGAN).read_text())
    except (OSError, ValueError):  # the daemon was killed between the start and this
        return None
    return now.seconds - float(began["awake"]) if began["boot"] == now.boot else None


def _lasted(parts: Parts, session: Session) -> float:
    """For how long a run that is under way has been so."""
    awake = _awake_since(parts, session.journal)
    if awake is not None:
        return awake
    first = next(read_records(session.journal), None)
    return 0.0 if first is None else parts.now().timestamp() - first.time_ns / 1e9


async def _watched(
    parts: Parts, session: Session | EndedSession, run: CommandRun
) -> tuple[ExitStatus | None, bool, bool]:
    """Exit status, whether it met its limit, whether nobody wanted it any more."""
    given_up = False
    limit = run.limit - _lasted(parts, session) if isinstance(session, Session) else run.limit
    failure: AtError | SessionError | OSError | None = None
    status, timed_out = None, False

    async def watch() -> None:
        nonlocal given_up, failure
        if (failure := await _until_unwanted(run)) is not None:
            tasks.cancel_scope.cancel()
            return
        given_up = True
        disown(session.journal)
        try:
            await _stop(session)
        except (SessionError, OSError) as error:
            failure = error
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            status, timed_out = await _exit_of(parts, session, max(0.0, limit))
        except (SessionError, OSError) as error:
            failure = error  # not out of a task group: it would come in a group of its own
        tasks.cancel_scope.cancel()
    if isinstance(failure, JournalDamaged):
        await _give_up(
            session
        )  # what it said cannot be read any more, so nothing that it does proves anything
        await forget(parts, run.name)
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


def _write_log(session: Session | EndedSession, log: Path) -> tuple[str, float]:
    """Write what the run said; the end of that, and the seconds between its start and its exit."""
    log.parent.mkdir(mode=0o700, exist_ok=True)
    tail = b""
    began = ended = 0
    with log.open("wb") as file:
        for record in read_records(session.journal):
            data = _shown(record)
            file.write(data)
            tail = (tail + data)[-MOST_OUTPUT * 4 :]
            began = began or record.time_ns
            ended = record.time_ns if record.kind is RecordKind.EXIT else ended
    return tail.decode("utf-8", "replace"), (ended - began) / 1e9 if ended else math.inf


def _shown(record: Record) -> bytes:
    if record.kind in (RecordKind.OUTPUT, RecordKind.STDERR):
        return record.data
    if record.kind is RecordKind.GAP:
        start, stop = record.gap()
        return b"\n(%d bytes are not kept)\n" % (stop - start)
    return b""
