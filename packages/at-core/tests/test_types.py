"""The nouns: the words on the wire, the transition table, the JSON round trip, and what importing them costs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from at_core.errors import TransitionRefused
from at_core.record import format_time, parse_time
from at_core.types import Agent, AgentRole, AgentStatus, Bead, BeadStatus, CliType, ConvoyStatus, Lane

ALLOWED = {
    ("backlog", "hooked"),
    ("hooked", "slung"),
    ("hooked", "backlog"),
    ("slung", "review"),
    ("slung", "failed"),
    ("slung", "escalated"),
    ("review", "done"),
    ("review", "slung"),
    ("review", "failed"),
    ("failed", "backlog"),
    ("escalated", "backlog"),
}


@pytest.mark.parametrize(("current", "wanted"), list(product(BeadStatus, BeadStatus)))
def test_a_bead_moves_along_the_table_alone(current: BeadStatus, wanted: BeadStatus) -> None:
    allowed = (current.value, wanted.value) in ALLOWED
    assert current.can_transition_to(wanted) is allowed
    if allowed:
        current.require_transition_to(wanted)
    else:
        with pytest.raises(TransitionRefused, match=f"from {current.value} to {wanted.value}"):
            current.require_transition_to(wanted)


@pytest.mark.parametrize(
    ("bead", "hint"), [("", "at ls"), ("3f2a9c1e-0000-4000-8000-000000000001", "at show 3f2a9c1e")]
)
def test_a_refused_step_names_the_command_that_shows_the_bead(bead: str, hint: str) -> None:
    with pytest.raises(TransitionRefused) as raised:
        BeadStatus.DONE.require_transition_to(BeadStatus.SLUNG, bead)
    assert raised.value.hint == hint


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (BeadStatus, "backlog hooked slung review done failed escalated"),
        (Lane, "experimental standard critical"),
        (AgentRole, "mayor deacon witness refinery polecat crew"),
        (CliType, "claude codex gemini open_code demo other"),
        (AgentStatus, "active idle pending unknown stopped"),
        (ConvoyStatus, "pending active completed failed"),
    ],
)
def test_the_words_on_the_wire(kind: type[BeadStatus], words: str) -> None:
    assert [member.value for member in kind] == words.split()


def test_lanes_are_ordered() -> None:
    assert sorted(Lane, reverse=True) == [Lane.CRITICAL, Lane.STANDARD, Lane.EXPERIMENTAL]
    assert Lane.EXPERIMENTAL < Lane.STANDARD <= Lane.STANDARD < Lane.CRITICAL > Lane.EXPERIMENTAL
    assert max(Lane) is Lane.CRITICAL


def test_opencode_is_read_in_both_spellings() -> None:
    assert CliType("opencode") is CliType("open_code") is CliType.OPEN_CODE
    with pytest.raises(ValueError):
        CliType("emacs")


@pytest.mark.parametrize(
    ("kind", "metadata", "name"),
    [
        (CliType.CLAUDE, None, "claude"),
        (CliType.OPEN_CODE, {"cli": "not it"}, "opencode"),
        (CliType.OTHER, {"cli": "goose"}, "goose"),
        (CliType.OTHER, None, "other"),
    ],
)
def test_an_agent_names_its_cli(kind: CliType, metadata: dict[str, str] | None, name: str) -> None:
    agent = dataclasses.replace(Agent.new("a", AgentRole.CREW, kind), metadata=metadata)
    assert agent.cli == name
    assert Agent.from_json(json.loads(json.dumps(agent.to_json()))).cli == name


def test_glyphs() -> None:
    assert "".join(status.glyph() for status in AgentStatus) == "@*!?x"


def test_new_records_have_the_contract_s_defaults() -> None:
    bead = Bead.new("Fix the door", Lane.CRITICAL)
    assert (bead.status, bead.priority, bead.revision, bead.lane) == (BeadStatus.BACKLOG, 0, 0, Lane.CRITICAL)
    assert bead.created_at == bead.updated_at
    assert bead.created_at.tzinfo is UTC
    agent = Agent.new("rust", AgentRole.POLECAT, CliType.DEMO)
    assert (agent.status, agent.pid, agent.metadata) == (AgentStatus.IDLE, None, None)


@pytest.mark.parametrize("record", [Bead.new("x"), Agent.new("a", AgentRole.CREW, CliType.OPEN_CODE)])
def test_json_and_back(record: Bead | Agent) -> None:
    document = json.loads(json.dumps(record.to_json()))
    assert type(record).from_json(document | {"unknown": 1}) == record
    assert document["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006Z"),
        (
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2026-01-01T21:19:05.000000Z",
        ),
        (datetime(7, 1, 2, tzinfo=UTC), "0007-01-02T00:00:00.000000Z"),
    ],
)
def test_times_have_one_form(moment: datetime, text: str) -> None:
    assert format_time(moment) == text
    assert parse_time(text) == moment


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("2026-01-02T03:04:05")


HEAVY = {
    "pydantic",
    "sqlalchemy",
    "alembic",
    "tomlkit",
    "asyncio",
    "anyio",
    "click",
    "rich",
    "at_core.store",
    "at_core.config",
}


@pytest.mark.parametrize("module", ["at_core", "at_core.types", "at_core.errors", "at_core.vocabulary"])
def test_importing_the_nouns_loads_nothing_heavy(module: str) -> None:
    script = f"import {module}, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert loaded & HEAVY == set()
    assert module in loaded


@pytest.mark.parametrize(
    ("module", "absent"), [("at_core.config", {"tomlkit", "sqlalchemy"}), ("at_core.text", {"pydantic"})]
)
def test_what_is_only_needed_sometimes_is_loaded_then(module: str, absent: set[str]) -> None:
    script = f"import {module}, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert loaded & absent == set()
