"""A CLI that has lost its session is told the work anew, and no text twice, whatever its driver had held back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from at_agents import prompts
from at_agents.decisions import IntentKind, derived_id
from at_core.paths import Home
from at_core.types import Intent, MessageKind
from at_core.vocabulary import BeadFact
from at_daemon.acts import speech
from at_daemon.executor import Executor
from at_daemon.heard import Live, write_of
from at_daemon.ledger import Change
from at_daemon.testing import Desk
from at_session.drivers.claude import ClaudeDriver
from at_session.drivers.codex import CodexDriver
from at_session.drivers.declared import DeclaredAcp
from at_session.journal import Record, RecordKind
from at_session.vocabulary import Driver, LaunchRequest

Line = dict[str, Any]
MOST_ROUNDS = 20
LOST = "01a204db-1130-7011-b699-29c08635506b"


class LostAcp:
    """It knows no session by the name that it is asked for, and answers every prompt at once."""

    driver: type[Driver] = DeclaredAcp

    def __init__(self) -> None:
        self.texts: list[str] = []

    def hear(self, line: Line) -> list[Line]:
        """What it answers."""
        match line["method"]:
            case "initialize":
                given: Line = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
            case "session/load":
                return [{"id": line["id"], "error": {"code": -32603, "message": "no such session"}}]
            case "session/new":
                given = {"sessionId": "new"}
            case _:
                self.texts.append(line["params"]["prompt"][-1]["text"])
                given = {"stopReason": "end_turn"}
        return [{"id": line["id"], "result": given}]


class LostCodex(LostAcp):
    """The same in another protocol."""

    driver = CodexDriver

    def hear(self, line: Line) -> list[Line]:
        """What it answers."""
        match line["method"]:
            case "initialized":
                return []
            case "thread/resume":
                error = {"code": -32600, "message": f"no rollout found for thread id {LOST}"}
                return [{"id": line["id"], "error": error}]
            case "thread/start":
                return [{"id": line["id"], "result": {"thread": {"id": "new"}}}]
            case "turn/start":
                return self._turn(line["params"])
        return [{"id": line["id"], "result": {}}]

    def _turn(self, params: Line) -> list[Line]:
        self.texts.append(params["input"][0]["text"])
        turn = str(uuid4())
        item = {"type": "userMessage", "clientId": params["clientUserMessageId"]}
        return [
            {"method": "turn/started", "params": {"turn": {"id": turn}}},
            {"method": "item/completed", "params": {"item": item}},
            {"method": "turn/completed", "params": {"turn": {"id": turn, "status": "completed"}}},
        ]


class LostClaude(LostAcp):
    """It keeps no transcript, and says nothing unless it is spoken to."""

    driver = ClaudeDriver

    def hear(self, line: Line) -> list[Line]:
        """What it answers."""
        if line["type"] == "control_request":
            response = {"subtype": "success", "request_id": line["request_id"]}
            return [{"type": "control_response", "response": response}]
        self.texts.append(line["message"]["content"][0]["text"])
        begin = {"type": "system", "subtype": "init", "session_id": "new", "model": "large"}
        return [begin, {"type": "result", "subtype": "success", "result": "Done."}]


EACH_CLI = pytest.mark.parametrize("cli", [LostAcp, LostCodex, LostClaude])


class Wire:
    """In the place of a session: brings each write to the CLI once, and keeps what it answers."""

    def __init__(self, cli: LostAcp) -> None:
        self.cli, self.answers, self.made = cli, list[Line](), set[str]()

    async def write(self, write_id: str, data: bytes) -> None:
        """As the holder does it: once per id."""
        if write_id not in self.made:
            self.made.add(write_id)
            self.answers += self.cli.hear(json.loads(data))


class Stage:
    """A process that was told to resume a session which its CLI does not have, and the daemon's part in it."""

    def __init__(self, desk: Desk, home: Path, cli: LostAcp) -> None:
        self.desk, self.cli, self.wire = desk, cli, Wire(cli)
        self.agent = desk.agent("wren")
        self.bead = desk.bead(self.agent, title="the work")
        self.driver = cli.driver()
        self.parts = desk.parts(Home(home))
        self.executor = Executor(desk.ledger, {kind: self._act(act) for kind, act in ACTS.items()})

    def _act(self, act: Callable[..., Any]) -> Callable[[Intent], Any]:
        return lambda intent: act(self.parts, intent)

    def start(self) -> None:
        """Its process is there, and the first lines of the protocol are on their way."""
        env = {"HOME": "/nowhere"}
        self.driver.launch(
            LaunchRequest("a1", "cli", (), "/repo", env, "/nowhere", session_id=LOST, resume=True)
        )
        self.record = self.desk.start(self.agent, self.bead)
        wire: Any = self.wire
        self.live = Live(self.record, wire, self.driver, offset=0)
        self.parts.sessions._live[self.record.id] = self.live
        self.desk.do(self._note_open)

    def _note_open(self, change: Change) -> None:
        change.put(self.bead.id, BeadFact.SESSION, {"id": LOST})
        for write in self.driver.open():
            change.intend(write_of(self.record.id, write), self.bead.id, self.agent.id)
        change.touch(self.bead.id)

    def play(self) -> None:
        """All intents to speak are carried out, again and again, and all answers taken in, until there are none."""
        for _ in range(MOST_ROUNDS):
            if not self._round():
                return
        raise AssertionError("it does not come to rest")

    def _round(self) -> bool:
        intents = [
            each for each in self.desk.do(lambda change: change.tx.open_intents()) if each.kind in ACTS
        ]
        for intent in intents:
            anyio.run(self.executor._execute, intent)
        answers, self.wire.answers = self.wire.answers, []
        for answer in answers:
            data = json.dumps(answer).encode() + b"\n"
            record = Record(self.live.fed, self.live.fed + len(data), 0, RecordKind.OUTPUT, data)
            self.live.fed = record.next
            anyio.run(self.parts.sessions._take, self.record, self.driver, [record])
        return bool(intents or answers)


ACTS: dict[IntentKind, Callable[..., Any]] = {IntentKind.SEND: speech.send, IntentKind.WRITE: speech.write}


@EACH_CLI
def test_a_session_that_is_lost_gets_each_text_once(desk: Desk, tmp_path: Path, cli: type[LostAcp]) -> None:
    stage = Stage(desk, tmp_path, cli())
    bead, first = stage.bead, derived_id(stage.bead.id, "prompt")
    desk.do(lambda change: change.say(bead, first, MessageKind.PROMPT, "the work"))
    now = desk.clock.now()
    desk.do(lambda change: change.tx.mark_message(first, sent_at=now, accepted_at=now, answered_at=now))
    more = derived_id(bead.id, "more")
    desk.do(lambda change: change.say(bead, more, MessageKind.SEND_BACK, "and this"))
    stage.start()
    stage.play()
    assert stage.cli.texts == ["\n\n".join(("the work", prompts.begun_before(), "and this"))]


@EACH_CLI
def test_a_session_that_was_lost_before_it_was_told_anything_gets_its_prompt_once(
    desk: Desk, tmp_path: Path, cli: type[LostAcp]
) -> None:
    stage = Stage(desk, tmp_path, cli())
    bead, first = stage.bead, derived_id(stage.bead.id, "prompt")
    desk.do(lambda change: change.say(bead, first, MessageKind.PROMPT, "the work"))
    stage.start()
    stage.play()
    assert stage.cli.texts == ["the work"]
