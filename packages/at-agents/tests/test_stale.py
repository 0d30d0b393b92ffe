"""What was left, when anybody last touched it, and what ends it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from at_agents.decisions import Waiting
from at_agents.simulation import Simulation
from at_agents.stale import TOUCHES, last_touch, left, left_folder, left_unbegun
from at_core.types import Bead, BeadStatus, Message, MessageKind
from at_core.vocabulary import BeadFact

DAY = timedelta(days=1)
BEGUN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def bead(status: BeadStatus = BeadStatus.BACKLOG) -> Bead:
    return Bead(id=UUID(int=1), title="One", status=status, created_at=BEGUN, updated_at=BEGUN)


@pytest.mark.parametrize("fact", list(BeadFact))
def test_what_a_person_or_an_agent_did_touches_it_and_what_was_looked_up_does_not(fact: BeadFact) -> None:
    touched = last_touch(bead(), {fact.value: BEGUN + DAY}, ())
    assert touched == (BEGUN + DAY if fact in TOUCHES else BEGUN)


@pytest.mark.parametrize("step", ["created_at", "sent_at", "accepted_at", "started_at", "answered_at"])
def test_each_step_of_a_message_touches_it(step: str) -> None:
    message = Message(
        id=UUID(int=2), agent_id=UUID(int=3), kind=MessageKind.PROMPT, body="x", created_at=BEGUN
    )
    said = dataclasses.replace(message, **{step: BEGUN + DAY})  # type: ignore[arg-type]
    assert last_touch(bead(), {}, [said]) == BEGUN + DAY


@pytest.mark.parametrize(
    ("status", "waiting", "kind", "acts"),
    [
        (BeadStatus.BACKLOG, None, "backlog", ("at sling 00000000 AGENT", "at rm 00000000")),
        (BeadStatus.HOOKED, None, "hooked", ("at sling 00000000 nux", "at rm 00000000")),
        (
            BeadStatus.BACKLOG,
            Waiting("a full lane"),
            "backlog",
            ("at sling 00000000 AGENT", "at rm 00000000"),
        ),
        (
            BeadStatus.BACKLOG,
            Waiting("that failed", ("b",), "at retry b"),
            "blocked",
            ("at retry b", "at rm 00000000"),
        ),
    ],
)
def test_what_was_not_begun(
    status: BeadStatus, waiting: Waiting | None, kind: str, acts: tuple[str, ...]
) -> None:
    found = left_unbegun(bead(status), "nux", waiting, BEGUN)
    assert found is not None
    assert (found.kind, found.acts, found.since) == (kind, acts, BEGUN)


def test_what_waits_for_others_that_go_on_is_not_left() -> None:
    assert left_unbegun(bead(), None, Waiting("another comes first", ("b",)), BEGUN) is None


def test_work_at_its_work_is_never_left() -> None:
    life = Simulation()
    assert left(life.world(), BEGUN) is None
    life.accept()
    assert left(life.world(), BEGUN) is None


def test_work_in_review_without_a_proof_is_left_too() -> None:
    life = Simulation()
    world = dataclasses.replace(life.world(), bead=bead(BeadStatus.REVIEW))
    found = left(world, BEGUN)
    assert found is not None and (found.kind, found.reason) == ("review", "in review, and not proved")
    waits = dataclasses.replace(world, review_waits=Waiting("its turn comes"))
    assert left(waits, BEGUN) is None


def test_a_folder_is_left_only_by_work_that_somebody_called_done() -> None:
    life = Simulation()
    facts = {**life.world().facts, BeadFact.OVERRIDE: {"by": "person"}}
    done = dataclasses.replace(life.world(), bead=bead(BeadStatus.DONE), facts=facts)
    found = left_folder(done, "/w/1", BEGUN)
    assert found is not None and (found.path, found.acts) == ("/w/1", ("at rm 00000000",))
    merged = dataclasses.replace(done, facts=life.world().facts)
    assert left_folder(merged, "/w/1", BEGUN) is None
    at_work = dataclasses.replace(done, bead=bead(BeadStatus.SLUNG))
    assert left_folder(at_work, "/w/1", BEGUN) is None
