"""What may go, and above all what may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from at_agents.tidy import (
    AgentSeen,
    RefSeen,
    of_agent,
    of_base,
    of_command,
    of_folder,
    of_journal,
    of_landed_branch,
    of_log,
    of_removed_bead,
)
from at_core.types import AgentRole, BeadStatus, SessionRecord

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=1), NOW + timedelta(days=1)
"""Before and after the moment up to which things are old enough."""
DONE, REVIEW = BeadStatus.DONE, BeadStatus.REVIEW
POLECAT, CREW = AgentRole.POLECAT, AgentRole.CREW


@pytest.mark.parametrize(
    ("agent", "goes"),
    [
        (AgentSeen(POLECAT, (DONE, DONE), OLD), True),
        (AgentSeen(POLECAT, (DONE,), NEW), False),
        (AgentSeen(POLECAT, (DONE,), None), False),
        (AgentSeen(POLECAT, (DONE, REVIEW), OLD), False),
        (AgentSeen(POLECAT, (BeadStatus.FAILED,), OLD), False),
        (AgentSeen(POLECAT, (), OLD), False),
        (AgentSeen(CREW, (DONE,), OLD), False),
    ],
)
def test_an_agent_keeps_what_it_may_want_again(agent: AgentSeen, goes: bool) -> None:
    assert (of_agent(agent, OLD, NOW) is not None) is goes


def test_what_is_of_nobody_goes_unless_somebody_may_just_be_made() -> None:
    assert of_agent(None, OLD, NOW) is not None
    assert of_agent(None, NEW, NOW) is None


@pytest.mark.parametrize(
    ("ended", "wanted", "goes"),
    [(OLD, False, True), (NEW, False, False), (None, False, False), (OLD, True, False)],
)
def test_a_journal_goes_after_its_session(ended: datetime | None, wanted: bool, goes: bool) -> None:
    session = SessionRecord(
        id="s-1", agent_id=UUID(int=1), cli="demo", attempt=1, started_at=OLD, ended_at=ended
    )
    assert (of_journal(session, wanted, NOW) is not None) is goes


@pytest.mark.parametrize(("awaited", "changed"), list(product((False, True), (OLD, NEW))))
def test_a_command_that_somebody_waits_for_keeps_what_it_wrote(awaited: bool, changed: datetime) -> None:
    goes = not awaited and changed is OLD
    assert (of_command(awaited, changed, NOW) is not None) is goes


@pytest.mark.parametrize(
    ("bead", "evidence", "changed", "goes"),
    [
        (None, False, OLD, True),
        (DONE, False, OLD, True),
        (REVIEW, False, OLD, False),
        (None, True, OLD, False),
        (None, False, NEW, False),
    ],
)
def test_a_log_stays_while_work_is_judged_by_it(
    bead: BeadStatus | None, evidence: bool, changed: datetime, goes: bool
) -> None:
    assert (of_log(bead, evidence, changed, NOW) is not None) is goes


@pytest.mark.parametrize(("in_target", "in_attic", "checked_out"), list(product((False, True), repeat=3)))
def test_no_ref_goes_that_may_be_the_only_one(in_target: bool, in_attic: bool, checked_out: bool) -> None:
    ref = RefSeen(in_target, in_attic, checked_out)
    safe = not checked_out
    assert (of_landed_branch(ref, DONE, True, "main") is not None) is (in_target and safe)
    assert of_landed_branch(ref, DONE, False, "main") is None
    assert of_landed_branch(ref, REVIEW, True, "main") is None
    removed = of_removed_bead(ref, "main")
    assert (removed is not None) is ((in_target or in_attic) and safe)
    assert of_base(ref, False, "main") == removed
    assert of_base(ref, True, "main") is None


@pytest.mark.parametrize(
    ("known", "busy", "changed", "goes"),
    [
        (False, False, OLD, True),
        (True, False, OLD, False),
        (False, True, OLD, False),
        (False, False, NEW, False),
    ],
)
def test_a_folder_goes_only_if_nobody_knows_it(
    known: bool, busy: bool, changed: datetime, goes: bool
) -> None:
    assert (of_folder(known, busy, changed, NOW) is not None) is goes
