"""Beads that share an agent, and moments that are waited for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from at_agents.decisions import derived_id
from at_agents.dependencies import with_after
from at_core.types import Bead, BeadStatus, MessageKind
from at_core.vocabulary import EventType
from at_daemon.testing import Desk
from at_daemon.waiting import direct_followers
from at_daemon.wakeups import Wakeups
from at_daemon.world import bead_of


def test_a_bead_goes_on_as_soon_as_its_agent_has_handed_in_another(desk: Desk) -> None:
    agent = desk.agent("wren")
    busy, waiting = desk.bead(agent), desk.bead(agent)
    session = desk.start(agent, busy)
    identity = derived_id(waiting.id, "back")
    desk.do(lambda change: change.say(waiting, identity, MessageKind.SEND_BACK, "mend it"))
    desk.do(lambda change: change.touch(waiting.id))
    assert desk.do(lambda change: change.tx.intent(f"stop:{session.id}")) is None
    desk.do(lambda change: change.move(busy, BeadStatus.FAILED, EventType.BEAD_FAILED))
    assert desk.do(lambda change: change.tx.intent(f"stop:{session.id}")) is not None


def test_an_agents_bead_is_the_one_at_work_else_the_last_it_was_told_of(desk: Desk) -> None:
    agent = desk.agent("wren")
    assert desk.do(lambda change: bead_of(change.tx, agent)) is None
    old = desk.bead(agent, BeadStatus.DONE)
    desk.do(lambda change: change.say(old, derived_id(old.id, "prompt"), MessageKind.PROMPT, "do it"))
    found = desk.do(lambda change: bead_of(change.tx, agent))
    assert found is not None
    assert found.id == old.id
    new = desk.bead(agent)
    found = desk.do(lambda change: bead_of(change.tx, agent))
    assert found is not None
    assert found.id == new.id


def test_only_the_first_moment_is_kept(desk: Desk) -> None:
    wakeups, now = Wakeups(desk.ledger), desk.clock.now()
    wakeups.add([now + timedelta(seconds=second) for second in (9, 3, 6)])
    wakeups.add([now + timedelta(seconds=5)])
    assert wakeups.due == now + timedelta(seconds=3)


def test_saying_the_same_again_comes_to_rest(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    identity = derived_id(bead.id, "go-on")
    assert desk.do(lambda change: change.say(bead, identity, MessageKind.NUDGE, "go on"))
    assert not desk.do(lambda change: change.say(bead, identity, MessageKind.NUDGE, "go on"))


def test_what_waits_for_a_bead_of_another_repository_is_known_to_wait(desk: Desk) -> None:
    first = dataclasses.replace(Bead.new("first"), rig="one")
    second = with_after(dataclasses.replace(Bead.new("second"), rig="two"), [first.id])
    desk.do(lambda change: change.tx.add_bead(first))
    desk.do(lambda change: change.tx.add_bead(second))
    assert desk.do(lambda change: direct_followers(change.tx)) == {first.id: [second.id]}
