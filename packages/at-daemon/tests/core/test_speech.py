"""What is on record before words leave for an agent, and which words leave at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from at_agents.decisions import Do, IntentKind, derived_id
from at_core.errors import TryLater
from at_core.paths import Home
from at_core.types import Intent, MessageKind, SessionRecord
from at_daemon.acts import speech
from at_daemon.heard import Live
from at_daemon.parts import Parts
from at_daemon.testing import Desk
from at_session.drivers.demo import DemoDriver
from at_session.vocabulary import Write


class NotedDriver(DemoDriver):
    """It remembers what it was given, as those do that must not say it twice."""

    def prompt(self, message_id: str, text: str) -> list[Write]:
        self.state.values.setdefault("given", []).append(message_id)
        return [Write(message_id, text.encode())]


class Listener:
    """In the place of a session: notes what is on record of it at each write."""

    def __init__(self, desk: Desk, record: SessionRecord) -> None:
        self.desk, self.record = desk, record
        self.heard: list[tuple[str, int, Any]] = []

    async def write(self, write_id: str, data: bytes) -> None:
        known = await self.desk.ledger.read(lambda tx: tx.session(self.record.id))
        assert known is not None
        self.heard.append((data.decode(), known.offset, known.driver_state.get("given")))


@pytest.fixture
def stage(desk: Desk, tmp_path: Path) -> tuple[Parts, Listener, Intent]:
    """A session that is followed up to byte 7, and a message that is to be sent to it."""
    agent = desk.agent("wren")
    record = desk.start(agent, bead := desk.bead(agent))
    message = derived_id(bead.id, "prompt")
    desk.do(lambda change: change.say(bead, message, MessageKind.PROMPT, "do it"))
    parts = desk.parts(Home(tmp_path))
    listener: Any = Listener(desk, record)
    desk.do(lambda change: change.tx.advance_session(record.id, 3, {}))
    parts.sessions._live[record.id] = Live(record, listener, NotedDriver(), offset=3, fed=7)
    send = Do("send", IntentKind.SEND, {"message": str(message), "session": record.id})
    desk.do(lambda change: change.intend(send, bead.id, agent.id))
    intent = desk.do(lambda change: change.tx.intent("send"))
    assert intent is not None
    return parts, listener, intent


def test_what_the_driver_knows_is_on_record_before_its_words_leave(
    desk: Desk, stage: tuple[Parts, Listener, Intent]
) -> None:
    parts, listener, intent = stage
    anyio.run(speech.send, parts, intent)
    assert listener.heard == [("do it", 7, [intent.payload["message"]])]


def test_words_that_were_said_in_another_way_do_not_leave(
    desk: Desk, stage: tuple[Parts, Listener, Intent]
) -> None:
    parts, listener, intent = stage
    message = UUID(intent.payload["message"])
    desk.do(lambda change: change.tx.mark_message(message, failed="it is said anew"))
    anyio.run(speech.send, parts, intent)
    assert listener.heard == []


def test_nothing_is_put_on_record_for_a_session_that_is_being_taken_up_again(
    desk: Desk, stage: tuple[Parts, Listener, Intent]
) -> None:
    parts, listener, intent = stage
    live = parts.sessions._live.pop(listener.record.id)
    with pytest.raises(TryLater):
        anyio.run(partial(parts.sessions.keep_state, live))
    known = desk.do(lambda change: change.tx.session(listener.record.id))
    assert known is not None and known.driver_state == {}


def test_words_wait_while_their_session_is_to_be_read_again(
    desk: Desk, stage: tuple[Parts, Listener, Intent]
) -> None:
    parts, listener, intent = stage
    desk.do(lambda change: change.tx.advance_session(listener.record.id, 5, {}))
    with pytest.raises(TryLater):
        anyio.run(speech.send, parts, intent)
    assert listener.heard == []
