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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from at_session import holder_processes
from at_session import holder_wire as wire
from at_session.blocking import BlockingClient
from at_session.errors import HolderSilent, RequestRefused
from at_session.processes import holders_of, marked_processes
from at_session.session import Session, SessionSpec, list_sessions, start_session
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
        """A spec with a new id; environment and folder default to the test's, patience to that of tests."""
        more.setdefault("id", f"s{next(self._numbers)}")
        more.setdefault("kill_seconds", 0.3)
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
            except (TimeoutError, HolderSilent):
                left[pid] = "its holder"
            finally:
                os.close(ended)
    except (OSError, RequestRefused):
        pass  # its holder has ended by itself; what it left is looked for below
    except HolderSilent:
        left.update(dict.fromkeys(holders_of(home.run_dir, session_id), "its holder"))
    left.update(marked_processes(session_id, home.journal_dir / session_id))
    for pid in left:
        holder_processes.send_signal(pid, signal.SIGKILL)
    return left


def _end(client: BlockingClient, ended: int) -> None:
    client.request(wire.STOP, wire.pack_fields(("grace_ms", 0)))
    news = client.request(wire.FOLLOW)
    while news["state"] != "ended":
        for frame in client.frames(STOP_SECONDS):
            news = frame.fields()
    client.request(wire.CLOSE)
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
