"""A stream that kills the process while native code reads it: marked before, found afterwards.

Before an engine is given bytes, a record in a shared mapping names the session and the bytes; afterwards it is
cleared. Such a record outlives SIGABRT, SIGSEGV and SIGKILL (page cache, no fsync). One found armed at start is a
death at that session. Two deaths, with none of its bytes read well in between, quarantine the emulation of that
session: a death by chance (SIGKILL, no memory) is forgiven by the next read that gets past its bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

DEATHS_TO_QUARANTINE = 2
SESSION_BYTES = 128
SLOTS = 16
RECORD = struct.Struct(f"<BBxxxxxxQQ{SESSION_BYTES}s")
BODY = struct.Struct(f"<BxxxxxxQQ{SESSION_BYTES}s")
"""A record without its first byte, which arms it and is written last."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often the process died while reading one session, and the bytes it was given last."""

    count: int
    start: int
    end: int

    def __str__(self) -> str:
        return (
            f"the process died {self.count} times while reading bytes {self.start}–{self.end} of this session"
        )


class FeedGuard(Protocol):
    """What a `Terminal` needs to be guarded."""

    @property
    def quarantined(self) -> Deaths | None: ...

    def reading(self, start: int, end: int) -> AbstractContextManager[None]:
        """Entered around native code that reads the stream's bytes from `start` to `end`."""
        ...


class Unguarded:
    """The guard of a terminal nobody guards."""

    quarantined = None

    def reading(self, start: int, end: int) -> AbstractContextManager[None]:
        return nullcontext()


class QuarantineLedger:
    """Markers and counted deaths of all sessions of one process; open it once, before any terminal is fed.

    `path` is the marker file (about 2.5 kB); the counts lie beside it as JSON. Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._counts_path = path.with_name(path.name + ".json")
        self._deaths = _read_counts(self._counts_path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, RECORD.size * SLOTS)
            self._map = mmap.mmap(descriptor, RECORD.size * SLOTS)
        finally:
            os.close(descriptor)
        self._free = list(range(SLOTS))
        self._count_deaths()

    def guard(self, session: str) -> SessionGuard:
        """Raises `ValueError` for a session id over 128 bytes."""
        return SessionGuard(self, session)

    def deaths(self, session: str) -> Deaths | None:
        return self._deaths.get(session)

    def quarantined(self, session: str) -> Deaths | None:
        """The deaths that put `session` into quarantine, `None` while it is not."""
        deaths = self._deaths.get(session)
        return deaths if deaths is not None and deaths.count >= DEATHS_TO_QUARANTINE else None

    def release(self, session: str) -> None:
        """Forget the deaths of `session`."""
        if self._deaths.pop(session, None) is not None:
            self._write_counts()

    def close(self) -> None:
        self._map.close()

    def _count_deaths(self) -> None:
        armed = [record for record in RECORD.iter_unpack(self._map[:]) if record[0]]
        for _, length, start, end, raw in armed:
            session = raw[:length].decode("utf-8", "replace")
            before = self._deaths.get(session)
            self._deaths[session] = Deaths((before.count if before else 0) + 1, start, end)
        if armed:
            # Counted first, cleared second: dying in between counts one death twice rather than never.
            self._write_counts()
            self._map[:] = bytes(RECORD.size * SLOTS)

    def _write_counts(self) -> None:
        counts = {name: [deaths.count, deaths.start, deaths.end] for name, deaths in self._deaths.items()}
        fresh = self._counts_path.with_name(self._counts_path.name + ".new")
        fresh.write_text(json.dumps(counts), encoding="utf-8")
        os.replace(fresh, self._counts_path)


class SessionGuard:
    """`FeedGuard` of one session. Used from one thread at a time; the ledger may serve several threads."""

    def __init__(self, ledger: QuarantineLedger, session: str) -> None:
        self._name = session.encode()
        if len(self._name) > SESSION_BYTES:
            raise ValueError(f"session id of {len(self._name)} bytes; at most {SESSION_BYTES} fit the marker")
        self._ledger = ledger
        self._session = session

    @property
    def quarantined(self) -> Deaths | None:
        return self._ledger.quarantined(self._session)

    def reading(self, start: int, end: int) -> AbstractContextManager[None]:
        return _Reading(self._ledger, self._session, self._name, start, end)


class _Reading:
    """One armed record. A Python exception is no death: the record is cleared on any way out."""

    __slots__ = ("_end", "_ledger", "_name", "_session", "_slot", "_start")

    def __init__(self, ledger: QuarantineLedger, session: str, name: bytes, start: int, end: int) -> None:
        self._ledger, self._session, self._name = ledger, session, name
        self._start, self._end = start, end

    def __enter__(self) -> None:
        self._slot = self._ledger._free.pop()
        offset = self._slot * RECORD.size
        BODY.pack_into(self._ledger._map, offset + 1, len(self._name), self._start, self._end, self._name)
        self._ledger._map[offset] = 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ledger = self._ledger
        ledger._map[self._slot * RECORD.size] = 0
        ledger._free.append(self._slot)
        deaths = ledger._deaths.get(self._session)
        if deaths is not None and kind is None and self._end >= deaths.end:
            ledger.release(self._session)


def _read_counts(path: Path) -> dict[str, Deaths]:
    try:
        return {
            name: Deaths(*map(int, counts)) for name, counts in json.loads(path.read_text("utf-8")).items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        # A damaged count costs at most one more death; refusing to start would cost every session.
        return {}
