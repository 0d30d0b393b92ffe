"""The commands around a bead's folder: what of them has to run before its agent's process is started.

`setup` runs once in a new folder, `run` before each start. A command is an intent of its own, so that each runs once
whatever happens to the daemon meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from at_agents.decisions import Action, Do, IntentKind, Transition, World
from at_core.types import BeadStatus, IntentState
from at_core.vocabulary import BeadFact, EventType


class Phase(StrEnum):
    """When a command runs, by its key in the repository's file."""

    SETUP = "setup"
    RUN = "run"
    TEARDOWN = "teardown"


def missing(world: World, phase: Phase, attempt: int) -> list[Action]:
    """What of a phase has yet to be done before this start; empty where nothing is left."""
    commands = world.facts.get(BeadFact.COMMANDS)
    if commands is None:
        return []
    if _out_of_date(world, commands):
        return _look(world, commands)
    ran = _ran(world, phase, attempt)
    results = ran.get("results", ())
    if results and not results[-1]["ok"]:
        return [_failed(world, f"{in_words(results[-1])}; its output is in {results[-1]['log']}")]
    if ran.get("done") or len(results) >= len(commands[phase]):
        return []
    do = _next(world, commands, phase, attempt, len(results))
    if error := world.failure(do.key):
        return [_failed(world, f"its {phase} command `{do.payload['run']}` could not be run: {error}")]
    return [do]


def under_way(world: World) -> str | None:
    """The command that runs in the folder now, if one does, with its phase."""
    attempt = int(world.process.get("attempt", 0)) + 1
    for phase in (Phase.SETUP, Phase.RUN):
        match missing(world, phase, attempt):
            case [Do(kind=IntentKind.COMMAND) as do]:
                intent = world.intent(do.key)
                return (
                    f"{phase}: {do.payload['run']}" if intent and intent.state is IntentState.OPEN else None
                )
            case []:
                continue
        return None
    return None


def noted(facts: Mapping[str, Any] | None, payload: Mapping[str, Any], result: Mapping[str, Any]) -> Any:
    """The value of `BeadFact.SET_UP` once this command has ended."""
    facts = facts or {}
    phase, start = payload["phase"], {name: payload[name] for name in ("generation", "attempt")}
    before = facts.get(phase) or {}
    same = all(before.get(name) == value for name, value in start.items())
    results = [*(before["results"] if same else ()), dict(result)]
    done = phase == Phase.SETUP and result["ok"] and len(results) == payload["of"]
    return {**facts, phase: {**start, "done": done, "results": results}}


def in_words(result: Mapping[str, Any]) -> str:
    """Which command it was and how it ended."""
    return f"its {result['phase']} command `{result['command']}` {result['how']}"


def _next(world: World, commands: Mapping[str, Any], phase: Phase, attempt: int, index: int) -> Do:
    attempt = attempt if phase is Phase.RUN else 0
    payload = {
        "phase": phase.value,
        "run": commands[phase][index],
        "timeout_seconds": commands["timeout_seconds"],
        "index": index,
        "of": len(commands[phase]),
        "generation": world.generation,
        "attempt": attempt,
    }
    key = f"command:{world.bead.id}:{world.generation}:{phase}:{attempt}:{commands['look']}:{index}"
    return Do(key, IntentKind.COMMAND, payload)


def _ran(world: World, phase: Phase, attempt: int) -> Mapping[str, Any]:
    """What ran already: in this folder, or for `run` before this very start; a failure counts until the next try."""
    ran: Mapping[str, Any] = (world.facts.get(BeadFact.SET_UP) or {}).get(phase) or {}
    of_this_start = (world.generation, attempt if phase is Phase.RUN else 0)
    return ran if ran.get("done") or (ran.get("generation"), ran.get("attempt")) == of_this_start else {}


def _out_of_date(world: World, commands: Mapping[str, Any]) -> bool:
    return bool(commands.get("stale")) or commands["generation"] != world.generation


def _look(world: World, commands: Mapping[str, Any]) -> list[Action]:
    look = int(commands["look"]) + 1
    key = f"read-commands:{world.bead.id}:{world.generation}:{look}"
    if error := world.failure(key):
        return [_failed(world, f"the commands that set up its folder could not be read: {error}")]
    return [Do(key, IntentKind.READ_COMMANDS, {"look": look, "generation": world.generation})]


def _failed(world: World, reason: str) -> Transition:
    hint = f"at retry {str(world.bead.id)[:8]}"
    return Transition(BeadStatus.FAILED, EventType.BEAD_FAILED, "set-up", reason, hint)
