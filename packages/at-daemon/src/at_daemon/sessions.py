"""The live sessions of this daemon: found again at the start, followed, and taken in as facts.

Offset and driver state are stored in the transaction that stores what the bytes meant, so a byte is taken in exactly
once whatever happens to the daemon.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.abc

from at_core.errors import TryLater
from at_core.paths import Home
from at_core.types import SessionRecord
from at_daemon import causes, environments
from at_daemon.clis import Clis
from at_daemon.endings import GONE_SECONDS, ended_for, let_go, process_gone, stop_was_asked
from at_daemon.failpoints import failpoint
from at_daemon.heard import Heard, Live, OutOfStep, Words, release, state_of, take_in
from at_daemon.ingest import Intake, process_ended
from at_daemon.ledger import Change, Ledger
from at_session.errors import HolderLost, HolderSilent, ManifestError, SessionError, UnknownCli
from at_session.journal import ExitStatus, Record, RecordKind
from at_session.processes import kill_session
from at_session.session import EndedSession, Session, open_session
from at_session.vocabulary import Driver, DriverEvent, DriverState, Text, TurnEnded, Unparsed, Write

log = logging.getLogger(__name__)
TRIM_EVERY = 1 << 20
SILENT_BYTES = 4 << 20
SILENT_SECONDS = 5.0
"""Bytes that said nothing, such as the middle of a long line, are put on record at the latest then: the driver's state
holds what it has of the line, so that storing it with every piece would cost the square of the line's length."""
LOST_SECONDS = 20.0
LONGEST_ASIDE_SECONDS = 300.0
ADOPTION_SECONDS = 4.0
"""How long a starting daemon waits for holders; a caller takes one that is silent for longer for dead."""
LONGEST_SILENCE_SECONDS = 30.0
LONGEST_WITHOUT_MANIFEST = 5.0
"""A session whose CLI's manifest is gone or broken is taken up so soon after it was mended."""
RECORD_SECONDS = 10.0
"""How long reading a CLI's own record may take; what it would have told comes with a later reading."""
STREAMS = {RecordKind.OUTPUT: "stdout", RecordKind.STDERR: "stderr"}


class LiveSessions:
    """All sessions of agents that this daemon follows, by session id."""

    def __init__(self, ledger: Ledger, home: Home, clis: Clis) -> None:
        self._ledger = ledger
        self._clis = clis
        self._home = home
        self._run_dir: Path = home.holders
        self._journal_dir: Path = home.journal
        self._live: dict[str, Live] = {}
        self._passing: set[str] = set()
        """Sessions between two states: started and not followed yet, or over and not on record yet."""
        self._tasks: anyio.abc.TaskGroup | None = None
        self._news = anyio.Event()
        self._stumbles: dict[str, int] = {}
        self._under_way: set[str] = set()
        self._trouble: dict[str, str] = {}
        self._words = Words(ledger, lambda live: self._live.get(live.record.id) is live)

    def live(self, session_id: str) -> Live:
        """A followed session; raises HolderLost when it is not followed (any more)."""
        if session_id not in self._live:
            raise HolderLost(session_id)
        return self._live[session_id]

    async def held(self, session_id: str) -> Live | None:
        """The session once it is followed, or None once its end is on record: one of both comes."""
        while True:
            news = self._news
            if (live := self._live.get(session_id)) is not None:
                return live
            record = await self._ledger.read(lambda tx: tx.session(session_id))
            if record is None or record.ended_at is not None:
                return None
            await news.wait()

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    def contact(self, session_id: str | None) -> bool:
        """Whether the session's holder is followed now."""
        return session_id in self._live or session_id in self._passing

    def expect(self, session_id: str) -> None:
        """It is about to be followed: its process was just started."""
        self._passing.add(session_id)

    def trouble(self, session_id: str | None) -> str | None:
        """Why a session is not followed although its end is not on record; None while it is."""
        return self._trouble.get(session_id or "")

    async def adopt_all(self, tasks: anyio.abc.TaskGroup) -> int:
        """Follow every session that the store does not know to be over; the number of those that are followed.

        Those whose holders take their time are gone on with beside everything else.
        """
        self._tasks = tasks
        records = await self._ledger.read(lambda tx: tx.sessions(live=True))
        left, settled = {record.id for record in records}, anyio.Event()

        async def take_up(record: SessionRecord) -> None:
            await self.adopt(record)
            left.discard(record.id)
            if not left:
                settled.set()

        for record in records:
            tasks.start_soon(take_up, record)
        with anyio.move_on_after(ADOPTION_SECONDS if records else 0):
            await settled.wait()
        for session_id in left:
            self._trouble[session_id] = "its holder does not answer"
        return len(self._live)

    async def adopt(self, record: SessionRecord) -> None:
        """Follow one session from where its record says that its journal was taken in."""
        if self._tasks is None or record.id in self._live or record.id in self._under_way:
            return
        self._under_way.add(record.id)
        try:
            await self._adopt(record, self._tasks)
        except Exception as error:  # noqa: BLE001 - trouble with one session must not keep the daemon from starting
            self._set_aside(record, error)
        finally:
            self._passing.discard(record.id)
            self._under_way.discard(record.id)

    async def end_by_force(self, session_id: str) -> None:
        """Kill a session whose holder does not answer, and put its end on record."""
        folders = {"run_dir": self._run_dir, "journal_dir": self._journal_dir}
        killed = await anyio.to_thread.run_sync(functools.partial(kill_session, session_id, **folders))
        log.warning("session %s was ended by force: %s", session_id, killed)
        with anyio.move_on_after(GONE_SECONDS):
            for pid in killed:
                await process_gone(pid)
        record = await self._ledger.read(lambda tx: tx.session(session_id))
        if record is not None and record.ended_at is None:
            await self.adopt(record)

    async def _adopt(self, record: SessionRecord, tasks: anyio.abc.TaskGroup) -> None:
        driver = self._clis.find(record.cli).driver(DriverState(dict(record.driver_state)))
        try:
            found = await open_session(record.id, run_dir=self._run_dir, journal_dir=self._journal_dir)
        except FileNotFoundError:
            await self._take_record(record, driver)
            await self._ended(record, None, lost=True)
            return
        if isinstance(found, EndedSession):
            await self._take_rest(record, driver, found)
            return
        live = Live(record, found, driver, record.offset, record.offset, record.offset)
        self._live[record.id] = live
        self._passing.discard(record.id)
        self._trouble.pop(record.id, None)
        self._tell()
        tasks.start_soon(self._follow, live)

    async def _take_rest(self, record: SessionRecord, driver: Driver, ended: EndedSession) -> None:
        records: list[Record] = []
        try:
            records.extend(ended.records(record.offset))
        except SessionError as error:
            log.warning("session %s: the rest of its journal is lost: %s", record.id, error)
        if records:
            await self._take(record, driver, records)
        if not ended.complete:
            ended.kill_processes()
        await self._take_record(record, driver)
        await self._ended(record, ended.exit, lost=not ended.complete)

    async def _follow(self, live: Live) -> None:
        live.reading = anyio.CancelScope()
        try:
            with live.reading:
                await self._follow_to_its_end(live)
            if live.reading.cancelled_caught:
                raise OutOfStep(live.record.id)
        except Exception as error:  # noqa: BLE001 - trouble with one session must not end the daemon for all others
            self._live.pop(live.record.id, None)
            self._set_aside(live.record, error)
        finally:
            live.over.set()

    async def _follow_to_its_end(self, live: Live) -> None:
        lost = False
        try:
            async with live.session.follow(live.offset) as follower:
                while batch := await follower.batch():
                    awake = self._ledger.worlds.clock.awake().seconds
                    recent = awake - live.taken_at < SILENT_SECONDS
                    short = batch[-1].next - live.offset < SILENT_BYTES
                    async with live.lock:
                        may_wait = recent and short
                        taken = await self._take(live.record, live.driver, batch, live, may_wait=may_wait)
                        live.fed = batch[-1].next
                        if live.held and self._tasks is not None:
                            self._words.hold(live, self._tasks)
                        if taken:
                            live.offset, live.taken_at = batch[-1].next, awake
                            self._stumbles.pop(live.record.id, None)
                    live.exit = next((r.exit_status() for r in batch if r.kind is RecordKind.EXIT), live.exit)
                    await self._trim(live)
        except HolderSilent:
            raise  # no proof of its end: it is found again, or found to be over
        except SessionError as error:  # its holder is gone, or its journal cannot be read
            log.warning("session %s is lost: %s", live.record.id, error)
            lost = True
            await self._end_orphans(live.session)
        async with live.lock:
            await release(self._ledger, [live])
        self._passing.add(live.record.id)
        self._live.pop(live.record.id, None)
        await self._take_record(live.record, live.driver)
        await self._ended(live.record, live.exit, lost=lost)
        await let_go(live.session)

    def _set_aside(self, record: SessionRecord, error: Exception) -> None:
        """Leave a session to its holder for a while; it is `unknown` meanwhile, and nothing of it is lost."""
        times = self._stumbles[record.id] = self._stumbles.get(record.id, 0) + 1
        wait = min(LONGEST_ASIDE_SECONDS, 2.0 ** min(times, 9))
        self._trouble[record.id] = str(error) or type(error).__name__
        if isinstance(error, HolderSilent | UnknownCli | ManifestError):
            known = LONGEST_SILENCE_SECONDS if isinstance(error, HolderSilent) else LONGEST_WITHOUT_MANIFEST
            wait = min(wait, known)
            log.warning("%s; it is left alone for %.0f s", error, wait)
        else:
            log.error("session %s is left alone for %.0f s", record.id, wait, exc_info=error)
        if self._tasks is not None:
            self._tasks.start_soon(self._take_up_again, record, wait)

    async def _take_up_again(self, record: SessionRecord, wait: float) -> None:
        await anyio.sleep(wait)
        try:
            now = await self._ledger.read(lambda tx: tx.session(record.id))
        except Exception as error:  # noqa: BLE001 - this too is trouble with one session only
            self._set_aside(record, error)
            return
        if now is not None and now.ended_at is None:
            await self.adopt(now)

    async def _end_orphans(self, session: Session) -> None:
        """What a lost holder left running must not work on beside the next start, even if it cannot be asked to end."""
        with contextlib.suppress(SessionError, OSError), anyio.move_on_after(LOST_SECONDS):
            await session.stop(GONE_SECONDS)
            await session.wait()
        await let_go(session)
        folders = {"run_dir": self._run_dir, "journal_dir": self._journal_dir}
        await anyio.to_thread.run_sync(functools.partial(kill_session, session.id, **folders))

    async def _trim(self, live: Live) -> None:
        if live.offset - live.trimmed < TRIM_EVERY:
            return
        try:
            await live.session.trim(live.offset)
        except SessionError as error:
            log.info("session %s was not trimmed: %s", live.record.id, error)
        live.trimmed = live.offset

    async def _take(
        self,
        record: SessionRecord,
        driver: Driver,
        batch: Sequence[Record],
        live: Live | None = None,
        *,
        may_wait: bool = False,
    ) -> bool:
        """Whether it is on record. What said nothing, or is words that can be held, is not if it `may_wait`, and
        comes again after a restart."""
        events: list[DriverEvent] = []
        writes: list[Write] = []
        for entry in batch:
            stream = STREAMS.get(entry.kind)
            for heard in _heard(driver, stream, entry.data) if stream else ():
                if isinstance(heard, Write):
                    writes.append(heard)
                else:
                    events.append(heard)
        if driver.capabilities.record_has_usage and any(isinstance(event, TurnEnded) for event in events):
            events += await self._reconciled(record, driver)
        gaps = [entry.gap() for entry in batch if entry.kind is RecordKind.GAP]
        if may_wait and not (writes or gaps):
            if not events:
                return False
            if live is not None and all(isinstance(event, Text) for event in events):
                live.held += events
                return False
        said, after = ([*live.held, *events], live.offset) if live else (events, None)
        taken = Heard(record, said, state_of(driver), batch[-1].next, writes, gaps, after)
        failpoint("ingest.before-commit")
        noted: list[Heard] = []
        await take_in(self._ledger, [taken], noted.append)
        failpoint("ingest.after-commit")
        if not noted:
            raise OutOfStep(record.id)
        if live is not None:
            live.held.clear()
        return True

    async def keep_state(self, live: Live) -> None:
        """Put on record what the driver knows, before a write that it was asked for leaves.

        Else a daemon that dies after the write would not know what it had said. The lock is held by the caller.
        Raises `TryLater` where it is followed no longer: its bytes are fed to another driver now.
        """
        if self._live.get(live.record.id) is not live:
            raise TryLater("its session is being taken up again")
        try:
            await release(self._ledger, [live])
        except OutOfStep as error:
            raise TryLater(str(error)) from None
        state, fed = state_of(live.driver).values, live.fed

        def note(change: Change) -> None:
            known = change.tx.session(live.record.id)
            if known is not None and known.ended_at is None:
                change.tx.advance_session(live.record.id, fed, state)

        await self._ledger.record(note)
        live.offset = fed

    async def _take_record(self, record: SessionRecord, driver: Driver) -> None:
        """Take in what only the CLI's own record tells of a process that is gone, before its end is settled."""
        if events := await self._reconciled(record, driver):
            state = state_of(driver).values
            await self._ledger.record(lambda change: self._note_record(change, record, events, state))

    def _note_record(
        self, change: Change, record: SessionRecord, events: Sequence[DriverEvent], state: dict[str, Any]
    ) -> None:
        known, agent = change.tx.session(record.id), change.tx.agent(record.agent_id)
        if known is None or known.ended_at is not None or agent is None:
            return
        change.tx.advance_session(record.id, known.offset, state)
        bead = change.tx.bead(record.bead_id) if record.bead_id else None
        Intake(change, record, agent, bead).take(events)

    async def _reconciled(self, record: SessionRecord, driver: Driver) -> list[DriverEvent]:
        """What the CLI's own record has beyond the stream. The driver's state changes only if all of it was read."""
        fresh = type(driver)(state_of(driver))
        environment = environments.load(self._home, record.agent_id)
        read = functools.partial(fresh.reconcile, environment, str(record.launch.get("cwd", "")))
        events: list[DriverEvent] = []
        try:
            with anyio.fail_after(RECORD_SECONDS):
                events = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        except Exception as error:  # another program's files must not end the daemon
            log.error("what %s keeps of session %s cannot be read", driver.cli, record.id, exc_info=error)
            return []
        driver.state.values.clear()
        driver.state.values.update(fresh.state.values)
        return events

    async def _ended(self, record: SessionRecord, exit_status: ExitStatus | None, *, lost: bool) -> None:
        def note(change: Change) -> None:
            known = change.tx.session(record.id)
            if known is None or known.ended_at is not None:
                return
            bead = change.tx.bead(record.bead_id) if record.bead_id else None
            world = self._ledger.worlds.of(change.tx, bead) if bead else None
            asked, signal = stop_was_asked(change, record.id), exit_status.signal if exit_status else None
            boot = self._ledger.worlds.clock.awake().boot
            process_ended(
                change,
                record,
                world,
                code=exit_status.code if exit_status else None,
                signal=signal,
                lost=lost,
                asked=asked,
                cause=ended_for(change, record.id)
                or causes.cause(record.launch, boot, signal, causes.oom_kills(), asked=asked),
                source="holder" if exit_status else "daemon",
            )

        await self._ledger.record(note)
        self._passing.discard(record.id)
        self._stumbles.pop(record.id, None)
        self._trouble.pop(record.id, None)
        self._tell()


def _heard(driver: Driver, stream: str, data: bytes) -> Sequence[DriverEvent | Write]:
    try:
        return list(driver.feed(stream, data))
    except Exception as error:  # words of an agent must not end the daemon
        log.error("the driver of %s stumbled", driver.cli, exc_info=error)
        return [Unparsed(f"{type(error).__name__}: {error}"[:500], stream)]


def session_id_for(agent_id: UUID, attempt: int) -> str:
    """Short, so that socket paths stay short, and the same whenever the start is carried out again."""
    return f"{agent_id.hex[:12]}-{attempt}"
