"""The beginning and end of needs, from what is wanted before and after a change."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from at_agents.interruptions import Ended, how_it_ended, newly_wanted, no_longer_wanted
from at_agents.needs import Need
from at_core.interruption import Interruption, NeedOutcome
from at_core.types import Ask, Bead

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BEAD = Bead.new("work")
ASK = UUID(int=7)


def need(kind: str, ask: UUID | None = None, reason: str = "why") -> Need:
    return Need(kind, BEAD, "wren", reason, (), NOW, ask=str(ask) if ask else None)


def noted(kind: str, ask: UUID | None = None) -> Interruption:
    return Interruption(
        id=uuid4(), bead_id=BEAD.id, kind=kind, ask_id=ask, title="work", reason="why", opened_at=NOW
    )


def decided(by: str | None, approve: bool = True, kind: str = "command") -> Ask:
    return Ask(
        id=ASK,
        agent_id=uuid4(),
        session="s",
        request_id="r",
        kind=kind,
        what="ls",
        asked_at=NOW,
        approve=approve,
        decided_by=by,
    )


def test_a_need_is_new_once_and_two_asks_are_two_needs() -> None:
    wanted = [need("approval", ASK), need("approval", UUID(int=8)), need("login")]
    assert newly_wanted([], wanted) == wanted
    known = [noted("approval", ASK), noted("login")]
    assert newly_wanted(known, wanted) == wanted[1:2]
    assert no_longer_wanted(known, wanted) == []
    assert no_longer_wanted(known, wanted[1:]) == known[:1]


def test_another_reason_is_the_same_need() -> None:
    known = [noted("checkout")]
    assert newly_wanted(known, [need("checkout", reason="another file is in the way")]) == []
    assert len(newly_wanted([], [need("unknown", reason="one"), need("unknown", reason="two")])) == 1


@pytest.mark.parametrize(
    ("kind", "ask", "act", "stopped_by", "ended"),
    [
        ("approval", decided("person"), None, None, Ended(NeedOutcome.DECIDED, "approved")),
        ("approval", decided("person", approve=False), None, None, Ended(NeedOutcome.DECIDED, "denied")),
        ("question", decided("person", kind="question"), None, None, Ended(NeedOutcome.DECIDED, "answered")),
        ("approval", decided("rule"), "rule.added", None, Ended(NeedOutcome.WITHDRAWN, "rule")),
        ("approval", decided(None), None, None, Ended(NeedOutcome.WITHDRAWN)),
        ("approval", decided(None), None, "person", Ended(NeedOutcome.DECIDED, "agent.stopped")),
        ("approval", decided(None), None, "down", Ended(NeedOutcome.DECIDED, "agent.stopped")),
        ("review", None, "bead.sent_back", None, Ended(NeedOutcome.DECIDED, "bead.sent_back")),
        ("review", None, None, "person", Ended(NeedOutcome.WITHDRAWN)),
        ("unknown", None, None, None, Ended(NeedOutcome.WITHDRAWN)),
        ("checkout", None, None, None, Ended(NeedOutcome.CLEARED)),
        ("login", None, "bead.retried", None, Ended(NeedOutcome.DECIDED, "bead.retried")),
    ],
)
def test_how_a_need_ended(
    kind: str, ask: Ask | None, act: str | None, stopped_by: str | None, ended: Ended
) -> None:
    over = dataclasses.replace(noted(kind), ask_id=ask.id if ask else None)
    assert how_it_ended(over, ask, act, stopped_by) == ended
