"""The environment that an agent gets: that of the call which made it, kept in a 0600 file and nowhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from at_core.paths import Home
from at_telemetry.redaction import SINK

SWITCHES = ("AT_HOME", "AT_FAILPOINT", "AT_START_SECONDS")
MARKS = ("AT_BEAD", "AT_AGENT", "AT_GATE", "AT_SLOT", "AT_PORT")
"""What we tell an agent or a gate. A caller that is one itself must not pass its own on."""


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


def load(home: Home, agent_id: UUID) -> dict[str, str]:
    """The environment of the agent's starts; the daemon's own where none was kept."""
    try:
        kept: dict[str, str] = json.loads(_file(home, agent_id).read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:
        kept = dict(os.environ)
    SINK.learn(kept)
    return {name: value for name, value in kept.items() if name not in SWITCHES + MARKS}


def forget(home: Home, agent_id: UUID) -> None:
    """Remove what was kept for an agent that is no more, or was not made after all."""
    _file(home, agent_id).unlink(missing_ok=True)


def _file(home: Home, agent_id: UUID) -> Path:
    return home.environments / f"{agent_id}.json"
