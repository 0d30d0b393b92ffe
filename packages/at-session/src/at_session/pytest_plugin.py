"""Fixtures for tests of programs that use at-session.

`session_home` is a pair of folders of the test's own. `session_factory` starts sessions there, stops them when the
test is over, and fails the test if a process of theirs is still there after that.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from at_session import holder
from at_session.blocking import BlockingClient
from at_session.errors import RequestRefused
from at_session.journal import Record, RecordKind
from at_session.session import Session, SessionSpec, list_sessions, marked_processes, start_session
from at_session.vocabulary import Transport

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SessionHome:
    """Folders for sockets and journals, on a path short enough for any socket."""

    run_dir: Path
    journal_dir: Path


@pytest.fixture
def session_home() -> Iterator[SessionHome]:
    """A home that is removed after the test."""
    folder = Path(tempfile.mkdtemp(prefix="at-"))
    yield SessionHome(folder / "run", folder / "journal")
    shutil.rmtree(folder)


class SessionFactory:
    """Starts sessions in one home; called with argv and fields of SessionSpec."""

    def __init__(self, home: SessionHome) -> None:
        self.home = home
        self.started: dict[str, Session] = {}
        self._numbers = count(1)

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        transport: Transport = Transport.PIPE,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **more: Any,
    ) -> Session:
        spec = self.spec(argv, transport=transport, env=env, cwd=cwd, **more)
        session = await start_session(spec, run_dir=self.home.run_dir, journal_dir=self.home.journal_dir)
        self.started[spec.id] = session
        return session

    def spec(
        self,
        argv: Sequence[str],
        *,
        transport: Transport = Transport.PIPE,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **more: Any,
    ) -> SessionSpec:
        """A spec with a new id; environment and folder default to the test's."""
        more.setdefault("id", f"s{next(self._numbers)}")
        return SessionSpec(
            argv=tuple(argv),
            transport=transport,
            env=os.environ if env is None else env,
            cwd=cwd or Path.cwd(),
            **more,
        )

    def stop_all(self) -> dict[int, str]:
        """End every session of the home; returns the processes that were still there after that, killed."""
        left: dict[int, str] = {}
        for session in self.started.values():
            session.abandon()
        for session_id in {*self.started, *list_sessions(self.home.run_dir)}:
            left.update(_stop(self.home, session_id))
        return left


def _stop(home: SessionHome, session_id: str) -> dict[int, str]:
    """Stop one session; returns what had to be killed after that."""
    left: dict[int, str] = {}
    try:
        with BlockingClient(home.run_dir, session_id) as client:
            pid = int(client.status["holder"])
            ended = os.pidfd_open(pid)
            try:
                _end(client, ended)
            except TimeoutError:
                left[pid] = "its holder"
            finally:
                os.close(ended)
    except (OSError, RequestRefused):
        pass  # its holder has ended by itself; what it left is looked for below
    left.update(marked_processes(session_id))
    for pid in left:
        holder.send_signal(pid, signal.SIGKILL)
    return left


def _end(client: BlockingClient, ended: int) -> None:
    client.socket.settimeout(STOP_SECONDS)
    client.request(holder.STOP, holder.pack_fields(("grace_ms", 0)))
    news = client.request(holder.FOLLOW)
    while news["state"] != "ended":
        for frame in client.frames():
            news = frame.fields()
    client.request(holder.CLOSE)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    if not poll.poll(STOP_SECONDS * 1000):
        raise TimeoutError


@pytest.fixture
def session_factory(session_home: SessionHome) -> Iterator[SessionFactory]:
    """Start sessions with `await session_factory(["prog", "arg"], transport=...)`."""
    factory = SessionFactory(session_home)
    yield factory
    left = factory.stop_all()
    if left:
        pytest.fail(f"processes of the test's sessions were left: {left}")


async def collect(session: Session, until: Callable[[Record], bool] | None = None, offset: int = 0) -> list[Record]:
    """Records from `offset` up to the one that `until` accepts, or to the session's end."""
    found = []
    async with session.follow(offset) as follower:
        async for record in follower:
            found.append(record)
            if until is not None and until(record):
                break
    return found


async def wait_for_output(session: Session, text: bytes, offset: int = 0) -> list[Record]:
    """Records until the agent's output from `offset` on holds `text`, or to the session's end."""
    seen = bytearray()

    def complete(record: Record) -> bool:
        seen.extend(record.data if record.kind is RecordKind.OUTPUT else b"")
        return text in seen

    return await collect(session, complete, offset)


def output_of(records: Sequence[Record], kind: RecordKind = RecordKind.OUTPUT) -> bytes:
    """The bytes of all records of one kind, in order."""
    return b"".join(record.data for record in records if record.kind is kind)
