"""The pool: bounds, adoption after a restart, no leaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from at_session.errors import BinaryNotFound, NoFreePty
from at_session.pool import SessionPool
from at_session.pytest_plugin import SessionFactory
from at_session.session import EndedSession, Session
from at_session.vocabulary import Transport

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool(session_factory: SessionFactory) -> AsyncIterator[SessionPool]:
    home = session_factory.home
    pool = SessionPool(2, run_dir=home.run_dir, journal_dir=home.journal_dir)
    yield pool
    for session_id in list(pool.live):
        await pool.forget(session_id)


async def test_the_bound_is_refused_by_name_and_pipes_are_free(
    pool: SessionPool, session_factory: SessionFactory
) -> None:
    first = await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
    await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
    with pytest.raises(NoFreePty, match="all 2 PTYs of the pool are in use"):
        await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
    await pool.start(session_factory.spec(["cat"], transport=Transport.PIPE))
    assert (len(pool.live), pool.ptys) == (3, 2)
    await first.stop(0)
    await first.wait()
    await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
    assert (len(pool.live), pool.ptys) == (3, 2) and first.id not in pool.live


async def test_starts_at_the_same_time_share_the_bound(
    pool: SessionPool, session_factory: SessionFactory
) -> None:
    refused: list[NoFreePty] = []

    async def start() -> None:
        try:
            await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
        except NoFreePty as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(start)
    assert (len(pool.live), len(refused)) == (2, 3)


async def test_a_failed_start_gives_its_place_back(
    pool: SessionPool, session_factory: SessionFactory
) -> None:
    for _ in range(3):
        with pytest.raises(BinaryNotFound):
            await pool.start(session_factory.spec(["no-such-program"], transport=Transport.PTY))
    assert pool.ptys == 0
    assert isinstance(await pool.start(session_factory.spec(["cat"], transport=Transport.PTY)), Session)


async def test_a_new_pool_adopts_what_lives_and_tells_what_ended(
    pool: SessionPool, session_factory: SessionFactory
) -> None:
    live = await pool.start(session_factory.spec(["cat"], transport=Transport.PTY))
    ended = await pool.start(session_factory.spec(["sh", "-c", "exit 4"], linger_seconds=600))
    await ended.wait()
    home = session_factory.home
    successor = SessionPool(1, run_dir=home.run_dir, journal_dir=home.journal_dir)
    found = await successor.adopt()
    assert isinstance(found[live.id], Session) and isinstance(found[ended.id], EndedSession)
    assert set(successor.live) == {live.id} and successor.ptys == 1
    assert live.id not in await successor.adopt()
    for session in found.values():
        if isinstance(session, Session):
            await session.aclose()
