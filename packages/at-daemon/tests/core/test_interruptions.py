"""Needs are written down in the transaction in which they arise, once, and closed with what ended them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import uuid4

import pytest

from at_agents.landing import merged_gate_failed
from at_core.interruption import Interruption, NeedOutcome
from at_core.types import AgentStatus, BeadStatus, GateResult, Rig
from at_core.vocabulary import AgentFact, EventType
from at_daemon.interruptions import interruptions_document, standing, touch_ended
from at_daemon.ledger import Change, apply
from at_daemon.status_text import short_text
from at_daemon.testing import Desk


def fail(change: Change, actor: str = "daemon") -> None:
    bead = change.tx.beads()[0]
    change.move(bead, BeadStatus.FAILED, EventType.BEAD_FAILED, actor=actor, reason="no change was made")


def noted(desk: Desk) -> list[Interruption]:
    return desk.do(lambda change: change.tx.interruptions(desk.clock.now() - timedelta(days=1)))


def test_a_need_is_written_down_once_however_often_the_bead_is_looked_at(desk: Desk) -> None:
    bead = desk.bead(desk.agent("wren"))
    desk.do(lambda change: fail(change))
    for _ in range(3):
        desk.do(lambda change: change.touch(bead.id))
    desk.do(touch_ended)
    (found,) = noted(desk)
    assert (found.kind, found.agent, found.reason, found.own) == (
        "failed",
        "wren",
        "no change was made",
        False,
    )
    desk.clock.pass_time(90)

    def act(change: Change) -> None:
        change.tell(EventType.BEAD_RETRIED, bead, actor="person")
        change.touch(bead.id)

    def remove(change: Change) -> None:
        change.tx.remove_bead(bead.id)
        change.touch(bead.id)

    desk.do(act)
    assert noted(desk) == [found], "an act alone ends nothing"
    desk.do(remove)
    (over,) = noted(desk)
    assert (over.outcome, over.closed_at) == (NeedOutcome.WITHDRAWN, desk.clock.now())
    events = desk.do(lambda change: change.tx.events(types=["interruption.opened", "interruption.closed"]))
    assert [event.event_type for event in events] == ["interruption.opened", "interruption.closed"]
    assert events[1].payload is not None and events[1].payload["seconds"] == 90.0


@pytest.mark.parametrize("actor", ["person", "down"])
def test_what_a_person_brought_about_is_no_interruption(desk: Desk, actor: str) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)

    def stop(change: Change) -> None:
        change.put(agent.id, AgentFact.STOPPED, {"by": actor, "reason": ""})
        change.tell(EventType.AGENT_STOPPED, bead, agent, actor=actor)
        change.touch(bead.id)

    desk.do(stop)
    assert [(each.kind, each.own) for each in noted(desk)] == [("unknown", True)]
    document = desk.do(lambda change: interruptions_document(change.tx, None, change.now))
    assert document["interruptions"] == [] and document["counts"]["all"] == 0


def test_what_the_daemon_sends_back_is_no_act_of_a_person(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent, BeadStatus.REVIEW)
    result = GateResult(
        name="check",
        command="false",
        tree="0" * 40,
        ok=False,
        exit_code=1,
        seconds=1.0,
        log="",
        at=desk.clock.now(),
    )

    def fails(change: Change) -> None:
        change.put(agent.id, AgentFact.STOPPED, {"by": "person", "reason": ""}, "person")
        world = desk.ledger.worlds.of(change.tx, bead)
        for action in merged_gate_failed(world, result, "main"):
            apply(change, world, action)

    desk.do(fails)
    assert [(each.kind, each.own) for each in noted(desk)] == [("unknown", False)]
    (said,) = desk.do(lambda change: change.tx.events(types=["message.queued"]))
    assert said.actor == "daemon"


def test_a_need_that_comes_and_goes_in_one_change_is_none(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)

    def there_and_back(change: Change) -> None:
        change.put(agent.id, AgentFact.LOGIN, {"message": "refused", "how": "log in"})
        change.put(agent.id, AgentFact.LOGIN, None)
        change.touch(bead.id)

    desk.do(there_and_back)
    assert noted(desk) == []


def test_the_line_of_a_prompt_counts_decisions_work_and_what_passes(desk: Desk) -> None:
    asking, working, limited = (desk.agent(name) for name in ("wren", "larch", "rook"))
    desk.bead(asking, BeadStatus.FAILED)
    desk.do(touch_ended)

    def stand(change: Change) -> None:
        for agent, status in ((asking, AgentStatus.PENDING), (working, AgentStatus.ACTIVE)):
            change.tx.save_agent(dataclasses.replace(change.tx.agent(agent.id) or agent, status=status))
        change.tx.save_agent(dataclasses.replace(limited, status=AgentStatus.PENDING))

    desk.do(stand)
    counts = desk.do(lambda change: standing(change.tx, None))
    assert counts == {"needs": 1, "working": 1, "waiting": 1}
    other = Rig(id=uuid4(), name="other", path="/other", target="main", created_at=desk.clock.now())
    assert set(desk.do(lambda change: standing(change.tx, other)).values()) == {0}


@pytest.mark.parametrize(
    ("counts", "plain", "tmux"),
    [
        ((0, 0, 0), "", ""),
        ((3, 5, 1), "3! 5@ 1~", "#[fg=yellow]3!#[default] #[fg=green]5@#[default] #[fg=default]1~#[default]"),
        ((0, 12, 0), "12@", "#[fg=green]12@#[default]"),
    ],
)
def test_what_there_is_none_of_is_not_in_the_line(
    counts: tuple[int, int, int], plain: str, tmux: str
) -> None:
    named = dict(zip(("needs", "working", "waiting"), counts, strict=True))
    assert (short_text(named), short_text(named, tmux=True)) == (plain, tmux)


def test_what_an_older_version_left_open_is_written_down_at_the_start(desk: Desk) -> None:
    bead = desk.bead(desk.agent("wren"), BeadStatus.FAILED)
    assert noted(desk) == []
    desk.do(touch_ended)
    assert [each.bead_id for each in noted(desk)] == [bead.id]
