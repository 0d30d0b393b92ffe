"""The landing queue over a real store: what follows when its acts end, and its beads go."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID, uuid4

import anyio
import anyio.lowlevel
import pytest

from at_agents.decisions import IntentKind
from at_core.errors import NotFound
from at_core.types import Bead, BeadStatus, Intent, IntentState
from at_core.vocabulary import BeadFact, EventType
from at_daemon.executor import Effect, Executor
from at_daemon.ledger import Change, keep_line
from at_daemon.patrol import look_again_at_waits
from at_daemon.queues import lines_of, queues_of
from at_daemon.testing import Desk

RIG_ID = uuid4()
RIG = str(RIG_ID)


def proved(desk: Desk, number: int) -> Bead:
    """A bead in review that nothing but a person's word keeps from landing."""
    return desk.proved(
        f"work {number}",
        RIG_ID,
        timedelta(minutes=number),
        head=f"{number}" * 40,
        tree=f"{number}e" * 20,
    )


def let_land(desk: Desk, *beads: Bead) -> None:
    """A person's word for all of them, at the same moment."""

    def allow(change: Change) -> None:
        for bead in beads:
            head = change.fact(bead.id, BeadFact.BRANCH)["head"]
            change.put(bead.id, BeadFact.LAND_ALLOWED, {"by": "person", "head": head}, "person")
            change.touch(bead.id)

    desk.do(allow)


def open_intents(desk: Desk) -> list[Intent]:
    return desk.do(lambda change: change.tx.open_intents())


def carry_out(desk: Desk, came_to: Effect | Exception) -> None:
    """Carry out the one open intent, with this outcome."""
    [intent] = open_intents(desk)
    tried = anyio.Event()

    async def act(given: Intent) -> Effect:
        if given.key != intent.key:
            await anyio.sleep_forever()
        tried.set()
        if isinstance(came_to, Effect):
            return came_to
        raise came_to

    async def once() -> None:
        executor = Executor(desk.ledger, dict.fromkeys(IntentKind, act))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(executor.run)
            await tried.wait()
            while (await desk.ledger.read(lambda tx: tx.intent(intent.key))).state is IntentState.OPEN:  # type: ignore[union-attr]
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    anyio.run(once)


def remove(desk: Desk, bead: Bead) -> None:
    desk.do(lambda change: change.tx.remove_bead(bead.id))


def test_what_is_let_land_together_is_merged_together(desk: Desk) -> None:
    beads = [proved(desk, number) for number in (1, 2, 3)]
    let_land(desk, *reversed(beads))
    [intent] = open_intents(desk)
    assert intent.kind == IntentKind.ASSEMBLE
    assert [member["bead"] for member in intent.payload["members"]] == [str(bead.id) for bead in beads]


@pytest.mark.parametrize("several", [True, False])
def test_the_queue_goes_on_when_the_bead_of_its_act_is_gone(desk: Desk, several: bool) -> None:
    first, second = proved(desk, 1), proved(desk, 2)
    if several:
        let_land(desk, first, second)
    else:
        let_land(desk, first)
    [intent] = open_intents(desk)
    assert intent.bead_id == first.id
    if not several:
        let_land(desk, second)
    remove(desk, first)
    carry_out(desk, NotFound("bead", str(first.id)))
    [landing] = open_intents(desk)
    assert (landing.kind, landing.bead_id) == (IntentKind.LAND, second.id)
    assert [member["bead"] for member in landing.payload["members"]] == [str(second.id)]


def test_an_act_that_fails_for_one_is_told_to_a_person_once(desk: Desk) -> None:
    bead = proved(desk, 1)
    let_land(desk, bead)
    carry_out(desk, ValueError("no key to sign with"))
    assert open_intents(desk) == []
    blocked = desk.do(lambda change: change.fact(bead.id, BeadFact.BLOCKED))
    assert (blocked["kind"], "no key to sign with" in blocked["reason"]) == ("land", True)
    told = desk.do(lambda change: change.tx.events(bead_id=bead.id, types=[EventType.BEAD_BLOCKED.value]))
    assert len(told) == 1


def test_what_is_on_record_of_it_is_read_as_it_was_written(desk: Desk) -> None:
    bead = proved(desk, 1)
    let_land(desk, bead)
    line = desk.do(lambda change: lines_of(change.tx, RIG))["main"]
    assert line.train is not None and [member.bead for member in line.train.members] == [bead.id]
    [queue] = desk.do(lambda change: queues_of(change.tx, RIG, 16))
    assert [each.bead.id for each in queue.ready] == [bead.id] and UUID(queue.rig) == UUID(RIG)


def test_a_landing_that_fails_after_its_work_was_sent_back_is_nothing_to_the_next_work(desk: Desk) -> None:
    bead = proved(desk, 1)
    let_land(desk, bead)

    def send_back(change: Change) -> None:
        current = change.tx.bead(bead.id)
        assert current is not None
        change.move(current, BeadStatus.SLUNG, EventType.BEAD_SENT_BACK, actor="person")

    desk.do(send_back)
    carry_out(desk, ValueError("no key to sign with"))
    assert desk.do(lambda change: change.fact(bead.id, BeadFact.BLOCKED)) is None


def test_looking_again_does_not_interrupt_a_person_again(desk: Desk) -> None:
    bead = proved(desk, 1)
    let_land(desk, bead)
    for _ in range(3):
        carry_out(desk, Effect(lambda change: _in_the_way(change, bead)))
        desk.do(look_again_at_waits)
        carry_out(desk, Effect(lambda change: _seen(change, bead)))
    rows = desk.do(lambda change: change.tx.open_interruptions(bead.id))
    told = desk.do(lambda change: change.tx.events(types=[EventType.INTERRUPTION_OPENED.value]))
    assert ([row.kind for row in rows], len(told)) == (["checkout"], 1)


def _in_the_way(change: Change, bead: Bead) -> None:
    """What the act of landing notes when a file of the person's is in the way."""
    line = lines_of(change.tx, RIG)["main"]
    keep_line(change, RIG, "main", dataclasses.replace(line, train=None))
    change.block(bead.id, change.fact(bead.id, BeadFact.BRANCH)["head"], "checkout", "a.txt is in the way")


def _seen(change: Change, bead: Bead) -> None:
    """What a look at the target notes."""
    number = change.fact(bead.id, BeadFact.LOOK)["number"]
    change.put(bead.id, BeadFact.FORECAST, change.fact(bead.id, BeadFact.FORECAST) | {"look": number})
