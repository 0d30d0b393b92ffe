"""The environment that an agent gets: that of the call which made it, kept in a 0600 file and nowhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from at_core.agent_environment import inherited
from at_core.paths import Home
from at_telemetry.redaction import SINK


def save(home: Home, agent_id: UUID, environment: Mapping[str, str]) -> None:
    """Keep the environment for every start of this agent; an empty one leaves what is there."""
    if not environment:
        return
    kept = _file(home, agent_id)
    fresh = kept.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(dict(environment), file)
    fresh.replace(kept)


def is_kept(home: Home, agent_id: UUID) -> bool:
    """Whether the agent has one of its own."""
    return _file(home, agent_id).exists()


def load(home: Home, agent_id: UUID) -> dict[str, str]:
    """The environment of the agent's starts; the daemon's own where none was kept."""
    try:
        kept: dict[str, str] = json.loads(_file(home, agent_id).read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:
        kept = dict(os.environ)
    SINK.learn(kept)
    return inherited(kept)


def of_process(home: Home, agent_id: UUID | None, folder: Path, marks: Mapping[str, str]) -> dict[str, str]:
    """What a process in `folder` gets that works for this agent: its environment as a shell there has it, and marks."""
    given = load(home, agent_id) if agent_id else {}
    return {**given, "PWD": str(folder), **marks}


def forget(home: Home, agent_id: UUID) -> None:
    """Remove what was kept for an agent that is no more, or was not made after all."""
    _file(home, agent_id).unlink(missing_ok=True)


def _file(home: Home, agent_id: UUID) -> Path:
    return home.environments / f"{agent_id}.json"
