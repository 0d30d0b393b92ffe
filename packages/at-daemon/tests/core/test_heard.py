"""Words that many agents say at once go on record together, and what stumbles keeps nothing else from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from at_core.types import SessionRecord
from at_core.vocabulary import AgentFact, EventType
from at_daemon import heard
from at_daemon.heard import GOES_ON_SECONDS, Heard, Live, OutOfStep, Words, release, take_in
from at_daemon.ingest import Intake
from at_daemon.ledger import Change, Ledger
from at_daemon.testing import Desk
from at_session.drivers.demo import DemoDriver
from at_session.vocabulary import DriverState, FailureKind, Retrying, Text

AGENTS = ("wren", "teal", "lark")


@pytest.fixture
def sessions(desk: Desk) -> list[SessionRecord]:
    """One of each agent."""
    agents = [desk.agent(name) for name in AGENTS]
    return [desk.start(agent, desk.bead(agent)) for agent in agents]


def spoken(desk: Desk, session: SessionRecord) -> list[str]:
    """What is on record of its words."""
    events = desk.do(lambda change: change.tx.events(agent_id=session.agent_id))
    return [
        str((event.payload or {})["text"])
        for event in events
        if event.event_type == EventType.TEXT_SPOKEN.value
    ]


def words(session: SessionRecord, text: str, offset: int = 5, **changes: Any) -> Heard:
    return Heard(session, [Text(text)], DriverState({"at": offset}), offset, **changes)


def live(session: SessionRecord, text: str) -> Live:
    """A session that is followed, with words that are not on record."""
    followed = Live(session, None, DemoDriver(DriverState({})), session.offset, fed=9)  # type: ignore[arg-type]
    followed.held.append(Text(text))
    return followed


class Counted(Ledger):
    """It counts its transactions, and how many there were at once. They take as long as `slowed` says."""

    def __init__(
        self, ledger: Ledger, slowed: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    ) -> None:
        super().__init__(ledger.store, ledger.worlds)
        self.count = self.now = self.most = 0
        self.slowed = slowed

    async def change(self, fn: Any) -> Any:
        """As it is, counted."""
        self.count, self.now = self.count + 1, self.now + 1
        self.most = max(self.most, self.now)
        await self.slowed()
        result = await super().change(fn)
        self.now -= 1
        return result


def test_words_of_many_are_one_transaction(desk: Desk, sessions: list[SessionRecord]) -> None:
    ledger = Counted(desk.ledger)
    lives = [live(session, f"words of {session.id}") for session in sessions]

    async def talk() -> None:
        held = Words(ledger, lambda each: True)
        async with anyio.create_task_group() as tasks:
            for each in lives:
                held.hold(each, tasks)
                held.hold(each, tasks)

    anyio.run(talk)
    assert ledger.count == 1
    for each in lives:
        assert spoken(desk, each.record) == [f"words of {each.record.id}"]
        assert (each.offset, each.held, each.lock.locked()) == (9, [], False)
    records = desk.do(lambda change: change.tx.sessions())
    assert [record.offset for record in records] == [9, 9, 9]


def test_words_that_come_while_others_are_put_on_record_wait_for_it(
    desk: Desk, sessions: list[SessionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = [live(session, "first") for session in sessions]
    monkeypatch.setattr(heard, "WORDS_SECONDS", 0.01)

    async def talk() -> None:
        async def slowed() -> None:
            """While this commit is made the next agent begins to talk, and has the time to be put on record beside it."""
            if ledger.count < len(lives):
                held.hold(lives[ledger.count], tasks)
            with anyio.move_on_after(10 * heard.WORDS_SECONDS):
                while ledger.now == 1:
                    await anyio.lowlevel.checkpoint()

        ledger = Counted(desk.ledger, slowed)
        held = Words(ledger, lambda each: True)
        async with anyio.create_task_group() as tasks:
            held.hold(lives[0], tasks)
        assert (ledger.count, ledger.most) == (3, 1)

    anyio.run(talk)
    assert [spoken(desk, each.record) for each in lives] == [["first"]] * 3


def test_of_one_that_is_taken_in_now_or_followed_no_longer_nothing_is_put_on_record(
    desk: Desk, sessions: list[SessionRecord]
) -> None:
    busy, gone, other = (live(session, "words") for session in sessions)

    async def talk() -> None:
        held = Words(desk.ledger, lambda each: each is not gone)
        async with anyio.create_task_group() as tasks, busy.lock:
            for each in (busy, gone, other):
                held.hold(each, tasks)
            while other.held:
                await anyio.lowlevel.checkpoint()
            assert (len(busy.held), len(gone.held)) == (1, 1)
            busy.held.clear()  # whoever holds the lock takes them along

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heard, "WORDS_SECONDS", 0.05)
        anyio.run(talk)
    assert [len(spoken(desk, each.record)) for each in (busy, gone, other)] == [0, 0, 1]


def test_what_stumbles_is_told_and_the_words_of_others_are_not_lost(
    desk: Desk, sessions: list[SessionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Intake.take

    def stumbling(self: Intake, events: Any, **options: Any) -> None:
        if any(isinstance(event, Text) and event.text == "odd" for event in events):
            raise ValueError("odd words")
        take(self, events, **options)

    monkeypatch.setattr(Intake, "take", stumbling)
    said = [
        words(session, "odd" if number == 1 else f"words {number}") for number, session in enumerate(sessions)
    ]
    anyio.run(take_in, desk.ledger, said)
    assert [spoken(desk, session) for session in sessions] == [["words 0"], [], ["words 2"]]
    told = desk.do(lambda change: change.tx.events(agent_id=sessions[1].agent_id))
    assert "odd words" in str(told[-1].payload) and told[-1].event_type == EventType.LINE_UNPARSED.value


class Refusing(Ledger):
    """It refuses every change that is about the session, while `refuses`; `late`: with the commit made already."""

    def __init__(self, ledger: Ledger, session: SessionRecord, *, late: bool = False) -> None:
        super().__init__(ledger.store, ledger.worlds)
        self.session, self.late, self.refuses = session, late, True

    async def change(self, fn: Any) -> Any:
        """As it is, refused where it stores more of that session."""

        def noted(change: Change) -> tuple[Any, bool]:
            before = change.tx.session(self.session.id)
            result = fn(change)
            refused = self.refuses and change.tx.session(self.session.id) != before
            if refused and not self.late:
                raise RuntimeError("decisions do not come to rest")
            return result, refused

        result, refused = await super().change(noted)
        if refused:
            raise RuntimeError("nobody could be told")
        return result


def test_trouble_with_one_loses_and_doubles_no_words_of_another(
    desk: Desk, sessions: list[SessionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "WORDS_SECONDS", 0.01)
    monkeypatch.setattr(heard, "MOST_SECONDS", 0.02)
    one, two, three = lives = [live(session, "first") for session in sessions]
    ledger = Refusing(desk.ledger, two.record)

    async def on_record(*wanted: Live) -> None:
        with anyio.fail_after(5):
            while any(each.held for each in wanted):
                await anyio.lowlevel.checkpoint()

    async def talk() -> None:
        held = Words(ledger, lambda each: True)
        async with anyio.create_task_group() as tasks:
            for each in (two, one, three):
                held.hold(each, tasks)
            await on_record(one, three)
            assert (one.offset, two.offset, len(two.held)) == (9, 0, 1)
            one.held.append(Text("second"))
            one.fed = 18
            held.hold(one, tasks)
            await on_record(one)
            ledger.refuses = False  # and nobody says anything more

    anyio.run(talk)
    assert [spoken(desk, each.record) for each in lives] == [["first", "second"], ["first"], ["first"]]
    assert [(each.offset, each.held) for each in lives] == [(18, []), (9, []), (9, [])]


def test_what_fails_once_it_is_on_record_is_not_taken_in_twice(
    desk: Desk, sessions: list[SessionRecord]
) -> None:
    lives = [live(session, "once") for session in sessions]
    anyio.run(release, Refusing(desk.ledger, sessions[1], late=True), lives)
    assert [spoken(desk, each.record) for each in lives] == [["once"]] * 3
    assert [(each.offset, each.held) for each in lives] == [(9, [])] * 3


def test_words_stay_held_where_the_record_is_not_what_they_go_on_from(
    desk: Desk, sessions: list[SessionRecord]
) -> None:
    astray, other = live(sessions[0], "later words"), live(sessions[1], "words")
    desk.do(lambda change: change.tx.advance_session(sessions[0].id, 4, {}))

    async def put_on_record() -> bool:
        astray.reading = anyio.CancelScope()
        with pytest.raises(OutOfStep, match=sessions[0].id):
            await release(desk.ledger, [astray, other])
        return astray.reading.cancel_called

    assert anyio.run(put_on_record), "it is to be read again"
    assert (astray.offset, len(astray.held)) == (0, 1)
    assert (spoken(desk, sessions[0]), spoken(desk, sessions[1])) == ([], ["words"])


def test_a_driver_is_never_on_record_without_the_bytes_that_it_knows(
    desk: Desk, sessions: list[SessionRecord]
) -> None:
    half = live(sessions[0], "")
    half.held.clear()
    half.driver.state.values["line"] = "half of "
    anyio.run(release, desk.ledger, [half])
    record = desk.do(lambda change: change.tx.session(half.record.id))
    assert record is not None and (record.offset, dict(record.driver_state)) == (9, {"line": "half of "})


def test_what_is_on_record_already_is_not_taken_in_twice(desk: Desk, sessions: list[SessionRecord]) -> None:
    session = sessions[0]
    for _ in range(2):
        anyio.run(take_in, desk.ledger, [words(session, "once", after=session.offset)])
    assert spoken(desk, session) == ["once"]


def test_words_of_one_who_was_heard_just_now_are_no_reason_to_decide_anew(
    desk: Desk, sessions: list[SessionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, touched = sessions[0], []
    monkeypatch.setattr(Change, "touch", lambda self, bead_id: touched.append(bead_id))

    def looked_at(*events: Any) -> bool:
        touched.clear()
        anyio.run(take_in, desk.ledger, [Heard(session, events, DriverState({}), 5)])
        return bool(touched)

    assert looked_at(Text("the first words of a session"))
    assert not looked_at(Text("more words"))
    retrying = Retrying(FailureKind.API, 1, 1.0, "busy")
    assert looked_at(retrying)
    assert looked_at(Text("words after errors"))
    assert desk.do(lambda change: change.fact(session.agent_id, AgentFact.RETRYING)) is None
    assert not looked_at(Text("more words"))
    desk.clock.pass_time(GOES_ON_SECONDS + 1)
    assert looked_at(Text("words after a silence"))
