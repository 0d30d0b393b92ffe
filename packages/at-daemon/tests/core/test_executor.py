"""What becomes of an intent whose act goes wrong, and of starts while everything is being stopped."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Mapping
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from at_agents.decisions import Do, IntentKind
from at_core.errors import NotFound
from at_core.types import Intent, IntentState, SessionRecord
from at_core.vocabulary import EventType
from at_daemon.acts.process import note_start
from at_daemon.executor import LONGEST_WAIT_TO_TIDY, MOST_ATTEMPTS, TRIES_UNTIL_TOLD, Effect, Executor
from at_daemon.git.errors import GitTimedOut
from at_daemon.ledger import Change
from at_daemon.parts import Starts
from at_daemon.testing import Desk
from at_session.errors import HolderSilent
from at_session.vocabulary import Write


def carried_out(
    desk: Desk,
    came_to: Effect | Exception,
    kind: IntentKind = IntentKind.FORECAST,
    payload: Mapping[str, object] | None = None,
) -> Intent:
    """The intent as it stands after an act that raises, or gives this effect, was tried once."""

    tried = anyio.Event()

    async def act(intent: Intent) -> Effect:
        tried.set()
        if isinstance(came_to, Effect):
            return came_to
        raise came_to

    async def once() -> None:
        executor = Executor(desk.ledger, {kind: act})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            await tried.wait()
            while executor.busy:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    desk.do(lambda change: change.intend(Do("look", kind, payload or {}), None, None))
    anyio.run(once)
    intent = desk.do(lambda change: change.tx.intent("look"))
    assert intent is not None
    return intent


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ENOSPC])
def test_what_the_machine_lacks_now_is_waited_for(desk: Desk, number: int) -> None:
    desk.do(lambda change: change.intend(Do("look", IntentKind.FORECAST), None, None))
    for _ in range(2 * MOST_ATTEMPTS):
        desk.do(lambda change: change.tx.delay_intent("look", change.now))
    assert carried_out(desk, OSError(number, "it lacks")).state is IntentState.OPEN


@pytest.mark.parametrize("error", [KeyError("folder"), ValueError("no number"), OSError("gone")])
def test_an_act_that_goes_wrong_fails_its_intent_and_nothing_else(desk: Desk, error: Exception) -> None:
    intent = carried_out(desk, error)
    assert intent.state is IntentState.FAILED
    assert intent.error


@pytest.mark.parametrize("error", [NotFound("bead", "b-1"), KeyError("folder")])
def test_neither_does_one_that_goes_wrong_when_it_is_noted(desk: Desk, error: Exception) -> None:
    def note(change: Change) -> None:
        change.tell(EventType.FOLDER_REMOVED)
        raise error

    intent = carried_out(desk, Effect(note))
    assert intent.state is IntentState.FAILED and intent.error
    assert [each.event_type for each in desk.do(lambda change: change.tx.events())] == ["intent.failed"]


def test_what_goes_wrong_after_it_was_noted_fails_nothing(desk: Desk) -> None:
    async def sequel() -> None:
        raise OSError("busy")

    assert carried_out(desk, Effect(then=sequel)).state is IntentState.DONE
    assert desk.do(lambda change: change.tx.events()) == []


def test_what_may_pass_is_tried_again(desk: Desk) -> None:
    intent = carried_out(desk, GitTimedOut("fetch", 60))
    assert intent.state is IntentState.OPEN
    assert intent.attempts == 1


def test_a_holder_that_does_not_answer_is_asked_again_however_long_it_takes(desk: Desk) -> None:
    desk.do(lambda change: change.intend(Do("look", IntentKind.FORECAST), None, None))
    for _ in range(MOST_ATTEMPTS):
        desk.do(lambda change: change.tx.delay_intent("look", change.now))
    assert carried_out(desk, HolderSilent("s-1", "frozen")).state is IntentState.OPEN


def test_but_not_for_ever(desk: Desk) -> None:
    desk.do(lambda change: change.intend(Do("look", IntentKind.FORECAST), None, None))
    for _ in range(MOST_ATTEMPTS):
        desk.do(lambda change: change.tx.delay_intent("look", change.now))
    assert carried_out(desk, GitTimedOut("fetch", 60)).state is IntentState.FAILED


@pytest.mark.parametrize(
    ("payload", "state"), [({}, IntentState.OPEN), ({"forget": True}, IntentState.FAILED)]
)
def test_clearing_up_is_tried_until_it_succeeds_unless_a_person_waits_for_it(
    desk: Desk, payload: dict[str, object], state: IntentState
) -> None:
    assert carried_out(desk, OSError("busy"), IntentKind.REMOVE, payload).state is state


@pytest.mark.parametrize(("payload", "told"), [({}, ["folder.stays"]), ({"forget": True}, [])])
def test_a_folder_that_cannot_be_cleared_up_is_told_of_once(
    desk: Desk, payload: dict[str, object], told: list[str]
) -> None:
    for _ in range(2 * TRIES_UNTIL_TOLD):
        carried_out(desk, HolderSilent("s-1", "frozen"), IntentKind.REMOVE, payload)
        desk.clock.pass_time(LONGEST_WAIT_TO_TIDY)
    put_off, *events = desk.do(lambda change: change.tx.events())
    # Who waits for the act, or for its first try, hears of it once.
    assert put_off.event_type == "intent.put_off"
    assert [each.event_type for each in events] == told
    assert all("frozen" in str(each.payload) for each in events)


def test_closing_starts_waits_for_those_under_way_and_lets_none_begin() -> None:
    async def story() -> list[str]:
        starts, told = Starts(), list[str]()
        begun, go_on = anyio.Event(), anyio.Event()

        async def start(name: str) -> None:
            async with starts.one():
                told.append(name)
                begun.set()
                await go_on.wait()

        async def close() -> None:
            await starts.close()
            told.append("closed")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start, "first")
            await begun.wait()
            tasks.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(start, "late")
            go_on.set()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        return told

    assert anyio.run(story) == ["first", "closed"]


def test_a_start_whose_bead_was_removed_meanwhile_is_ended(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    record = SessionRecord(
        id="s-1", agent_id=agent.id, bead_id=bead.id, cli="demo", attempt=1, started_at=desk.clock.now()
    )
    desk.do(lambda change: change.tx.remove_bead(bead.id))
    desk.do(partial(note_start, awake=desk.clock.awake(), record=record, pid=None))
    assert desk.do(lambda change: change.tx.intent("stop:s-1")) is not None


def test_what_a_protocol_says_to_an_agent_keeps_its_order(desk: Desk) -> None:
    said: list[str] = []
    agent = desk.agent("wren")
    record = desk.start(agent, desk.bead(agent))
    lines = [Write(f"line-{number}", b"x") for number in range(5)]

    async def act(intent: Intent) -> Effect:
        for _ in range(5 - len(said)):
            await anyio.lowlevel.checkpoint()
        said.append(intent.payload["id"])
        return Effect()

    async def all_of_it() -> None:
        executor = Executor(desk.ledger, {IntentKind.WRITE: act})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            while len(said) < len(lines):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    begin = partial(note_start, awake=desk.clock.awake(), pid=7, writes=lines)
    desk.do(partial(begin, record=dataclasses.replace(record, id="next")))
    anyio.run(all_of_it)
    assert said == [line.id for line in lines]
