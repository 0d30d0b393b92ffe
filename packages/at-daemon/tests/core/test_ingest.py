"""What is heard of one bead is believed of that bead only, and words of a CLI never stop the daemon."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from at_agents import prompts
from at_agents.decisions import Policy, derived_id
from at_core.record import parse_time
from at_core.types import Bead, BeadStatus, Message, MessageKind, ReceiptState, SessionRecord
from at_core.vocabulary import AgentFact
from at_daemon.ingest import Intake
from at_daemon.ledger import Change
from at_daemon.testing import Desk
from at_session.vocabulary import (
    CallAnswered,
    DriverEvent,
    FailureKind,
    Limited,
    PromptForgotten,
    Retrying,
    SessionLost,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Usage,
    UsageReported,
)


def hear(desk: Desk, session: SessionRecord, *events: DriverEvent) -> None:
    def take(change: Any) -> None:
        agent = change.tx.agent(session.agent_id)
        bead = change.tx.bead(session.bead_id) if session.bead_id else None
        Intake(change, session, agent, bead).take(events)

    desk.do(take)


def test_a_session_whose_bead_is_gone_answers_nobody_elses_message(desk: Desk) -> None:
    first, second = desk.agent("wren"), desk.agent("teal")
    gone, other = desk.bead(first), desk.bead(second)
    session = desk.start(first, gone)
    identity = derived_id(other.id, "prompt")
    desk.do(lambda change: change.say(other, identity, MessageKind.PROMPT, "do it"))
    desk.do(lambda change: change.tx.mark_message(identity, sent_at=change.now))
    desk.do(lambda change: change.tx.remove_bead(gone.id))
    hear(desk, session, TurnEnded(TurnOutcome.COMPLETED))
    message = desk.do(lambda change: change.tx.message(identity))
    assert message is not None
    assert message.answered_at is None


@pytest.mark.parametrize(
    ("reset_at", "seconds"),
    [("2026-11-01T01:00:00Z", 3600), ("2026-10-31T00:00:00Z", 30), ("soon", 900), (None, 900)],
)
def test_a_limit_is_tried_again_after_its_reset_but_never_at_once(
    desk: Desk, reset_at: str | None, seconds: int
) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    ended = TurnEnded(TurnOutcome.FAILED, failure=FailureKind.LIMIT, error="limit")
    hear(desk, desk.start(agent, bead), Limited("limit", reset_at), ended)
    assert (desk.wakes[-1] - desk.clock.now()).total_seconds() == seconds


@pytest.mark.parametrize(("span", "reset_at"), [(90.0, "00:01:30"), (90.2, "00:01:31"), (None, None)])
def test_a_limit_that_names_a_span_is_counted_from_when_it_was_heard(
    desk: Desk, span: float | None, reset_at: str | None
) -> None:
    agent = desk.agent("wren")
    hear(desk, desk.start(agent, desk.bead(agent)), Limited("limit", None, span))
    limit = desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT))
    assert limit["reset_at"] == (reset_at and f"2026-11-01T{reset_at}Z")


def test_a_limit_is_over_when_a_turn_is_complete(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, Limited("limit", "2026-11-02T00:00:00Z"), TurnEnded(TurnOutcome.COMPLETED))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT)) is None
    after = desk.do(lambda change: change.tx.bead(bead.id))
    assert after is not None
    assert after.status is BeadStatus.REVIEW


def test_calls_are_retried_since_the_first_error_in_a_row_and_until_something_is_heard(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    for awake in (10.0, 20.0):
        desk.do(partial(Change.put, subject=agent.id, name=AgentFact.SIGN_OF_LIFE, value={"awake": awake}))
        hear(desk, session, Retrying(FailureKind.API, 1, 2.0, "server_error (500)"))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.RETRYING))["awake"] == 10.0
    hear(desk, session, Text("here it is"))
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.RETRYING)) is None


FIGURES = [UsageReported(Usage(10, 0, 5, model=model), "the stream") for model in ("large", "small")]
DONE = TurnEnded(TurnOutcome.COMPLETED)


@pytest.mark.parametrize(
    ("heard", "turns"),
    [
        ([TurnStarted(), *FIGURES, DONE], [1, 1]),
        ([TurnStarted(), DONE, *FIGURES], [1, 1]),
        ([TurnStarted(), FIGURES[0], DONE, FIGURES[1], TurnStarted(), FIGURES[0], DONE], [1, 1, 2]),
        ([FIGURES[0], TurnStarted(), FIGURES[1]], [0, 1]),
    ],
)
def test_figures_belong_to_their_turn_whenever_they_come(
    desk: Desk, heard: list[DriverEvent], turns: list[int]
) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, *heard)
    figures = desk.do(lambda change: change.tx.usage())
    assert [(each.cli, each.session, each.turn) for each in figures] == [
        ("demo", session.id, turn) for turn in turns
    ]
    totals = desk.do(lambda change: change.tx.usage_totals(bead.id))
    assert totals.turns == max(turns)


def test_figures_of_a_session_that_was_forgotten_meanwhile_are_of_its_last_turn(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, TurnStarted(), FIGURES[0], DONE, TurnStarted(), FIGURES[0], DONE)
    desk.do(lambda change: change.put(agent.id, AgentFact.TURN, None))
    hear(desk, session, FIGURES[1])
    assert [each.turn for each in desk.do(lambda change: change.tx.usage())] == [1, 2, 2]


def test_a_prompt_that_its_cli_forgot_is_queued_again(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    identity = derived_id(bead.id, "prompt")
    desk.do(lambda change: change.say(bead, identity, MessageKind.PROMPT, "do it"))
    hear(desk, session, TurnStarted(str(identity)), PromptForgotten(str(identity)))
    message = desk.do(lambda change: change.tx.message(identity))
    assert message is not None and message.receipt is ReceiptState.QUEUED
    hear(desk, session, TurnEnded(TurnOutcome.COMPLETED, str(identity)), PromptForgotten(str(identity)))
    message = desk.do(lambda change: change.tx.message(identity))
    assert message is not None and message.receipt is ReceiptState.ANSWERED


def broken_off(desk: Desk, kind: FailureKind = FailureKind.CONNECTION) -> tuple[Bead, SessionRecord]:
    """A bead whose turn was ended by an error."""
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "do it"))
    fail(desk, session, kind)
    return bead, session


def fail(desk: Desk, session: SessionRecord, kind: FailureKind) -> None:
    end(desk, session, TurnEnded(TurnOutcome.FAILED, None, "", kind, "it broke"))


def end(desk: Desk, session: SessionRecord, turn: TurnEnded) -> None:
    """A turn about all that was said, from its begin to its end."""
    be_heard(desk, session)
    for message in desk.do(lambda change: change.tx.messages(bead_id=session.bead_id)):
        desk.do(partial(send, message))
    hear(desk, session, TurnStarted(), turn)


def begin(desk: Desk, session: SessionRecord) -> None:
    """A turn about all that was said begins."""
    be_heard(desk, session)
    for message in desk.do(lambda change: change.tx.messages(bead_id=session.bead_id)):
        desk.do(partial(send, message))
    hear(desk, session, TurnStarted())


def send(message: Message, change: Change) -> None:
    """Mark it as handed over, as carrying out its intent does."""
    change.tx.mark_message(message.id, sent_at=change.now)


def state(desk: Desk, bead: Bead) -> tuple[BeadStatus, list[str]]:
    """The bead's status, and what was said to its agent."""
    found = desk.do(lambda change: (change.tx.bead(bead.id), change.tx.messages(bead_id=bead.id)))
    assert found[0] is not None
    return found[0].status, [message.body for message in found[1]][1:]


def test_a_broken_connection_is_gone_on_from_twice_then_the_bead_fails(desk: Desk) -> None:
    bead, session = broken_off(desk)
    assert state(desk, bead) == (BeadStatus.SLUNG, [])
    for number, wait in enumerate(Policy().trouble_backoff_seconds, start=1):
        desk.clock.pass_time(wait)
        desk.do(lambda change: change.touch(bead.id))
        assert state(desk, bead) == (BeadStatus.SLUNG, [prompts.trouble_over()] * number)
        fail(desk, session, FailureKind.OVERLOADED)
    assert state(desk, bead)[0] is BeadStatus.FAILED


def test_what_lasts_longer_than_patience_is_not_gone_on_from(desk: Desk) -> None:
    bead, session = broken_off(desk)
    desk.clock.pass_time(Policy().trouble_backoff_seconds[0])
    desk.do(lambda change: change.touch(bead.id))
    begin(desk, session)
    desk.clock.pass_time(Policy().api_patience_seconds)
    be_heard(desk, session)
    hear(desk, session, TurnEnded(TurnOutcome.FAILED, None, "", FailureKind.API, "it broke"))
    assert state(desk, bead)[0] is BeadStatus.FAILED


@pytest.mark.parametrize("meanwhile", ["tools", "rest"])
def test_trouble_that_is_over_does_not_count_with_what_comes_hours_later(desk: Desk, meanwhile: str) -> None:
    bead, session = broken_off(desk)
    desk.clock.pass_time(Policy().trouble_backoff_seconds[0])
    desk.do(lambda change: change.touch(bead.id))
    begin(desk, session)
    desk.clock.pass_time(3 * 3600)
    be_heard(desk, session)
    if meanwhile == "tools":
        hear(desk, session, ToolStarted("c", "bash", "make"))
    else:
        hear(desk, session, TurnEnded(TurnOutcome.INTERRUPTED))
        desk.do(lambda change: change.say(bead, derived_id("later"), MessageKind.NUDGE, "go on"))
        begin(desk, session)
    hear(desk, session, Retrying(FailureKind.API, 1, 1.0, "server_error (500)"))
    assert retrying(desk, session)["awake"] == desk.clock.awake().seconds
    hear(desk, session, TurnEnded(TurnOutcome.FAILED, None, "", FailureKind.API, "it broke"))
    assert state(desk, bead)[0] is BeadStatus.SLUNG
    assert desk.do(lambda change: change.fact(session.agent_id, AgentFact.TROUBLE))["count"] == 1


@pytest.mark.parametrize("answered", [False, True])
def test_patience_with_errors_goes_on_in_the_next_turn_until_something_is_answered(
    desk: Desk, answered: bool
) -> None:
    bead, session = broken_off(desk)
    began, error = desk.clock.awake().seconds, Retrying(FailureKind.API, 1, 60.0, "server_error (500)")
    desk.clock.pass_time(Policy().trouble_backoff_seconds[0])
    desk.do(lambda change: change.touch(bead.id))
    for message in desk.do(lambda change: change.tx.messages(bead_id=bead.id)):
        desk.do(partial(send, message))
    be_heard(desk, session)
    hear(desk, session, TurnStarted(), *([ToolStarted("c", "bash", "make")] if answered else []), error)
    retrying = desk.do(lambda change: change.fact(session.agent_id, AgentFact.RETRYING))
    assert retrying["awake"] == (desk.clock.awake().seconds if answered else began)
    desk.clock.pass_time(began + Policy().api_patience_seconds - desk.clock.awake().seconds)
    be_heard(desk, session)
    hear(desk, session, error)
    assert state(desk, bead)[0] is (BeadStatus.SLUNG if answered else BeadStatus.FAILED)


@pytest.mark.parametrize("kind", [FailureKind.CONTEXT, FailureKind.LOGIN, FailureKind.OTHER])
def test_what_does_not_pass_by_itself_fails_at_once(desk: Desk, kind: FailureKind) -> None:
    assert state(desk, broken_off(desk, kind)[0]) == (BeadStatus.FAILED, [])


def test_a_turn_that_goes_through_ends_the_trouble(desk: Desk) -> None:
    bead, session = broken_off(desk)
    desk.clock.pass_time(Policy().trouble_backoff_seconds[0])
    desk.do(lambda change: change.touch(bead.id))
    end(desk, session, TurnEnded(TurnOutcome.COMPLETED))
    assert state(desk, bead)[0] is BeadStatus.REVIEW
    assert desk.do(lambda change: change.fact(session.agent_id, AgentFact.TROUBLE)) is None


def test_a_changed_version_is_told_once_and_the_first_one_is_no_change(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    for version in ("1.0", "1.0", "1.1", None, "1.1"):
        hear(desk, session, SessionStarted("s", version=version))
    told = [e.payload for e in desk.do(lambda change: change.tx.events()) if e.event_type == "cli.changed"]
    assert told == [{"cli": "demo", "before": "1.0", "version": "1.1"}]


def test_the_last_words_of_tools_that_failed_are_kept_for_the_turn(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))

    def failed() -> list[str]:
        tools = desk.do(lambda change: change.fact(agent.id, AgentFact.TOOLS)) or {}
        return list(tools.get("failed", []))

    hear(desk, session, TurnStarted(), ToolStarted("t1", "Write", "a.txt"), ToolEnded("t1", True, "ok"))
    assert failed() == []
    hear(desk, session, ToolStarted("t2", "Paint", "it"), ToolEnded("t2", False, "no such tool\nreally"))
    assert failed() == ["Paint: no such tool really"]
    hear(desk, session, *(ToolEnded(f"u{number}", False, f"no {number}") for number in range(5)))
    assert failed() == ["no 2", "no 3", "no 4"]
    hear(desk, session, TurnEnded(TurnOutcome.COMPLETED), TurnStarted())
    assert failed() == []


@pytest.mark.parametrize(("passed", "ended"), [(-1.0, False), (1.0, True)])
def test_a_process_that_takes_no_prompt_and_says_nothing_is_ended(
    desk: Desk, passed: float, ended: bool
) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    sign = {"awake": desk.clock.awake().seconds, "boot": desk.clock.awake().boot, "session": session.id}
    desk.do(lambda change: change.put(agent.id, AgentFact.SIGN_OF_LIFE, sign))
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "do it"))
    desk.clock.pass_time(Policy().start_seconds + passed)
    desk.do(lambda change: change.touch(bead.id))
    stop = desk.do(lambda change: change.tx.intent(f"stop:{session.id}"))
    assert (stop is not None) is ended
    assert stop is None or (stop.payload["crash"] and "since its start" in stop.payload["reason"])


def test_a_reset_that_is_past_again_and_again_is_waited_for_longer_and_longer(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, bead := desk.bead(agent))
    waits = []
    for number in range(7):
        desk.do(partial(put_turn, agent.id, number))
        hear(
            desk, session, Limited("limit", "2026-10-31T00:00:00Z"), Limited("limit", "2026-10-31T00:00:00Z")
        )
        limit = desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT))
        waits.append((parse_time(limit["try_at"]) - desk.clock.now()).total_seconds())
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    assert bead.agent_id == agent.id


def put_turn(agent: UUID, number: int, change: Change) -> None:
    """The agent is in its n-th turn."""
    change.put(agent, AgentFact.TURN, {"state": "working", "number": number})


def test_a_session_that_is_lost_is_told_the_work_again_with_all_that_waits(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent, title="the work")
    session = desk.start(agent, bead)
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "the work"))
    hear(desk, session, SessionLost("s1"))
    assert len(desk.do(lambda change: change.tx.messages(bead_id=bead.id))) == 1
    first, now = derived_id(bead.id, "prompt"), desk.clock.now()
    desk.do(lambda change: change.tx.mark_message(first, sent_at=now, accepted_at=now))
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "more"), MessageKind.NUDGE, "and this"))
    hear(desk, session, SessionLost("s1"), SessionLost("s1"))
    messages = desk.do(lambda change: change.tx.messages(bead_id=bead.id))
    waiting = [m.body for m in messages if m.receipt is ReceiptState.QUEUED]
    assert waiting == ["\n\n".join(("the work", prompts.begun_before(), "and this"))]


def test_answers_that_break_off_again_and_again_are_errors_in_a_row(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    desk.do(lambda change: change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "do it"))
    for message in desk.do(lambda change: change.tx.messages(bead_id=bead.id)):
        desk.do(partial(send, message))
    hear(desk, session, TurnStarted())
    cut = Retrying(FailureKind.CONNECTION, 1, None, "the answer was cut")
    for _ in range(30):
        be_heard(desk, session)
        hear(desk, session, Text("half a"), cut)
        desk.clock.pass_time(5.0)
        desk.do(lambda change: change.touch(bead.id))
    assert state(desk, bead)[0] is BeadStatus.FAILED


def retrying(desk: Desk, session: SessionRecord) -> Any:
    """What is known of the errors in a row."""
    return desk.do(lambda change: change.fact(session.agent_id, AgentFact.RETRYING))


def test_limits_begin_no_row_of_errors(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, bead := desk.bead(agent))
    hear(desk, session, TurnStarted())
    for kind in [FailureKind.LIMIT] * 30 + [FailureKind.API]:
        be_heard(desk, session)
        hear(desk, session, Retrying(kind, 1, 5.0, "slow down"))
        desk.clock.pass_time(5.0)
    assert retrying(desk, session)["awake"] == desk.clock.awake().seconds - 5.0
    desk.do(lambda change: change.touch(bead.id))
    assert state(desk, bead)[0] is BeadStatus.SLUNG


def test_errors_before_a_reboot_are_not_counted_with_those_after_it(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    error = Retrying(FailureKind.API, 1, 1.0, "server_error (500)")
    desk.clock.awake_seconds = 50_000.0
    be_heard(desk, session)
    hear(desk, session, TurnStarted(), error, Text("half a"))
    after = {"awake": 100.0, "boot": "another", "session": session.id}
    desk.do(lambda change: change.put(agent.id, AgentFact.SIGN_OF_LIFE, after))
    hear(desk, session, error)
    assert retrying(desk, session)["awake"] == 100.0


def test_a_call_that_is_answered_is_retried_no_longer(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    be_heard(desk, session)
    hear(desk, session, Retrying(FailureKind.API, 1, 1.0, "server_error (500)"))
    assert retrying(desk, session) is not None
    hear(desk, session, CallAnswered())
    assert retrying(desk, session) is None


def test_resets_a_moment_ahead_are_waited_for_longer_and_longer_until_a_turn_goes_through(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))

    def wait(number: int) -> float:
        desk.do(partial(put_turn, agent.id, number))
        hear(desk, session, Limited("limit", "2026-11-01T00:00:01Z"))
        limit = desk.do(lambda change: change.fact(agent.id, AgentFact.LIMIT))
        return (parse_time(limit["try_at"]) - desk.clock.now()).total_seconds()

    assert [wait(number) for number in range(12)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    hear(desk, session, TurnStarted(), TurnEnded(TurnOutcome.COMPLETED))
    assert wait(20) == 1


@pytest.mark.parametrize("outcome, kept", [(TurnOutcome.INTERRUPTED, True), (TurnOutcome.FAILED, False)])
def test_a_turn_that_is_interrupted_as_its_process_dies_ends_no_row_of_crashes(
    desk: Desk, outcome: TurnOutcome, kept: bool
) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    desk.do(lambda change: change.put(agent.id, AgentFact.CRASHES, {"count": 2}))
    hear(desk, session, TurnStarted(), TurnEnded(outcome, failure=FailureKind.API, error="it broke"))
    crashes = desk.do(lambda change: change.fact(agent.id, AgentFact.CRASHES))
    assert crashes == ({"count": 2} if kept else None)


def be_heard(desk: Desk, session: SessionRecord) -> None:
    """The agent gives a sign of life at this moment."""
    awake = {"awake": desk.clock.awake().seconds, "boot": desk.clock.awake().boot, "session": session.id}
    desk.do(lambda change: change.put(session.agent_id, AgentFact.SIGN_OF_LIFE, awake))
