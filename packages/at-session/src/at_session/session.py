"""Durable sessions for asyncio programs: start, find again, write, follow, stop.

A session is a holder process with its agent. `Session` is a client of the holder's socket and keeps no task and no
thread: one connection for requests, opened when first needed, and one for each `follow`.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import anyio
import anyio.lowlevel

from at_session import holder_wire as wire
from at_session import protocol
from at_session.connection import Connection, answered_by, reach
from at_session.errors import HolderLost, HolderSilent, ProtocolBroken, SessionEnded, SessionError
from at_session.journal import ExitStatus, JournalReader, Record, RecordKind, ending, read_records, written
from at_session.processes import kill_all, marked_processes
from at_session.silence import AGAIN_SECONDS, NOBODY, over
from at_session.spawn import SessionSpec, spawn_holder
from at_session.vocabulary import Transport

__all__ = [
    "EndedSession",
    "Follower",
    "Lease",
    "Session",
    "SessionSpec",
    "SessionStatus",
    "WriteReceipt",
    "list_sessions",
    "open_session",
    "start_session",
]

STARTING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """The write is journalled at `offset`; `repeated` when that happened on an earlier call with this id."""

    offset: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the only writer, held by the connection that took it."""

    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What the holder says of itself.

    `state` is running, full (back-pressure until trimmed), exited (the agent has; its leftovers are being ended),
    ended, or "blocked: " and a reason. Offsets count journal bytes; `exit` is the exit code, negative for a signal.
    """

    id: str
    transport: Transport
    pid: int
    holder_pid: int
    state: str
    rows: int
    cols: int
    first: int
    end: int
    waiting: int
    lease: Lease | None
    exit: int | None


class Session:
    """A live session. Requests raise RequestRefused, SessionEnded, HolderLost, or HolderSilent: try again later.

    A request has its answer within five seconds, or raises HolderSilent and closes the connection, which ends a lease
    that this object holds. It may be performed nevertheless, now or when the holder goes on; to repeat a write by its id
    is safe. Only `wait` and followers wait as long as it takes.
    """

    def __init__(self, session_id: str, *, run_dir: Path, journal: Path, pid: int, holder_pid: int) -> None:
        self.id = session_id
        self.run_dir = run_dir.absolute()
        self.journal = journal.absolute()
        self.pid = pid
        self.holder_pid = holder_pid
        self._connection: Connection | None = None
        self._lock = anyio.Lock()

    async def _request(self, kind: int, payload: bytes = b"") -> dict[str, str]:
        until = answered_by()
        async with self._turn(until):
            try:
                if self._connection is None:
                    self._connection = await reach(self.run_dir, self.id, until=until)
                connection, self._connection = self._connection, None
                try:
                    found = await connection.request(kind, payload, until=until)
                except (OSError, ProtocolBroken, HolderSilent, anyio.get_cancelled_exc_class()):
                    # Half a frame may have left: only a new connection is in a known state.
                    connection.close()
                    raise
                except BaseException:  # a whole answer was read, also an error's: the state is known
                    self._connection = connection
                    raise
                self._connection = connection
                return found
            except NOBODY:
                raise over(self.id, self.journal) from None
            except OSError:
                raise await self._closed(until) from None

    @asynccontextmanager
    async def _turn(self, until: float) -> AsyncIterator[None]:
        """The connection for one request at a time; waiting for it counts as waiting for the answer."""
        with anyio.CancelScope(deadline=until) as waiting:
            await self._lock.acquire()
        if waiting.cancelled_caught:
            raise HolderSilent(self.id, "a request before this one has no answer yet")
        try:
            yield
        finally:
            self._lock.release()

    async def _closed(self, until: float) -> SessionError:
        """What it means that a connection is over: that of a holder which listens still was not the last one."""
        try:
            self._connection = await reach(self.run_dir, self.id, until=until)
        except NOBODY:
            return over(self.id, self.journal)
        except HolderSilent as silent:
            return silent
        return HolderSilent(self.id, "it closed the connection")

    async def write(self, write_id: str, data: bytes, *, lease: Lease | None = None) -> WriteReceipt:
        """Journal `data` and give it to the agent, once per id however often it is repeated.

        The id is 1 to 200 printable ASCII characters without blanks; an empty id is never remembered. Raises
        LeaseHeld, LeaseEnded, DiskFull, InputFull: nothing was written and the same id may be tried again.
        """
        if len(write_id) > 200 or len(data) > wire.MAX_FRAME - 256:
            raise ValueError("write id longer than 200 characters, or data longer than 8 MiB")
        if not all(32 < ord(character) < 127 for character in write_id):
            raise ValueError("write id with blanks or characters that are not ASCII")
        fence = lease.fence if lease else 0
        found = await self._request(wire.WRITE, protocol.write(write_id, data, fence))
        return WriteReceipt(int(found["offset"]), found["repeated"] == "1")

    async def close_input(self, *, lease: Lease | None = None) -> None:
        """End of file for the agent's stdin once pending input is taken (pipes only)."""
        await self._request(wire.CLOSE_INPUT, _fence(lease))

    def follow(self, offset: int | None = None) -> Follower:
        """Records from `offset` on, then live ones until the session ends. None: only what comes from now on."""
        return Follower(self, offset)

    async def resize(self, rows: int, cols: int, *, lease: Lease | None = None) -> None:
        """Give the PTY a new size; the agent gets SIGWINCH."""
        size = wire.pack_fields(("rows", rows), ("cols", cols))
        await self._request(wire.RESIZE, size + _fence(lease))

    async def signal(self, number: int, scope: str = "child") -> None:
        """Send a signal to the agent ("child"), its process group ("group") or every process of it ("all")."""
        await self._request(wire.SIGNAL, wire.pack_fields(("signal", int(number)), ("scope", scope)))

    async def stop(self, grace: float) -> None:
        """End the agent and everything it started: politely, after `grace` seconds SIGTERM, then SIGKILL.

        Returns at once; the holder does it even if the caller dies. `follow` tells how it ended.
        """
        await self._request(wire.STOP, wire.pack_fields(("grace_ms", int(grace * 1000))))

    async def status(self) -> SessionStatus:
        """What the holder says of itself now."""
        found = await self._request(wire.STATUS)
        lease = Lease(found["owner"], int(found["fence"])) if found["owner"] else None
        return SessionStatus(
            id=found["id"],
            transport=Transport(found["mode"]),
            pid=int(found["pid"]),
            holder_pid=int(found["holder"]),
            state=found["state"],
            rows=int(found["rows"]),
            cols=int(found["cols"]),
            first=int(found["first"]),
            end=int(found["end"]),
            waiting=int(found["waiting"]),
            lease=lease,
            exit=int(found["exit"]) if found["exit"] else None,
        )

    async def trim(self, offset: int) -> int:
        """Records below `offset` are no longer needed. Returns the first offset still kept."""
        return int((await self._request(wire.TRIM, wire.pack_fields(("offset", offset))))["first"])

    async def take_lease(self, owner: str, *, steal: bool = False) -> Lease:
        """Become the only writer until `release` or until this session object's connection ends."""
        request = wire.pack_fields(("owner", owner), ("steal", int(steal)))
        return Lease(owner, int((await self._request(wire.LEASE, request))["fence"]))

    async def release(self) -> None:
        """Give back the lease, if this session object holds it."""
        await self._request(wire.RELEASE)

    async def wait(self) -> ExitStatus:
        """Wait until the session has ended and return the agent's exit status. Raises HolderLost if none is recorded."""
        async with self.follow(None) as follower:
            await follower.end()
        status, _ = ending(self.journal)
        if status is None:
            raise HolderLost(self.id)
        return status

    async def close(self) -> None:
        """Let the holder of an ended session go now. Raises RequestRefused while it runs."""
        try:
            await self._request(wire.CLOSE)
        except SessionEnded:
            pass
        await self.aclose()

    async def aclose(self) -> None:
        """Close this client's connection, which ends a lease it holds. The session goes on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abandon(self) -> None:
        """`aclose` for when the event loop is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(waited_on=False)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Follower:
    """Async iterator of records; use it as a context manager, or call `aclose`, to give its socket back.

    Records are read from the journal's files; the holder only tells how far they go, so a slow follower costs it
    nothing, and the rest can be read when it is gone. Raises HolderLost where the journal then has no end.
    """

    def __init__(self, session: Session, offset: int | None) -> None:
        self._session = session
        self._reader = None if offset is None else JournalReader(session.journal, offset)
        self._connection: Connection | None = None
        self._ready: deque[Record] = deque()
        self._limit = 0
        self._state = "running"
        self._ended = False

    @property
    def offset(self) -> int | None:
        """Offset of the next record to come, to follow from later. None before a start from now."""
        if self._ready:
            return self._ready[0].offset
        return self._reader.offset if self._reader else None

    def __aiter__(self) -> AsyncIterator[Record]:
        return self

    async def __anext__(self) -> Record:
        if not self._ready:
            self._ready.extend(await self.batch())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def batch(self) -> list[Record]:
        """The records that are there, at least one, of 256 kB of journal at most; empty at the session's end.

        Raises HolderLost, HolderSilent (ask again later), and JournalDamaged where what the holder has written cannot be
        read.
        """
        found: list[Record] = []
        await (
            anyio.lowlevel.checkpoint()
        )  # a journal that is there already must not keep the loop from others
        while not found and not self._ended:
            if self._reader and self._reader.offset < self._limit:
                found = self._reader.read(self._limit)
            else:
                found = await self._listen()
        self._ended = self._ended or any(record.kind is RecordKind.END for record in found)
        return found

    async def end(self) -> None:
        """Wait for the session's end by the holder's word alone, whatever has become of the journal's files."""
        while self._state != "ended" and not self._ended:
            await self._listen()

    async def _listen(self) -> list[Record]:
        """Wait for the holder's word of how far the journal goes; without a holder, read the rest."""
        try:
            if self._connection is None:
                self._connection = await reach(self._session.run_dir, self._session.id)
                return self._take_news(await self._connection.request(wire.FOLLOW))
            frames = await self._connection.receive()
            return [record for frame in frames for record in self._take_news(frame.fields())]
        except NOBODY:
            await self.aclose()
        except HolderSilent:
            await self.aclose()
            raise
        except OSError:
            await self.aclose()
            return []  # whether the holder is gone, too, the next connection tells
        found = self._reader.read() if self._reader else []
        if not found and not ending(self._session.journal)[1]:
            raise HolderLost(self._session.id)
        self._ended = not found
        return found

    def _take_news(self, news: dict[str, str]) -> list[Record]:
        self._limit, state = int(news["end"]), news["state"]
        if self._reader is None:
            self._reader = JournalReader(self._session.journal, self._limit)
        if state == "ended" and self._reader.offset >= self._limit:
            self._ended = True
        before, self._state = self._state, state
        if state == before or state in ("exited", "ended"):
            return []  # records of their own tell of those two
        return [Record(self._reader.offset, self._reader.offset, 0, RecordKind.STATE, state.encode())]

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._reader:
            self._reader.close()

    async def __aenter__(self) -> Follower:
        if self._reader is None:
            self._ready.extend(await self._listen())  # "from now" is from here
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session without a holder. `complete` is False when the holder died before it could write the end."""

    id: str
    journal: Path
    exit: ExitStatus | None
    complete: bool

    def records(self, offset: int = 0) -> Iterator[Record]:
        """What is kept of its journal, from `offset` on."""
        return read_records(self.journal, offset)

    def written(self, write_id: str) -> int | None:
        """Offset of the input record with this id, or None when it never left."""
        return written(self.journal, write_id)

    def processes(self) -> dict[int, str]:
        """Processes that still carry the session's mark: pid to name. None are expected of a complete session."""
        return marked_processes(self.id, self.journal)

    def kill_processes(self) -> dict[int, str]:
        """SIGKILL those processes; returns them."""
        found = self.processes()
        kill_all(found)
        return found

    def discard(self) -> None:
        """Delete the journal."""
        shutil.rmtree(self.journal, ignore_errors=True)


async def start_session(spec: SessionSpec, *, run_dir: Path, journal_dir: Path) -> Session:
    """Start a holder with its agent; both outlive the caller.

    The socket is `run_dir/<id>.sock`, the journal `journal_dir/<id>/`; the folders are made with mode 0700. Raises
    BinaryNotFound, CwdMissing, NoFreePty, SessionExists, HolderFailed; nothing is left behind then.
    """
    journal = journal_dir / spec.id
    found = await spawn_holder(spec, run_dir=run_dir, journal=journal)
    pids = {"pid": int(found["pid"]), "holder_pid": int(found["holder"])}
    return Session(spec.id, run_dir=run_dir, journal=journal, **pids)


async def open_session(session_id: str, *, run_dir: Path, journal_dir: Path) -> Session | EndedSession:
    """Find a session again: live, or what its journal says.

    A holder whose socket has been removed is told to bind it anew. Raises FileNotFoundError when there never was such a
    session, and HolderSilent where nothing proves that its holder is gone: it does not answer within five seconds (ten
    while it starts), cannot be reached, or lives while another file is in its socket's place. All of it is left as it
    is then, and may be opened later.
    """
    journal = journal_dir / session_id
    launch = run_dir / f"{session_id}.launch"
    tries = round(STARTING_SECONDS / AGAIN_SECONDS)
    while True:
        # Looked at first: the holder deletes it when its socket answers. Until then there may be no process, either.
        starting = tries > 0 and launch.exists()
        tries -= 1
        try:
            connection = await reach(run_dir, session_id, starting=starting)
        except NOBODY:
            if not launch.exists() and not journal.is_dir():
                raise FileNotFoundError(journal) from None
            if not starting:
                break
            await anyio.sleep(AGAIN_SECONDS)
            continue
        found = connection.status
        if found["state"] == "ended":
            connection.close()
            return EndedSession(session_id, journal, *ending(journal))
        pids = {"pid": int(found["pid"]), "holder_pid": int(found["holder"])}
        session = Session(session_id, run_dir=run_dir, journal=journal, **pids)
        session._connection = connection
        return session
    launch.unlink(missing_ok=True)  # its starter died before the holder could read it
    stale = run_dir / f"{session_id}.sock"
    if stale.is_socket():
        stale.unlink(missing_ok=True)
    if not journal.is_dir():
        raise FileNotFoundError(journal)
    return EndedSession(session_id, journal, *ending(journal))


def list_sessions(run_dir: Path) -> list[str]:
    """Ids with a socket or a launch file, sorted; `open_session` tells which of them live."""
    suffixes = (".sock", ".launch")
    return (
        sorted({path.stem for path in run_dir.iterdir() if path.suffix in suffixes})
        if run_dir.is_dir()
        else []
    )


def _fence(lease: Lease | None) -> bytes:
    return wire.pack_fields(("fence", lease.fence if lease else 0))
