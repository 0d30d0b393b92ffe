"""A bead's story, told from what is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from at_agents.story import TYPES, Incident, Turn, TurnStep, story
from at_core.types import Event, Message, MessageKind, TokenMetric
from at_core.vocabulary import EventType

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
BEAD, AGENT, PROMPT = (UUID(int=number) for number in (1, 2, 3))

E = EventType


def told(*events: tuple[EventType, dict[str, Any]] | tuple[EventType, dict[str, Any], str]) -> list[Any]:
    """The story of these events, one a second, with one message and its usage."""
    log = [
        Event(
            id=uuid4(),
            event_type=kind.value,
            actor=rest[0] if rest else "daemon",
            bead_id=BEAD,
            payload=payload,
            created_at=BEGIN + timedelta(seconds=second),
        )
        for second, (kind, payload, *rest) in enumerate(events)
    ]
    message = Message(id=PROMPT, agent_id=AGENT, kind=MessageKind.PROMPT, body="do it", created_at=BEGIN)
    usage = [
        TokenMetric(
            id=uuid4(), model="m", input_tokens=tokens, output_tokens=1, cost_usd=cost, duration_ms=0,
            created_at=BEGIN, session="s1", turn=1, estimated=estimated,
        )
        for tokens, cost, estimated in ((10, 0.5, False), (20, None, False), (30, 0.25, True))
    ]  # fmt: skip
    return list(story(log, [message], usage))


STARTED = (E.AGENT_STARTED, {"session": "s1", "attempt": 1})
TOLD = (E.MESSAGE_STARTED, {"message": str(PROMPT)})
TOOL = (E.TOOL_STARTED, {"tool": "shell", "what": "make", "tool_id": "t"})
ASK = (E.ASK_OPENED, {"ask": "a", "kind": "command", "what": "make"})
DECIDED = (E.ASK_DECIDED, {"ask": "a", "approve": True, "answer": ""}, "person")
RESULT = (E.TOOL_ENDED, {"tool_id": "t", "ok": False, "output": "no rule"})
ENDED = (E.TURN_ENDED, {"number": 1, "session": "s1", "outcome": "completed", "error": None})


def test_a_turn_has_its_prompt_its_steps_and_what_it_cost() -> None:
    (turn,) = told(STARTED, TOLD, (E.TEXT_SPOKEN, {"text": "hm"}), ENDED)
    assert isinstance(turn, Turn)
    assert turn.prompts == [{"kind": "prompt", "text": "do it"}]
    assert [(step.kind, step.text) for step in turn.steps] == [("text", "hm")]
    assert (turn.outcome, turn.seconds) == ("completed", 2.0)
    spent = turn.spent
    assert (spent.input_tokens, spent.cost_usd, spent.cost_estimated) == (60, 0.75, True)


@pytest.mark.parametrize("order", [(TOOL, ASK, DECIDED, RESULT), (ASK, DECIDED, TOOL, RESULT)])
def test_a_tool_and_the_leave_for_it_are_one_step(order: tuple[Any, ...]) -> None:
    (turn,) = told(STARTED, TOLD, *order, ENDED)
    (step,) = turn.steps
    assert (step.kind, step.tool, step.text) == ("tool", "shell", "make")
    assert (step.ok, step.output, step.approved, step.decided_by) == (False, "no rule", True, "person")


def test_what_was_denied_and_then_done_is_two_steps() -> None:
    denied = (E.ASK_DECIDED, {"ask": "a", "approve": False, "answer": "no"}, "person")
    (turn,) = told(STARTED, TOLD, ASK, denied, TOOL, RESULT, ENDED)
    assert [(step.kind, step.approved, step.ok) for step in turn.steps] == [
        ("ask", False, None),
        ("tool", None, False),
    ]


def test_a_question_bears_its_answer() -> None:
    asked = (E.ASK_OPENED, {"ask": "q", "kind": "question", "what": "Which?"})
    answered = (E.ASK_DECIDED, {"ask": "q", "approve": True, "answer": "blue"}, "person")
    (turn,) = told(STARTED, TOLD, asked, answered, ENDED)
    assert turn.steps == [
        TurnStep(
            "ask", BEGIN + timedelta(seconds=2), "Which?", approved=True, decided_by="person", answer="blue"
        )
    ]


def test_a_turn_that_its_process_cut_and_the_next_one() -> None:
    first, crash, again, second = told(
        STARTED,
        TOLD,
        (E.AGENT_EXITED, {"exit_signal": 9, "asked": False, "cause": "memory ran out"}),
        (E.AGENT_STARTED, {"session": "s2", "attempt": 2}),
        (E.TEXT_SPOKEN, {"text": "go on"}),
    )
    assert (first.number, first.session, first.outcome) == (1, "s1", "cut")
    assert (crash.kind, crash.text) == ("crash", "signal 9, memory ran out")
    assert (again.kind, again.text) == ("started", "process 2 of its agent")
    assert (second.number, second.session, second.outcome) == (2, "s2", None)


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        (E.GATE_FINISHED, {"name": "test", "ok": True, "tree": "a" * 40, "seconds": 1.5}, "test on tree aaaaaaaa in 1.5 s"),
        (E.BEAD_SENT_BACK, {"reason": "a person: more"}, "a person: more"),
        (E.FOLDER_STAYS, {"reason": "it is closed"}, "not removed yet: it is closed"),
        (E.WORK_COLLECTED, {"commits": ["b" * 40], "head": "b" * 40}, "1 commit, head bbbbbbbb"),
    ],
)  # fmt: skip
def test_what_happens_between_turns(kind: EventType, payload: dict[str, Any], text: str) -> None:
    (found,) = told((kind, payload, "person"))
    assert isinstance(found, Incident)
    assert (found.text, found.by, found.ok) == (text, "person", payload.get("ok"))


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_an_event_without_a_payload_is_no_reason_to_stumble(kind: str) -> None:
    assert len(told((EventType(kind), {}))) <= 1
