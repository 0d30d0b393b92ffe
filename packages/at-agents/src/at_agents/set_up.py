"""The commands around a bead's folder: what of them has to run before its agent's process is started.

`setup` runs once in a new folder, `run` before each start. A command is an intent of its own, so that each runs once
whatever happens to the daemon meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from at_agents.decisions import Action, Do, IntentKind, Put, Transition, World
from at_core.types import Bead, BeadStatus, IntentState
from at_core.vocabulary import BeadFact, EventType

AT_ONCE = 4
"""Commands of set-ups that run at the same time, of all beads together."""
START = ("generation", "attempt", "again", "boot")
"""What tells the start apart that a command is for; `again` counts how often it was asked for anew."""
BEGUN = "begun"
"""Beside the phases in `BeadFact.SET_UP`: the key of the intent whose command runs."""
OVER = {BeadStatus.DONE, BeadStatus.FAILED, BeadStatus.ESCALATED}


class Phase(StrEnum):
    """When a command runs, by its key in the repository's file."""

    SETUP = "setup"
    RUN = "run"
    TEARDOWN = "teardown"


BEFORE_START = (Phase.SETUP, Phase.RUN)


class Standing(StrEnum):
    """Whether a command that was asked for is to run now, later perhaps, or never any more."""

    WANTED = "wanted"
    HALTED = "halted"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The command that comes next, with its phase, and whether it was begun or waits for a place."""

    line: str
    begun: bool

    @property
    def words(self) -> str:
        """One clause of a sentence."""
        if self.begun:
            return self.line
        return f"{self.line} (waits for a place: at most {AT_ONCE} of these commands run at the same time)"


def missing(world: World, phase: Phase, attempt: int) -> list[Action]:
    """What of a phase has yet to be done before this start; empty where nothing is left."""
    commands = world.facts.get(BeadFact.COMMANDS)
    if commands is None:
        return []
    if _out_of_date(world, commands):
        return _look(world, commands)
    ran = _ran(world, phase, attempt)
    if ran.get("done"):
        return []
    results = _by_index(ran)
    if failed := next((each for each in results.values() if not each["ok"]), None):
        return [_failed(world, f"{in_words(failed)}; its output is in {failed['log']}")]
    index = next((n for n in range(len(commands[phase])) if n not in results), None)
    if index is None:
        return []
    do = _next(world, commands, phase, attempt, index)
    if error := world.failure(do.key):
        return [_failed(world, f"its {phase} command `{do.payload['run']}` could not be run: {error}")]
    if (intent := world.intent(do.key)) and intent.state is IntentState.DONE:  # it was dropped
        return [Put(BeadFact.SET_UP, dropped(world.facts, do.payload))]
    return [do]


def run_anew(world: World) -> list[Action]:
    """Forget what `run` made ready for a start that is put off: it may not last, so it runs again before that."""
    ran = _ran(world, Phase.RUN, _attempt(world))
    if not ran.get("results"):
        return []
    facts = world.facts[BeadFact.SET_UP]
    return [Put(BeadFact.SET_UP, _begun_anew(facts, Phase.RUN, ran))]


def under_way(world: World) -> UnderWay | None:
    """The command that runs in the folder now or waits to, if there is one."""
    attempt = _attempt(world)
    for phase in BEFORE_START:
        match missing(world, phase, attempt):
            case [Do(kind=IntentKind.COMMAND) as do]:
                intent = world.intent(do.key)
                if intent is None or intent.state is not IntentState.OPEN:
                    return None
                begun = (world.facts.get(BeadFact.SET_UP) or {}).get(BEGUN) == do.key
                return UnderWay(f"{phase}: {do.payload['run']}", begun)
            case []:
                continue
        return None
    return None


def shown(world: World) -> list[Mapping[str, Any]]:
    """How the commands ended that the folder is as it is by, and those of this try that the file still has."""
    commands = world.facts.get(BeadFact.COMMANDS) or {}
    found: list[Mapping[str, Any]] = []
    for phase in BEFORE_START:
        ran = (world.facts.get(BeadFact.SET_UP) or {}).get(phase) or {}
        results = _by_index(ran).values()
        if ran.get("done"):
            found += results
        elif ran.get("generation") == world.generation:
            found += (each for each in results if each["command"] in commands.get(phase, ()))
    return found


def standing(
    bead: Bead | None, facts: Mapping[str, Any], boot: str, stopped: bool, payload: Mapping[str, Any]
) -> Standing:
    """How it stands with a command that was asked for. `facts` are the bead's `ORDER` and `SET_UP`."""
    if bead is None or bead.status in OVER:
        return Standing.OVER
    if not _is_of_this_start(facts, payload) or payload.get("boot", boot) not in ("", boot):
        return Standing.OVER
    return Standing.HALTED if stopped or bead.status is not BeadStatus.SLUNG else Standing.WANTED


def begun(facts: Mapping[str, Any] | None, key: str | None) -> Mapping[str, Any]:
    """The value of `BeadFact.SET_UP` once the command of this intent runs; None: none does any more."""
    return {**(facts or {}), BEGUN: key}


def noted(facts: Mapping[str, Any], payload: Mapping[str, Any], result: Mapping[str, Any]) -> Any:
    """The value of `BeadFact.SET_UP` once this command has ended; that of a try that is over changes nothing.

    `facts` are the bead's `ORDER` and `SET_UP`.
    """
    before = facts.get(BeadFact.SET_UP) or {}
    if not _is_of_this_start(facts, payload):
        return before
    phase = payload["phase"]
    start = {name: payload.get(name) for name in START}
    ran = before.get(phase) or {}
    results = {
        **(_by_index(ran) if _is_of(ran, start) else {}),
        payload["index"]: {**result, "index": payload["index"]},
    }
    complete = all(n in results and results[n]["ok"] for n in range(payload["of"]))
    ended = {**start, "done": phase == Phase.SETUP and complete, "results": list(results.values())}
    return {**before, phase: ended, BEGUN: None}


def dropped(facts: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value of `BeadFact.SET_UP` once this command is not to be run any more. Should its try go on after all, as when
    giving it up is undone, it is asked for anew."""
    before: Mapping[str, Any] = facts.get(BeadFact.SET_UP) or {}
    phase = Phase(payload["phase"])
    if not _is_of_this_start(facts, payload):
        return before
    ran = before.get(phase) or {}
    start = {name: payload.get(name) for name in START}
    return _begun_anew(before, phase, ran if _is_of(ran, start) else {**start, "done": False})


def after_cache(generation: int) -> Mapping[str, Any]:
    """The value of `BeadFact.SET_UP` in a folder that has all that `setup` would make."""
    start = {"generation": generation, "attempt": 0, "again": 0, "boot": ""}
    return {Phase.SETUP: {**start, "done": True, "results": []}}


def in_words(result: Mapping[str, Any]) -> str:
    """Which command it was and how it ended."""
    return f"its {result['phase']} command `{result['command']}` {result['how']}"


def _next(world: World, commands: Mapping[str, Any], phase: Phase, attempt: int, index: int) -> Do:
    start = _start(world, phase, attempt)
    payload = {
        "phase": phase.value,
        "run": commands[phase][index],
        "timeout_seconds": commands["timeout_seconds"],
        "index": index,
        "of": len(commands[phase]),
        "generation": world.generation,
        **start,
    }
    of_start = ".".join(str(part) for part in start.values() if part != "")
    key = f"command:{world.bead.id}:{world.generation}:{phase}:{of_start}:{commands['look']}:{index}"
    return Do(key, IntentKind.COMMAND, payload)


def _start(world: World, phase: Phase, attempt: int) -> dict[str, Any]:
    """Which start it is for: what `run` made ready lasts no longer than the machine is up."""
    again = _again(world.facts.get(BeadFact.SET_UP), phase)
    if phase is not Phase.RUN:
        return {"attempt": 0, "again": again, "boot": ""}
    return {"attempt": attempt, "again": again, "boot": world.awake.boot}


def _ran(world: World, phase: Phase, attempt: int) -> Mapping[str, Any]:
    """What ran already: in this folder, or for `run` before this very start; a failure counts until the next try."""
    ran: Mapping[str, Any] = (world.facts.get(BeadFact.SET_UP) or {}).get(phase) or {}
    start = {"generation": world.generation, **_start(world, phase, attempt)}
    return ran if ran.get("done") or _is_of(ran, start) else {}


def _by_index(ran: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    return {each["index"]: each for each in sorted(ran.get("results", ()), key=lambda each: each["index"])}


def _is_of_this_start(facts: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    generation = int((facts.get(BeadFact.ORDER) or {}).get("generation", 0))
    again = _again(facts.get(BeadFact.SET_UP), payload["phase"])
    return bool((payload["generation"], payload.get("again", 0)) == (generation, again))


def _is_of(ran: Mapping[str, Any], start: Mapping[str, Any]) -> bool:
    return all(ran.get(name) == value for name, value in start.items())


def _begun_anew(facts: Mapping[str, Any], phase: Phase, ran: Mapping[str, Any]) -> dict[str, Any]:
    """What `setup` did stays in the folder; what `run` did is done again."""
    results = ran.get("results", ()) if phase is Phase.SETUP else ()
    return {**facts, phase: {**ran, "again": _again(facts, phase) + 1, "results": list(results)}}


def _again(facts: Mapping[str, Any] | None, phase: str) -> int:
    return int(((facts or {}).get(phase) or {}).get("again", 0))


def _attempt(world: World) -> int:
    return int(world.process.get("attempt", 0)) + 1


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
