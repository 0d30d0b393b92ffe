"""The commands that a trusted file of the repository has for a bead's folder: read, carried out, torn down."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

from at_agents.decisions import IntentKind
from at_agents.set_up import Phase, noted
from at_core.repo_settings import FILE_NAME
from at_core.store import Tx
from at_core.types import Bead, Intent, IntentState, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.commands import (
    FOLDER_PREFIX,
    CommandRun,
    Finished,
    carry_out,
    forget,
    session_name,
    spec_of,
)
from at_daemon.executor import Effect
from at_daemon.git.errors import RevisionMissing
from at_daemon.ledger import Change
from at_daemon.parts import Parts, bead_named, rig_of
from at_daemon.rules import Rules, read_rules
from at_daemon.slots import slot_for, slot_marks
from at_session.errors import HolderSilent, SessionError
from at_session.session import SessionSpec

Json = dict[str, Any]
log = logging.getLogger(__name__)


async def rules_on_target(parts: Parts, rig: Rig) -> Rules:
    """The file as it stands on the target branch now; without that branch nobody vouches for any command."""
    try:
        raw = await git.read_file_at(Path(rig.path), f"refs/heads/{rig.target}", FILE_NAME)
    except RevisionMissing:
        return Rules("absent")
    return read_rules(rig, raw, parts.config.gates.timeout_seconds)


def commands_fact(rules: Rules, generation: int, look: int) -> Json:
    """The value of `BeadFact.COMMANDS`: the commands of a file that is trusted, the number of those of any other."""
    worktree = rules.settings.worktree
    phases = {Phase.SETUP: worktree.setup, Phase.RUN: worktree.run}
    trusted = rules.state == "trusted"
    return {
        "state": rules.state,
        **{phase.value: list(commands) if trusted else [] for phase, commands in phases.items()},
        "held_back": 0 if trusted else sum(map(len, phases.values())),
        "timeout_seconds": worktree.timeout_seconds,
        "hash": rules.hash,
        "error": rules.error,
        "generation": generation,
        "look": look,
    }


async def read_commands(parts: Parts, intent: Intent) -> Effect:
    """Look anew at what the target branch's file has for the folder."""
    bead, rig = await parts.ledger.read(lambda tx: ((b := bead_named(tx, intent.bead_id)), rig_of(tx, b)))
    rules = await rules_on_target(parts, rig)
    fact = commands_fact(rules, intent.payload["generation"], intent.payload["look"])
    return Effect(lambda change: change.put(bead.id, BeadFact.COMMANDS, fact, "git"))


async def command(parts: Parts, intent: Intent) -> Effect:
    """Run one command of the set-up in the bead's folder; `at rm` ends it."""
    bead, folder = await parts.ledger.read(
        lambda tx: ((b := bead_named(tx, intent.bead_id)), tx.fact(b.id, BeadFact.FOLDER.value))
    )
    assert folder is not None
    name = session_of(intent)
    phase, index = intent.payload["phase"], intent.payload["index"]

    async def unwanted() -> None:
        await parts.until(lambda tx: True if is_being_removed(tx, bead.id) else None)

    run = CommandRun(
        name,
        "setup",
        log_of(parts, bead, phase, index),
        float(intent.payload["timeout_seconds"]),
        functools.partial(_spec, parts, bead, Path(folder.value["path"]), name, intent.payload["run"]),
        unwanted,
    )
    async with parts.set_ups:
        finished = await carry_out(parts, run)
    result = result_of(phase, intent.payload["run"], run, finished)

    def note(change: Change) -> None:
        before = change.fact(bead.id, BeadFact.SET_UP)
        change.put(bead.id, BeadFact.SET_UP, noted(before, intent.payload, result), "holder")
        change.tell(EventType.FOLDER_COMMAND_FINISHED, bead, said=result)

    async def tidy() -> None:
        await forget(parts, name)

    return Effect(note, tidy)


@dataclasses.dataclass(frozen=True, slots=True)
class Teardown:
    """What a removal does in the folder before it goes; `attic` is where its work was first put."""

    attic: str | None
    results: tuple[Json, ...]
    sessions: tuple[str, ...]

    def note(self, change: Change, bead: Bead) -> None:
        """Say how each command ended."""
        change.put(bead.id, BeadFact.TEARDOWN, None)
        for result in self.results:
            change.tell(EventType.FOLDER_COMMAND_FINISHED, bead, said=result)


async def tear_down(
    parts: Parts, intent: Intent, bead: Bead, rig: Rig, folder: Path, attic: str | None
) -> Teardown:
    """Run the teardown of a folder whose work is on the attic. What fails is told and holds up nothing.

    Carried out again it gives what the first try came to, be the folder gone meanwhile (`attic` is None then).
    """
    plan = await _plan(parts, intent, bead, rig, attic)
    sessions = teardown_sessions(intent, plan)
    results = []
    for index, (line, name) in enumerate(zip(plan["commands"], sessions, strict=True)):
        run = CommandRun(
            name,
            "teardown",
            log_of(parts, bead, Phase.TEARDOWN, index),
            float(plan["timeout_seconds"]),
            functools.partial(_spec, parts, bead, folder, name, line),
        )
        async with parts.set_ups:
            results.append(await _torn_down(parts, run, line))
    return Teardown(plan["attic"], tuple(results), sessions)


async def _torn_down(parts: Parts, run: CommandRun, line: str) -> Json:
    try:
        result = result_of(Phase.TEARDOWN, line, run, await carry_out(parts, run))
    except HolderSilent:
        raise  # it may only be slow: once more
    except (SessionError, FileNotFoundError, NotADirectoryError) as error:
        result = {
            "phase": Phase.TEARDOWN.value,
            "command": line,
            "ok": False,
            "how": f"could not be run: {error}",
            "exit_code": None,
            "seconds": 0.0,
            "log": str(run.log),
        }
    if not result["ok"]:
        log.warning("teardown command %r %s; the folder is removed all the same", line, result["how"])
    return result


async def _plan(parts: Parts, intent: Intent, bead: Bead, rig: Rig, attic: str | None) -> Json:
    """The commands of this removal, the same whenever it is carried out again; none where no folder is."""
    fact = await parts.ledger.read(lambda tx: tx.fact(bead.id, BeadFact.TEARDOWN.value))
    if fact is not None and fact.value["intent"] == intent.key:
        return dict(fact.value)
    rules = Rules("absent") if attic is None else await rules_on_target(parts, rig)
    worktree = rules.settings.worktree
    plan = {
        "intent": intent.key,
        "attic": attic,
        "commands": list(worktree.teardown) if rules.state == "trusted" else [],
        "timeout_seconds": worktree.timeout_seconds,
    }
    if plan["commands"]:
        await parts.ledger.record(lambda change: change.put(bead.id, BeadFact.TEARDOWN, plan, "git"))
    return plan


def session_of(intent: Intent) -> str:
    """The session in which the command of this intent runs."""
    return session_name(FOLDER_PREFIX, intent.key)


def teardown_sessions(intent: Intent, plan: Json | None) -> tuple[str, ...]:
    """The sessions of a removal's commands, in their order."""
    if plan is None or plan["intent"] != intent.key:
        return ()
    return tuple(session_name(FOLDER_PREFIX, f"{intent.key}:{n}") for n in range(len(plan["commands"])))


def is_being_removed(tx: Tx, bead_id: UUID) -> bool:
    """Whether nobody waits for the bead's set-up any more."""
    return tx.bead(bead_id) is None or any(
        intent.bead_id == bead_id and intent.kind == IntentKind.REMOVE and intent.state is IntentState.OPEN
        for intent in tx.open_intents()
    )


def log_of(parts: Parts, bead: Bead, phase: str, index: int) -> Path:
    """Where the output of a command goes; its next run writes it anew."""
    return parts.home.logs / "worktrees" / f"{parts.folder(bead).name}-{phase}-{index + 1}.log"


def result_of(phase: str, line: str, run: CommandRun, finished: Finished) -> Json:
    """How a command ended, as facts and events have it."""
    return {
        "phase": str(phase),
        "command": line,
        "ok": finished.ok,
        "how": _how(finished, run.limit),
        "exit_code": finished.exit_code,
        "seconds": finished.seconds,
        "log": str(run.log),
    }


def _how(finished: Finished, limit: float) -> str:
    if finished.given_up:
        return "was ended, because its bead is being removed"
    if finished.timed_out:
        return f"did not end within {limit:.0f} s, its time limit, and was ended"
    if finished.status is None:
        return "left no exit status"
    if finished.status.signal:
        return f"was ended by signal {finished.status.signal}"
    return f"ended with exit code {finished.status.code}"


async def _spec(parts: Parts, bead: Bead, folder: Path, name: str, line: str) -> SessionSpec:
    environment = environments.load(parts.home, bead.agent_id) if bead.agent_id else {}
    first_port = parts.config.general.first_port
    slot = await slot_for(parts.ledger, str(bead.id), first_port)
    marks = {"AT_BEAD": str(bead.id), **slot_marks(slot, first_port)}
    return spec_of(name, line, environment | marks, folder)
