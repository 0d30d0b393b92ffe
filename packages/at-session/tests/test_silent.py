"""Holders that do not answer, which is no proof that they are gone."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import anyio
import pytest

from at_session import holder_wire as wire
from at_session import processes
from at_session.attach import attach
from at_session.blocking import BlockingClient
from at_session.errors import HolderLost, HolderSilent, SessionEnded
from at_session.following import collect, wait_for_output
from at_session.journal import RecordKind
from at_session.pool import SessionPool
from at_session.processes import (
    call_holders,
    holders_of,
    holds,
    kill_session,
    look_for_holders,
    marked_processes,
)
from at_session.pytest_plugin import SessionFactory, SessionHome
from at_session.session import EndedSession, Session, SessionStatus, open_session

pytestmark = pytest.mark.anyio


async def reopen(home: SessionHome, session_id: str) -> Session | EndedSession:
    return await open_session(session_id, run_dir=home.run_dir, journal_dir=home.journal_dir)


LIMITS = (
    "at_session.connection.ANSWER_SECONDS",
    "at_session.blocking.ANSWER_SECONDS",
    "at_session.session.STARTING_SECONDS",
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_all(monkeypatch, 0.6)


def limit_all(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """So long is an answer waited for; one that is to come needs seconds on a busy machine."""
    for limit in LIMITS:
        monkeypatch.setattr(limit, seconds)


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
def foreign_file(session: Session) -> Iterator[None]:
    path = session.run_dir / f"{session.id}.sock"
    away = path.with_suffix(".away")
    path.rename(away)
    path.write_text("not yours")
    yield
    assert path.read_text() == "not yours"
    path.unlink()
    away.rename(path)


def removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def stale(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as former:
        former.bind(str(path))


HIDDEN = [frozen, full_backlog, no_file_left, no_permission, foreign_file]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_holder_that_does_not_answer_keeps_its_session(
    session_factory: SessionFactory, hidden: Callable[[Session], AbstractContextManager[None]]
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    before = sorted(session.run_dir.iterdir())
    with hidden(session):
        with pytest.raises(HolderSilent, match=f"holder of session {session.id} does not answer") as caught:
            await reopen(session_factory.home, session.id)
        if hidden is foreign_file:
            assert caught.value.reason.endswith(f"but {session.run_dir}/{session.id}.sock is no socket")
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


@pytest.mark.parametrize("lose", [removed, moved, stale])
@pytest.mark.parametrize("depth", [0, 120])
async def test_a_holder_without_its_socket_binds_it_anew(
    session_home: SessionHome, lose: Callable[[Path], None], depth: int
) -> None:
    home = SessionHome(session_home.run_dir / ("d" * depth), session_home.journal_dir)
    factory = SessionFactory(home)
    session = await factory(["cat"])
    path = home.run_dir / f"{session.id}.sock"
    mode = path.stat().st_mode
    async with session.follow(0) as follower:
        assert (await follower.batch())[0].kind is RecordKind.START
        with contextlib.chdir(home.run_dir):
            lose(Path(path.name))
        again = await reopen(home, session.id)
        assert isinstance(again, Session)
        assert (again.pid, again.holder_pid) == (session.pid, session.holder_pid)
        assert path.stat().st_mode == mode
        async with again:
            await again.write("w", b"still here\n")
            await wait_for_output(again, b"still here")
        assert (await follower.batch())[0].kind is RecordKind.INPUT
    assert (await session.status()).pid == session.pid
    await session.stop(0)
    await session.wait()
    assert factory.stop_all() == {}
    assert not path.exists()


async def test_requests_and_followers_call_a_holder_without_its_socket(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    path = session.run_dir / f"{session.id}.sock"
    path.unlink()
    assert (await session.status()).pid == session.pid
    path.unlink()
    async with session.follow(0) as follower:
        assert (await follower.batch())[0].kind is RecordKind.START


@pytest.mark.usefixtures("impatient")
async def test_a_socket_that_answers_is_not_taken_from_another_holder(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    path = session.run_dir / f"{session.id}.sock"
    await session.status()  # by a connection that it keeps
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        theirs = path.stat().st_ino
        call_holders([session.holder_pid])
        other.accept()[0].close()  # the holder has asked whether somebody listens
        await session.status()
        assert path.stat().st_ino == theirs
    await session.aclose()
    assert (await session.status()).pid == session.pid


async def test_a_foreign_file_outlives_the_session_in_whose_sockets_place_it_is(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    path = session.run_dir / f"{session.id}.sock"
    path.unlink()
    path.write_text("not yours")
    gone = os.pidfd_open(session.holder_pid)
    kill_session(session.id, run_dir=session.run_dir, journal_dir=session.journal.parent)
    await anyio.wait_readable(gone)
    os.close(gone)
    assert isinstance(await reopen(session_factory.home, session.id), EndedSession)
    assert path.read_text() == "not yours"


async def test_processes_are_looked_at_once_for_each_try(
    session_factory: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    found = processes.look_for_holders

    def counted(run_dir: Path, session_id: str) -> list[int] | None:
        looks.append(session_id)
        return found(run_dir, session_id)

    monkeypatch.setattr("at_session.silence.look_for_holders", counted)
    monkeypatch.setattr("at_session.connection.ANSWER_SECONDS", 0.3)
    session = await session_factory(["cat"])
    await session.aclose()
    with foreign_file(session):
        with pytest.raises(HolderSilent):
            await reopen(session_factory.home, session.id)
    assert looks == [session.id]


REQUESTS: dict[str, Callable[[Session], Awaitable[object]]] = {
    "status": lambda session: session.status(),
    "write": lambda session: session.write("w", b"x" * 4_000_000),  # more than a socket takes
    "signal": lambda session: session.signal(signal.SIGURG),
    "trim": lambda session: session.trim(0),
    "take_lease": lambda session: session.take_lease("me"),
    "stop": lambda session: session.stop(0),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_on_an_open_connection_has_a_limit(
    session_factory: SessionFactory, name: str
) -> None:
    session = await session_factory(["cat"])
    await session.status()
    with frozen(session):
        with pytest.raises(HolderSilent, match=r"nothing for 0\.6 s"):
            await REQUESTS[name](session)
        with pytest.raises(HolderSilent):
            await session.status()
    assert (await session.status()).pid == session.pid


@pytest.mark.usefixtures("impatient")
async def test_requests_that_wait_for_another_have_the_same_limit(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    await session.status()
    silent: list[str] = []

    async def ask() -> None:
        try:
            await session.status()
        except HolderSilent as error:
            silent.append(error.reason)

    with frozen(session):
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
        assert anyio.current_time() - began < 1.0
    assert len(silent) == 10
    assert (await session.status()).pid == session.pid


@pytest.mark.usefixtures("impatient")
async def test_a_write_without_an_answer_is_performed_once(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    await session.status()
    with frozen(session):
        for _ in range(2):
            with pytest.raises(HolderSilent):
                await session.write("w", b"once\n")
    await session.write("w", b"once\n")
    await session.close_input()
    await session.wait()
    ended = await collect(session)
    assert [record.data for record in ended if record.kind is RecordKind.INPUT] == [b"once\n"]


@pytest.mark.usefixtures("impatient")
async def test_followers_and_wait_have_no_limit(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    await session.status()
    waiting = anyio.Event()

    async def wait() -> None:
        async with session.follow(None) as other:
            waiting.set()
            await other.end()

    async with session.follow(0) as follower, anyio.create_task_group() as tasks:
        await follower.batch()
        tasks.start_soon(wait)
        await waiting.wait()
        with frozen(session):
            with anyio.move_on_after(0.5) as longer:
                await follower.batch()
            assert longer.cancelled_caught
        await session.stop(0)
        assert RecordKind.EOF in [record.kind for record in await follower.batch()]


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


async def test_without_a_free_file_nothing_is_seen_and_nothing_is_killed(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    home = session_factory.home
    with no_file_left(session):
        holders = holders_of(home.run_dir, session.id)
        unknown = look_for_holders(home.run_dir, session.id)
        one = holds(session.holder_pid, home.run_dir, session.id)
        killed = kill_session(session.id, run_dir=home.run_dir, journal_dir=home.journal_dir)
    assert (holders, unknown, one, killed) == ([], None, None, {})
    assert holders_of(home.run_dir, session.id) == [session.holder_pid]
    assert look_for_holders(home.run_dir, "other") == []
    assert (await session.status()).state == "running"


@pytest.mark.usefixtures("impatient")
async def test_a_session_whose_holder_cannot_be_looked_for_is_not_over(
    session_factory: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    path = session.run_dir / f"{session.id}.sock"
    path.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("at_session.silence.look_for_holders", lambda *_: None)
        with pytest.raises(HolderSilent, match=f"nobody listens on {path}, and whether a process holds"):
            await reopen(session_factory.home, session.id)
    assert (await session.status()).state == "running"


@pytest.mark.usefixtures("impatient")
async def test_a_pool_keeps_a_silent_session_and_finds_the_others(
    session_factory: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, other = await session_factory(["cat"]), await session_factory(["cat"])
    home = session_factory.home
    pool = SessionPool(1, run_dir=home.run_dir, journal_dir=home.journal_dir)
    await silent.aclose()
    with frozen(silent):
        assert set(await pool.adopt()) == {other.id}
    limit_all(monkeypatch, 30)
    assert set(await pool.adopt()) == {silent.id}
    with no_file_left(silent):
        for session in pool.live.values():
            await session.aclose()
        await pool.refresh()
    assert set(pool.live) == {silent.id, other.id}
    for session in pool.live.values():
        await session.aclose()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_pool_returns_no_live_session_that_it_did_not_admit(
    session_factory: SessionFactory, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    session = await session_factory(["cat"])
    await session.aclose()
    home, status, holder = session_factory.home, Session.status, os.pidfd_open(session.holder_pid)

    async def status_of_one_just_hit(asked: Session) -> SessionStatus:
        signal.pidfd_send_signal(holder, number)
        return await status(asked)

    pool = SessionPool(1, run_dir=home.run_dir, journal_dir=home.journal_dir)
    with monkeypatch.context() as patched:
        patched.setattr(Session, "status", status_of_one_just_hit)
        found = await pool.adopt()
    assert not pool.live and not any(isinstance(each, Session) for each in found.values())
    assert (session.id in found) == (number == signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(holder, signal.SIGCONT)
    os.close(holder)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_blocking_client_takes_no_silent_holder_for_lost(
    session_factory: SessionFactory, hidden: Callable[[Session], AbstractContextManager[None]]
) -> None:
    session = await session_factory(["cat"])
    with hidden(session):
        with pytest.raises(HolderSilent):
            BlockingClient(session.run_dir, session.id)
        with pytest.raises(HolderSilent):
            attach(session.id, run_dir=session.run_dir, journal_dir=session.journal.parent, owner="ann")
    (session.run_dir / f"{session.id}.sock").unlink()
    with BlockingClient(session.run_dir, session.id) as client:
        assert client.status["state"] == "running"
        with frozen(session), pytest.raises(HolderSilent, match=r"nothing for 0\.6 s"):
            client.request(wire.STATUS)
        with frozen(session), pytest.raises(HolderSilent, match=r"it takes nothing for 0\.6 s"):
            client.post(wire.WRITE, b"x" * 4_000_000)


async def test_attaching_to_a_session_that_is_over_says_how_it_ended(session_factory: SessionFactory) -> None:
    ended = await session_factory(["sh", "-c", "exit 4"], linger_seconds=0)
    gone = os.pidfd_open(ended.holder_pid)
    await anyio.wait_readable(gone)
    os.close(gone)
    for session_id, error in ((ended.id, SessionEnded), ("never", HolderLost)):
        with pytest.raises(error):
            attach(session_id, run_dir=ended.run_dir, journal_dir=ended.journal.parent, owner="ann")


async def test_an_attachment_that_the_holder_closes_is_not_taken_for_lost(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    with pytest.raises(HolderSilent, match="closed the connection"):
        attach(session.id, run_dir=session.run_dir, journal_dir=session.journal.parent, owner="no\0field")
