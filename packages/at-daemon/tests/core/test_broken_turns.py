"""Turns that were broken off, where more than one thing happens: sessions lost, two beads, retries, words in between."""

from __future__ import annotations

import dataclasses
from functools import partial
from uuid import UUID

import pytest

from at_agents import prompts
from at_agents.decisions import Do, IntentKind, Policy, derived_id
from at_core.types import Agent, Bead, BeadStatus, Message, MessageKind, SessionRecord
from at_core.vocabulary import AgentFact
from at_daemon.handlers.agents import go_on_with_turn
from at_daemon.handlers.beads import retry_body
from at_daemon.handlers.review import return_to_agent
from at_daemon.ingest import Intake, process_ended
from at_daemon.ledger import Change
from at_daemon.testing import Desk
from at_session.vocabulary import (
    DriverEvent,
    FailureKind,
    Limited,
    PromptAccepted,
    Retrying,
    SessionLost,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
)

LIMIT = TurnEnded(TurnOutcome.FAILED, failure=FailureKind.LIMIT, error="limit")
BROKEN = TurnEnded(TurnOutcome.FAILED, failure=FailureKind.CONNECTION, error="it broke")
TOO_LONG = TurnEnded(TurnOutcome.FAILED, failure=FailureKind.CONTEXT, error="too long")


def hear(desk: Desk, session: SessionRecord, *events: DriverEvent) -> None:
    """What the agent of the session told, at this moment."""
    sign = {"awake": desk.clock.awake().seconds, "boot": "boot", "session": session.id}

    def take(change: Change) -> None:
        change.put(session.agent_id, AgentFact.SIGN_OF_LIFE, sign)
        agent = change.tx.agent(session.agent_id)
        bead = change.tx.bead(session.bead_id) if session.bead_id else None
        assert agent is not None
        Intake(change, session, agent, bead).take(events)

    desk.do(take)


def begin(desk: Desk, session: SessionRecord, *then: DriverEvent) -> None:
    """The agent takes what is said first, and begins a turn about it."""
    (first, *_) = waiting(desk, session.bead_id)
    desk.do(lambda change: change.tx.mark_message(first.id, sent_at=desk.clock.now()))
    hear(desk, session, PromptAccepted(str(first.id)), TurnStarted(str(first.id)), *then)


def waiting(desk: Desk, bead: UUID | None) -> list[Message]:
    """What is to be said about the bead, in that order."""
    assert bead is not None
    found = desk.do(lambda change: change.tx.bead(bead))
    assert found is not None
    return list(desk.do(lambda change: desk.ledger.worlds.of(change.tx, found).waiting_messages))


def words(desk: Desk, bead: Bead) -> list[str]:
    return [message.body for message in waiting(desk, bead.id)]


def status(desk: Desk, bead: Bead) -> BeadStatus:
    found = desk.do(lambda change: change.tx.bead(bead.id))
    assert found is not None
    return found.status


def prompted(desk: Desk, agent: Agent, **changes: object) -> Bead:
    """A bead of the agent whose prompt waits."""
    bead = desk.bead(agent, **changes)  # type: ignore[arg-type]
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "do it"))
    return bead


def says(desk: Desk, bead: Bead, text: str = "also mind the docs") -> None:
    """A person says something meanwhile."""
    desk.do(lambda change: change.say(bead, derived_id(bead.id, text), MessageKind.NUDGE, text))
    desk.do(lambda change: change.touch(bead.id))


def crash(desk: Desk, session: SessionRecord) -> None:
    """The process of the session ends by a signal."""
    bead = next(each for each in desk.do(lambda change: change.tx.beads()) if each.id == session.bead_id)

    def end(change: Change) -> None:
        world = desk.ledger.worlds.of(change.tx, bead)
        process_ended(change, session, world, code=None, signal=9, lost=False, asked=False, source="holder")

    desk.do(end)


def restart(desk: Desk, bead: Bead) -> SessionRecord:
    """The next process, once its backoff is over."""
    desk.clock.pass_time(60)
    desk.do(lambda change: change.touch(bead.id))
    assert bead.agent_id is not None
    agent = desk.do(lambda change: change.tx.agent(bead.agent_id))  # type: ignore[arg-type]
    assert agent is not None
    for intent in desk.do(lambda change: change.tx.open_intents()):
        desk.do(partial(finish, intent.key))
    session = desk.start(agent, bead)
    desk.do(lambda change: change.touch(bead.id))
    return session


def finish(key: str, change: Change) -> None:
    """An intent is carried out."""
    change.tx.finish_intent(key, change.now)


@pytest.mark.parametrize("ends", [False, True])
def test_a_session_that_is_lost_after_a_crash_is_told_the_work_and_nothing_else(
    desk: Desk, ends: bool
) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    begin(desk, session)
    crash(desk, session)
    session = restart(desk, bead)
    assert words(desk, bead) == [prompts.go_on()]
    hear(desk, session, SessionLost("old"))
    if ends:
        crash(desk, session)
        session = restart(desk, bead)
    desk.do(lambda change: change.touch(bead.id))
    (only,) = waiting(desk, bead.id)
    assert only.kind is MessageKind.PROMPT and only.body == f"work\n\n{prompts.begun_before()}"
    assert desk.do(lambda change: change.tx.intent(f"send:{only.id}:{session.id}")) is not None


def test_what_became_of_one_bead_says_nothing_of_another_that_is_sent_back(desk: Desk) -> None:
    agent = desk.agent("wren")
    first = desk.bead(agent, BeadStatus.REVIEW)
    second = prompted(desk, agent)
    begin(desk, desk.start(agent, second), TOO_LONG)
    assert status(desk, second) is BeadStatus.FAILED
    desk.do(
        lambda change: return_to_agent(change, first, derived_id("b"), MessageKind.SEND_BACK, "once more")
    )
    assert status(desk, first) is BeadStatus.SLUNG
    assert words(desk, first) == ["once more"]


def test_a_bead_that_was_handed_in_by_a_person_is_not_ended_by_the_turn_that_it_left(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    begin(desk, session)
    moved = desk.do(lambda change: change.tx.move_bead(bead.id, BeadStatus.REVIEW, change.now))
    hear(desk, session, TOO_LONG)
    desk.do(
        lambda change: return_to_agent(change, moved, derived_id("b"), MessageKind.SEND_BACK, "once more")
    )
    assert status(desk, bead) is BeadStatus.SLUNG
    assert words(desk, bead) == ["once more"]


@pytest.mark.parametrize("limited_first", [False, True])
def test_a_limit_is_over_for_the_bead_that_met_it(desk: Desk, limited_first: bool) -> None:
    agent = desk.agent("wren")
    low, high = UUID(int=1 << 64), UUID(int=2 << 64)
    limited, other = (prompted(desk, agent), desk.bead(agent, BeadStatus.REVIEW))
    ids = {limited.id: low if limited_first else high, other.id: high if limited_first else low}
    beads = [dataclasses.replace(bead, id=ids[bead.id]) for bead in (limited, other)]
    for bead in (limited, other):
        desk.do(partial(forget, bead.id))
    limited, other = (copy_of(desk, bead) for bead in beads)
    desk.do(lambda change: change.say(limited, derived_id("p"), MessageKind.PROMPT, "do it"))
    session = desk.start(agent, limited)
    begin(desk, session, Limited("limit", "2026-11-01T01:00:00Z"), LIMIT)
    desk.do(
        lambda change: return_to_agent(change, other, derived_id("b"), MessageKind.SEND_BACK, "once more")
    )
    desk.clock.pass_time(3601)
    desk.do(lambda change: change.touch_waiting())
    assert words(desk, limited) == [prompts.limit_over()]
    assert words(desk, other) == ["once more"]
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT)) is None


def forget(bead: UUID, change: Change) -> None:
    """Remove a bead."""
    change.tx.remove_bead(bead)


def copy_of(desk: Desk, bead: Bead) -> Bead:
    """The bead anew, with what a bead at work needs."""
    made = desk.bead(desk.do(lambda change: change.tx.agent(bead.agent_id)), bead.status)  # type: ignore[arg-type]
    facts = desk.do(lambda change: change.tx.facts(made.id))
    desk.do(partial(forget, made.id))

    def add(change: Change) -> None:
        change.tx.add_bead(bead)
        for name, fact in facts.items():
            change.tx.put_fact(dataclasses.replace(fact, subject=bead.id, name=name))

    desk.do(add)
    return bead


def test_a_retry_says_the_work_again_although_a_word_waits(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    begin(desk, desk.start(agent, bead))
    says(desk, bead)
    assert desk.do(lambda change: retry_body(change.tx, bead, "")) == prompts.again("")
    lost = desk.do(lambda change: retry_body(change.tx, bead, "with care", "do it"))
    assert lost == "with care You were asked:\n\ndo it"


def test_the_work_is_said_before_words_that_waited_longer(desk: Desk) -> None:
    bead = desk.bead(desk.agent("wren"))
    says(desk, bead)
    desk.clock.pass_time(1)
    desk.do(lambda change: change.say(bead, derived_id("again"), MessageKind.PROMPT, "once more"))
    assert words(desk, bead) == ["once more", "also mind the docs"]


def test_a_prompt_that_was_taken_and_not_begun_is_gone_on_with(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    (prompt,) = waiting(desk, bead.id)
    desk.do(lambda change: change.tx.mark_message(prompt.id, sent_at=desk.clock.now()))
    hear(desk, session, PromptAccepted(str(prompt.id)))
    says(desk, bead)
    crash(desk, session)
    restart(desk, bead)
    assert words(desk, bead) == [prompts.go_on(), "also mind the docs"]


def test_a_person_s_word_after_a_failure_is_no_end(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    begin(desk, session, BROKEN)
    desk.do(lambda change: change.put(agent.id, AgentFact.STOPPED, {"by": "person", "reason": ""}))
    desk.clock.pass_time(3600)

    def resume(change: Change) -> None:
        change.put(agent.id, AgentFact.STOPPED, None)
        go_on_with_turn(change, agent.id)
        change.touch(bead.id)

    desk.do(resume)
    assert status(desk, bead) is BeadStatus.SLUNG
    assert words(desk, bead) == [prompts.trouble_over()]


def test_the_same_turn_of_a_later_try_is_gone_on_with_too(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    for attempt in range(2):
        session = desk.start(agent, bead)
        if attempt:
            desk.do(lambda change: change.say(bead, derived_id("retry"), MessageKind.PROMPT, "once more"))
        begin(desk, session, BROKEN)
        desk.clock.pass_time(2)
        desk.do(lambda change: change.touch(bead.id))
        assert words(desk, bead) == [prompts.trouble_over()]
        for name in (AgentFact.TURN, AgentFact.TROUBLE):
            desk.do(lambda change, name=name: change.put(agent.id, name, None))  # type: ignore[misc]
        for message in waiting(desk, bead.id):
            desk.do(partial(fail, message.id))


def fail(message: UUID, change: Change) -> None:
    """A message will get no answer."""
    change.tx.mark_message(message, failed="begun anew")


def test_an_agent_comes_up_for_one_bead_at_a_time(desk: Desk) -> None:
    agent = desk.agent("wren")
    first, second = prompted(desk, agent), prompted(desk, agent)
    for intent in desk.do(lambda change: change.tx.open_intents()):
        desk.do(partial(finish, intent.key))
    spawn = Do("spawn:first", IntentKind.SPAWN, {"attempt": 1})
    desk.do(lambda change: change.intend(spawn, first.id, agent.id))
    desk.do(lambda change: change.touch(second.id))
    spawns = [
        i.bead_id for i in desk.do(lambda change: change.tx.open_intents()) if i.kind == IntentKind.SPAWN
    ]
    assert spawns == [first.id]


def test_limits_between_errors_do_not_make_them_new(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    begin(desk, session)
    began = desk.clock.awake().seconds
    for number in range(13):
        kind = FailureKind.LIMIT if number % 3 == 2 else FailureKind.API
        hear(desk, session, Retrying(kind, 1, 10.0, "not now"))
        if status(desk, bead) is BeadStatus.SLUNG:
            desk.clock.pass_time(10)
    assert status(desk, bead) is BeadStatus.FAILED
    assert desk.clock.awake().seconds - began == Policy().api_patience_seconds


def test_an_endpoint_that_says_when_to_come_again_is_left_alone_until_then(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = prompted(desk, agent)
    session = desk.start(agent, bead)
    begin(desk, session, Retrying(FailureKind.OVERLOADED, 1, 90.0, "overloaded"), BROKEN)
    assert desk.wakes[-1] == desk.clock.now().replace(minute=1, second=30)
