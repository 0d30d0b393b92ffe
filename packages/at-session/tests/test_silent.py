"""Holders that do not answer, which is no proof that they are gone."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import anyio
import pytest

from at_session import holder_wire as wire
from at_session.errors import HolderSilent
from at_session.following import wait_for_output
from at_session.journal import RecordKind
from at_session.pool import SessionPool
from at_session.processes import kill_session, marked_processes
from at_session.pytest_plugin import SessionFactory, SessionHome
from at_session.session import EndedSession, Session, open_session

pytestmark = pytest.mark.anyio


async def reopen(home: SessionHome, session_id: str) -> Session | EndedSession:
    return await open_session(session_id, run_dir=home.run_dir, journal_dir=home.journal_dir)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("at_session.connection.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("at_session.session.STARTING_SECONDS", 0.2)


@contextmanager
def frozen(session: Session) -> Iterator[None]:
    os.kill(session.holder_pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(session.holder_pid, signal.SIGCONT)


@contextmanager
def full_backlog(session: Session) -> Iterator[None]:
    waiting: list[socket.socket] = []
    with frozen(session):
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(session.run_dir / f"{session.id}.sock"))
            except BlockingIOError:
                break
        yield
        for each in waiting:
            each.close()


@contextmanager
def no_file_left(session: Session) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), hard))  # the lowest free number is the limit
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_permission(session: Session) -> Iterator[None]:
    path = session.run_dir / f"{session.id}.sock"
    away = path.with_suffix(".away")
    path.rename(away)
    path.symlink_to(path)  # ELOOP: an error that even the superuser gets
    yield
    path.unlink()
    away.rename(path)


@contextmanager
def no_socket(session: Session) -> Iterator[None]:
    path = session.run_dir / f"{session.id}.sock"
    away = path.with_suffix(".away")
    path.rename(away)
    yield
    away.rename(path)


HIDDEN = [frozen, full_backlog, no_file_left, no_permission, no_socket]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_holder_that_does_not_answer_keeps_its_session(
    session_factory: SessionFactory, hidden: Callable[[Session], AbstractContextManager[None]]
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    before = sorted(session.run_dir.iterdir())
    with hidden(session):
        with pytest.raises(HolderSilent, match=f"holder of session {session.id} does not answer"):
            await reopen(session_factory.home, session.id)
    assert sorted(session.run_dir.iterdir()) == before
    again = await reopen(session_factory.home, session.id)
    assert isinstance(again, Session)
    async with again:
        await again.write("w", b"still here\n")
        await wait_for_output(again, b"still here")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hidden", [frozen, full_backlog, no_file_left, no_permission])
async def test_requests_and_followers_of_a_silent_holder_can_be_tried_again(
    session_factory: SessionFactory, hidden: Callable[[Session], AbstractContextManager[None]]
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    follower = session.follow(0)
    with hidden(session):
        with pytest.raises(HolderSilent):
            await session.status()
        with pytest.raises(HolderSilent):
            await follower.batch()
    assert (await session.status()).state == "running"
    assert (await follower.batch())[0].kind is RecordKind.START
    await follower.aclose()


async def test_a_holder_that_closed_a_connection_is_not_taken_for_lost(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    with pytest.raises(HolderSilent, match="closed the connection"):
        await session._request(wire.RESIZE, b"no fields")
    assert (await session.status()).state == "running"


async def test_a_silent_session_is_ended_by_force(session_factory: SessionFactory) -> None:
    session = await session_factory(["sh", "-c", "setsid sleep 1000 >/dev/null & echo up; cat"])
    await wait_for_output(session, b"up")
    await session.aclose()
    os.kill(session.holder_pid, signal.SIGSTOP)
    ending = [os.pidfd_open(pid) for pid in marked_processes(session.id, session.journal)]
    assert len(ending) == 3
    killed = kill_session(session.id, run_dir=session.run_dir, journal_dir=session.journal.parent)
    assert killed.keys() >= {session.pid, session.holder_pid}
    for descriptor in ending:
        await anyio.wait_readable(descriptor)
        os.close(descriptor)
    ended = await reopen(session_factory.home, session.id)
    assert isinstance(ended, EndedSession) and not ended.complete


@pytest.mark.usefixtures("impatient")
async def test_a_pool_keeps_a_silent_session_and_finds_the_others(session_factory: SessionFactory) -> None:
    silent, other = await session_factory(["cat"]), await session_factory(["cat"])
    home = session_factory.home
    pool = SessionPool(1, run_dir=home.run_dir, journal_dir=home.journal_dir)
    await silent.aclose()
    with frozen(silent):
        assert set(await pool.adopt()) == {other.id}
    assert set(await pool.adopt()) == {silent.id}
    with no_file_left(silent):
        for session in pool.live.values():
            await session.aclose()
        await pool.refresh()
    assert set(pool.live) == {silent.id, other.id}
    for session in pool.live.values():
        await session.aclose()
