"""The commands that a trusted file of the repository has for a bead's folder: read, carried out, torn down."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any

from at_agents.decisions import IntentKind
from at_agents.set_up import BEGUN, OVER, Phase, Standing, begun, dropped, noted, standing
from at_core.repo_settings import FILE_NAME
from at_core.store import Tx
from at_core.types import Bead, Intent, IntentState, Rig
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.cache import keep_made
from at_daemon.acts.commands import (
    FOLDER_PREFIX,
    CommandLost,
    CommandRun,
    Finished,
    abandon,
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
OF_START = (BeadFact.ORDER, BeadFact.SET_UP)
"""The facts that tell for which start a command is."""
MOST_LOST = 2
"""So often a teardown whose holder was killed is begun anew; then the folder goes without it."""
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
    """Run one command of the set-up in the bead's folder, while it is wanted.

    One that is halted is ended, and runs again later; one that is over is ended for good.
    """
    name = session_of(intent)
    while await _is_wanted(parts, intent):
        bead, folder, commands = await parts.ledger.read(
            lambda tx: (
                (b := bead_named(tx, intent.bead_id)),
                tx.fact(b.id, BeadFact.FOLDER.value),
                tx.fact(b.id, BeadFact.COMMANDS.value),
            )
        )
        assert folder is not None
        run = CommandRun(
            name,
            "setup",
            log_of(parts, bead, intent.payload["phase"], intent.payload["index"]),
            float(intent.payload["timeout_seconds"]),
            functools.partial(_spec, parts, bead, Path(folder.value["path"]), name, intent.payload["run"]),
            unwanted=functools.partial(_unwanted, parts, intent),
            places=parts.set_ups,
            begun=functools.partial(_note_begun, parts, intent, bead),
        )
        finished = await carry_out(parts, run)
        result = result_of(intent.payload["phase"], intent.payload["run"], run, finished)
        if not finished.given_up:
            of_folder = commands.value if commands is not None else None
            kept = await keep_made(parts, intent, of_folder, Path(folder.value["path"]), finished.ok)
            result = result if kept is None else {**result, "cache": kept}
            return _ended(parts, intent, bead, result)
        await _note_given_up(parts, intent, bead, result)
    await abandon(parts, name)
    said = {"phase": intent.payload["phase"], "command": intent.payload["run"]}

    def drop(change: Change) -> None:
        bead = change.tx.bead(intent.bead_id) if intent.bead_id else None
        if bead is not None and bead.status in OVER:  # at work, it is being removed, and would ask at once
            change.put(bead.id, BeadFact.SET_UP, dropped(_of_start(change, bead), intent.payload))
        change.tell(EventType.FOLDER_COMMAND_DROPPED, bead, said=said)  # its removal waits for this

    return Effect(drop)


async def _is_wanted(parts: Parts, intent: Intent) -> bool:
    """Wait while it is halted; False once it is over."""
    halted = Standing.HALTED
    found = await parts.until(lambda tx: None if (s := _standing(parts, tx, intent)) is halted else s)
    return found is Standing.WANTED


async def _unwanted(parts: Parts, intent: Intent) -> None:
    await parts.until(lambda tx: True if _standing(parts, tx, intent) is not Standing.WANTED else None)


def _standing(parts: Parts, tx: Tx, intent: Intent) -> Standing:
    """How it stands with the command now. One that is wanted waits for any of an earlier try that has not ended yet."""
    bead = tx.bead(intent.bead_id) if intent.bead_id else None
    if bead is None:
        return Standing.OVER
    of_bead = [each for each in tx.open_intents() if each.bead_id == bead.id]
    if any(each.kind == IntentKind.REMOVE for each in of_bead):
        return Standing.OVER
    facts = {name.value: fact.value for name in OF_START if (fact := tx.fact(bead.id, name.value))}
    stopped = bead.agent_id is not None and tx.fact(bead.agent_id, AgentFact.STOPPED.value) is not None
    found = standing(bead, facts, parts.ledger.worlds.clock.awake().boot, stopped, intent.payload)
    commands = [each.key for each in of_bead if each.kind == IntentKind.COMMAND]
    waits = found is Standing.WANTED and commands[:1] != [intent.key]
    return Standing.HALTED if waits else found


def _of_start(change: Change, bead: Bead) -> Json:
    return {name.value: change.fact(bead.id, name) for name in OF_START}


async def _note_begun(parts: Parts, intent: Intent, bead: Bead) -> None:
    def note(change: Change) -> None:
        before = change.fact(bead.id, BeadFact.SET_UP) or {}
        if change.tx.bead(bead.id) is None or before.get(BEGUN) == intent.key:
            return  # it was found again
        change.put(bead.id, BeadFact.SET_UP, begun(before, intent.key), "holder")
        phase, index, line = (intent.payload[name] for name in ("phase", "index", "run"))
        said = {"phase": phase, "command": line, "log": str(log_of(parts, bead, phase, index))}
        change.tell(EventType.FOLDER_COMMAND_BEGUN, bead, said=said)

    await parts.ledger.record(note)


async def _note_given_up(parts: Parts, intent: Intent, bead: Bead, result: Json) -> None:
    """Say that it was ended, if it had been begun, and have it begun anew when it is wanted again."""

    def note(change: Change) -> None:
        before = change.fact(bead.id, BeadFact.SET_UP) or {}
        if change.tx.bead(bead.id) is None or before.get(BEGUN) != intent.key:
            return
        change.put(bead.id, BeadFact.SET_UP, begun(before, None), "holder")
        change.tell(EventType.FOLDER_COMMAND_FINISHED, bead, said=result)

    await forget(parts, session_of(intent))
    await parts.ledger.record(note)


def _ended(parts: Parts, intent: Intent, bead: Bead, result: Json) -> Effect:
    def note(change: Change) -> None:
        if change.tx.bead(bead.id) is None:
            return
        change.put(bead.id, BeadFact.SET_UP, noted(_of_start(change, bead), intent.payload, result), "holder")
        change.tell(EventType.FOLDER_COMMAND_FINISHED, bead, said=result)

    return Effect(note, functools.partial(forget, parts, session_of(intent)))


@dataclasses.dataclass(frozen=True, slots=True)
class Teardown:
    """What a removal does in the folder before it goes; `attic` is where its work was first put."""

    attic: str | None
    results: tuple[Json, ...]
    sessions: tuple[str, ...]

    def note(self, change: Change, bead: Bead) -> None:
        """Say how each command ended, unless another removal of the same folder said so."""
        if self.results and change.fact(bead.id, BeadFact.TEARDOWN) is None:
            return
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
    sessions = teardown_sessions(plan)
    results = []
    for index, (line, name) in enumerate(zip(plan["commands"], sessions, strict=True)):
        run = CommandRun(
            name,
            "teardown",
            log_of(parts, bead, Phase.TEARDOWN, index),
            float(plan["timeout_seconds"]),
            functools.partial(_spec, parts, bead, folder, name, line),
            places=parts.teardowns,
        )
        results.append(await _torn_down(parts, run, line, intent.attempts))
    return Teardown(plan["attic"], tuple(results), sessions)


async def _torn_down(parts: Parts, run: CommandRun, line: str, attempts: int) -> Json:
    try:
        result = result_of(Phase.TEARDOWN, line, run, await carry_out(parts, run))
    except HolderSilent:
        raise  # it may only be slow: once more
    except (CommandLost, SessionError, FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, CommandLost) and attempts < MOST_LOST:
            raise
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
    """The commands of this removal, the same whenever it is carried out again; none where no folder is.

    What another open removal of the folder has begun is followed to its end, not begun anew.
    """
    begun = await parts.ledger.read(lambda tx: teardown_begun(tx, bead))
    if begun is not None:
        return begun
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


def teardown_begun(tx: Tx, bead: Bead) -> Json | None:
    """The value of `BeadFact.TEARDOWN` while the removal that began it is open."""
    fact = tx.fact(bead.id, BeadFact.TEARDOWN.value)
    intent = tx.intent(fact.value["intent"]) if fact else None
    return dict(fact.value) if fact and intent and intent.state is IntentState.OPEN else None


def session_of(intent: Intent) -> str:
    """The session in which the command of this intent runs."""
    return session_name(FOLDER_PREFIX, intent.key)


def teardown_sessions(plan: Json | None) -> tuple[str, ...]:
    """The sessions of a removal's commands, in their order."""
    if plan is None:
        return ()
    return tuple(session_name(FOLDER_PREFIX, f"{plan['intent']}:{n}") for n in range(len(plan["commands"])))


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
        return "was ended, as nobody waits for it any more"
    if finished.timed_out:
        return f"did not end within {limit:.0f} s, its time limit"
    if finished.status is None:
        return "left no exit status"
    if finished.status.signal:
        return f"was ended by signal {finished.status.signal}"
    return f"ended with exit code {finished.status.code}"


async def _spec(parts: Parts, bead: Bead, folder: Path, name: str, line: str) -> SessionSpec:
    first_port = parts.config.general.first_port
    slot = await slot_for(parts.ledger, str(bead.id), first_port)
    marks = {"AT_BEAD": str(bead.id), **slot_marks(slot, first_port)}
    return spec_of(name, line, environments.of_process(parts.home, bead.agent_id, folder, marks), folder)
