"""The start of an agent's process, where the machine lets it down, and what is heard of it after."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import anyio
import pytest

from at_agents.decisions import Do, IntentKind, derived_id
from at_core.errors import TryLater
from at_core.paths import Home
from at_core.types import Intent, IntentState
from at_core.vocabulary import BeadFact
from at_daemon.acts import process
from at_daemon.endings import let_go
from at_daemon.executor import MOST_ATTEMPTS, Effect, Executor
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.testing import Desk
from at_session.session import Session, open_session


@pytest.fixture
def parts(desk: Desk, tmp_path: Path) -> Parts:
    """A home in which holders can be started."""
    home = Home(tmp_path / "at")
    home.make()
    return desk.parts(home)


@pytest.fixture
def start(desk: Desk, tmp_path: Path) -> Intent:
    """An agent that is to be started in its bead's folder."""
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    (tmp_path / "folder").mkdir()
    key = str(derived_id(bead.id, "spawn"))

    def intend(change: Change) -> Intent | None:
        folder = {"path": str(tmp_path / "folder"), "branch": "at/b", "target": "main"}
        change.put(bead.id, BeadFact.FOLDER, folder)
        change.intend(Do(key, IntentKind.SPAWN, {"attempt": 1}), bead.id, agent.id)
        return change.tx.intent(key)

    intent = desk.do(intend)
    assert intent is not None
    return intent


def carried_out(desk: Desk, parts: Parts, start: Intent) -> Intent:
    """The intent after one try."""
    tried = anyio.Event()

    async def act(intent: Intent) -> Effect:
        try:
            effect = await process.spawn(parts, intent)
            return dataclasses.replace(effect, then=Effect().then)  # nobody follows it here
        finally:
            tried.set()

    async def once() -> None:
        executor = Executor(desk.ledger, {IntentKind.SPAWN: act})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            await tried.wait()
            while executor.busy:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    anyio.run(once)
    found = desk.do(lambda change: change.tx.intent(start.key))
    assert found is not None
    return found


async def end(parts: Parts, session_id: str) -> None:
    held = await open_session(session_id, run_dir=parts.home.holders, journal_dir=parts.home.journal)
    assert isinstance(held, Session)
    await held.stop(1.0)
    await held.wait()
    await let_go(held)
    await held.aclose()


def test_a_holder_that_is_ended_while_it_starts_is_started_again(
    desk: Desk, parts: Parts, start: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "holder.py"
    script.write_text("import os; os.kill(os.getpid(), 9)")
    with monkeypatch.context() as patch:
        patch.setattr("at_session.spawn.bundled_holder", lambda _: script)
        found = carried_out(desk, parts, start)
    assert (found.state, found.attempts) == (IntentState.OPEN, 1) and "signal 9" in str(found.error)
    assert list(parts.home.journal.iterdir()) == []
    desk.clock.pass_time(60)
    assert carried_out(desk, parts, start).state is IntentState.DONE
    [record] = desk.do(lambda change: change.tx.sessions(live=True))
    anyio.run(partial(end, parts, record.id))


def test_it_is_not_tried_for_ever(
    desk: Desk, parts: Parts, start: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "holder.py"
    script.write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr("at_session.spawn.bundled_holder", lambda _: script)
    states = []
    for _ in range(MOST_ATTEMPTS + 1):
        states.append(carried_out(desk, parts, start).state)
        desk.clock.pass_time(60)
    assert states == [*[IntentState.OPEN] * MOST_ATTEMPTS, IntentState.FAILED]


def test_a_session_whose_record_stands_elsewhere_is_read_again_from_there(
    desk: Desk, parts: Parts, start: Intent
) -> None:
    assert carried_out(desk, parts, start).state is IntentState.DONE
    [record] = desk.do(lambda change: change.tx.sessions(live=True))

    async def story() -> bool:
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(20):
                await parts.sessions.adopt_all(tasks)
                live = parts.sessions.live(record.id)
                while not live.offset:  # its first words
                    await anyio.lowlevel.checkpoint()
                async with live.lock:
                    live.fed += 7  # words that are not there
                    await desk.ledger.change(lambda change: change.tx.advance_session(record.id, 0, {}))
                    with pytest.raises(TryLater):
                        await parts.sessions.keep_state(live)
                await live.over.wait()
                again = await parts.sessions.held(record.id)
                assert again is not None and again is not live
                while again.offset < live.offset:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert again is not None
        for each in (live, again):
            await each.session.aclose()
        await end(parts, record.id)
        return again.fed >= again.offset > 0

    assert anyio.run(story)
