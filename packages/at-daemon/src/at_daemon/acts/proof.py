"""Evidence: the work brought into the person's repository, gates on exact trees, merges tried aside."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from at_agents.comments import Comments
from at_core.errors import AtError, TryLater
from at_core.repo_settings import FILE_NAME
from at_core.text import MAX_TITLE, one_line
from at_core.types import Bead, BeadStatus, GateResult, Intent, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.commands import GATE_PREFIX, CommandRun, carry_out, forget, session_name, spec_of
from at_daemon.acts.landing import note_given, trial_merge
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.git.errors import GitError
from at_daemon.ledger import Change
from at_daemon.parts import Parts, bead_named, rig_of
from at_daemon.rules import read_rules
from at_daemon.slots import slot_for, slot_marks
from at_daemon.world import values
from at_session.errors import HolderSilent, SessionError
from at_session.session import SessionSpec

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What evidence is gathered about."""

    bead: Bead
    rig: Rig
    facts: Mapping[str, Any]

    @property
    def target(self) -> str:
        """The branch that the work is to be merged onto."""
        return str(self.facts[BeadFact.FOLDER]["target"])


async def collect(parts: Parts, intent: Intent) -> Effect:
    """Commit what was left, bring the branch over, read the rules and try the merge: one look at everything."""
    work = await _work(parts, intent)
    folder, rig_path = work.facts[BeadFact.FOLDER], Path(work.rig.path)
    title = one_line(work.bead.title, MAX_TITLE)
    message = f"{title}\n\nCommitted by auto-tundra: the agent left it uncommitted.\n\nBead: {work.bead.id}\n"
    async with parts.rig_locks[work.rig.path]:
        found = await git.collect(
            rig_path,
            Path(folder["path"]),
            folder["branch"],
            f"refs/at/beads/{work.bead.id}",
            folder["base_sha"],
            message,
            targets=work.facts.get(BeadFact.LOOK, {}).get("given", ()),
            date=int(intent.created_at.timestamp()),
        )
    failpoint("collect.after-git")
    branch = {
        "head": found.head,
        "tree": found.tree,
        "base": found.base,
        "commits": list(found.commits),
        "files": found.files,
        "insertions": found.insertions,
        "deletions": found.deletions,
        "settings_changed": FILE_NAME in found.changed_paths,
        "leftovers_committed": found.leftovers_committed,
        "unmerged": list(found.unmerged),
        "round": intent.payload["round"],
        "notes": list(found.notes),
    }
    seen = await _look(parts, work, found.head) if found.commits else None
    moved, unknown = await _comments_moved(work, found.head)

    def note(change: Change) -> None:
        change.put(work.bead.id, BeadFact.BRANCH, branch, "git")
        pin_permission(change, work.bead, found.head)
        noted = Comments.of(change.fact(work.bead.id, BeadFact.COMMENTS))
        if noted.all:
            noted = noted.moved(found.head, moved, unknown=unknown)
            change.put(work.bead.id, BeadFact.COMMENTS, noted.to_fact(), "git")
        change.tell(EventType.WORK_COLLECTED, work.bead, said=branch)
        if seen is not None:
            note_look(change, work.bead, seen)

    return Effect(note)


async def _comments_moved(work: Work, head: str) -> tuple[dict[int, int | None], list[int]]:
    """Where the lines are in a new head that were commented on and wait to be sent; then those that nobody can tell."""
    moved: dict[int, int | None] = {}
    unknown = []
    for each in Comments.of(work.facts.get(BeadFact.COMMENTS)).to_send(from_others=True):
        if each.file is None or each.line is None:
            continue
        try:
            moved[each.number] = await git.line_now(
                Path(work.rig.path), each.head, head, each.file, each.line
            )
        except GitError:  # a commit that somebody else pushed, or that is gone meanwhile, is not here
            unknown.append(each.number)
    return moved, unknown


def pin_permission(change: Change, bead: Bead, head: str) -> None:
    """A word given before the work was collected is for this head, not for what a later round may bring."""
    allowed = change.fact(bead.id, BeadFact.LAND_ALLOWED)
    if allowed is not None and allowed["head"] is None:
        change.put(bead.id, BeadFact.LAND_ALLOWED, {**allowed, "head": head}, "person")


async def forecast(parts: Parts, intent: Intent) -> Effect:
    """Look at the target anew: its rules, and whether the work merges onto it."""
    work = await _work(parts, intent)
    async with parts.forecasts:
        seen = await _look(parts, work, intent.payload["head"])
    return Effect(lambda change: note_look(change, work.bead, seen))


async def gate(parts: Parts, intent: Intent) -> Effect:
    """Run one gate on exactly one tree, in a checkout of its own."""
    work = await _work(parts, intent)
    session_id = gate_session_id(intent)
    run = CommandRun(
        session_id,
        "gate",
        parts.home.logs / "gates" / f"{session_id.removeprefix(GATE_PREFIX)}.log",
        float(intent.payload["timeout_seconds"]),
        lambda: _gate_spec(parts, work, intent, session_id),
        places=parts.gate_slots,
    )
    try:
        finished = await carry_out(parts, run)
    except (TryLater, HolderSilent):
        raise  # it runs, or may: what it has stays its own
    except (AtError, SessionError, OSError):  # nothing of it runs; a further try takes what it needs
        await anyio.to_thread.run_sync(_remove_gate, parts, session_id)
        await parts.ledger.record(lambda change: change.tx.free_slot(session_id))
        raise
    shown = await _show_target(work, intent) if not finished.ok and intent.payload.get("merges") else None
    result = GateResult(
        name=intent.payload["name"],
        command=intent.payload["run"],
        tree=intent.payload["tree"],
        ok=finished.ok,
        exit_code=finished.exit_code,
        seconds=finished.seconds,
        log=str(run.log),
        output=finished.output,
        rig=str(work.rig.id),
        at=parts.now(),
    )

    def note(change: Change) -> None:
        change.tx.free_slot(session_id)
        change.tx.add_gate_result(result)
        if shown is not None:
            note_given(change, work.bead.id, shown)
        change.tell(
            EventType.GATE_FINISHED,
            work.bead,
            name=result.name,
            ok=result.ok,
            tree=result.tree,
            seconds=result.seconds,
            exit_code=result.exit_code,
            log=result.log,
            together=len(intent.payload.get("merges", ())),
        )
        for bead in change.tx.beads(status={BeadStatus.REVIEW}, rig=str(work.rig.id)):
            change.touch(bead.id)

    async def tidy() -> None:
        await anyio.to_thread.run_sync(_remove_gate, parts, session_id)
        await forget(parts, session_id)

    return Effect(note, tidy)


def gate_session_id(intent: Intent) -> str:
    """The session in which the gate of this intent runs, the same whenever it is carried out again."""
    return session_name(GATE_PREFIX, intent.key)


async def _work(parts: Parts, intent: Intent) -> Work:
    return await parts.ledger.read(
        lambda tx: Work((b := bead_named(tx, intent.bead_id)), rig_of(tx, b), values(tx.facts(b.id)))
    )


async def _look(parts: Parts, work: Work, head: str) -> tuple[Json, Json]:
    number = int((work.facts.get(BeadFact.LOOK) or {}).get("number", 0))
    found = await git.try_merge(Path(work.rig.path), head, f"refs/heads/{work.target}", FILE_NAME)
    rules = read_rules(work.rig, found.file, parts.config.gates.timeout_seconds).to_json()
    conflicts: Sequence[str] = found.conflicts or (
        ("(the histories are unrelated)",) if found.unrelated else ()
    )
    seen = {
        "head": head,
        "target": found.target_sha,
        "target_name": work.target,
        "clean": found.clean,
        "tree": found.tree,
        "contained": found.contained,
        "brought": found.brought,
        "conflicts": list(conflicts),
        "look": number,
        "settings_brought": await _brings_settings(work, found),
    }
    folder = Path(work.facts[BeadFact.FOLDER]["path"])
    if not found.clean and folder.is_dir():
        await git.update_branch(Path(work.rig.path), folder, found.target_sha)
    return rules, seen


async def _brings_settings(work: Work, found: git.Forecast) -> bool:
    """Whether the merge brings another settings file than the target has, from a base that is not the target."""
    if work.facts[BeadFact.FOLDER].get("base_ref") == f"refs/heads/{work.target}" or not found.clean:
        return False
    return await git.read_file_in(Path(work.rig.path), found.tree, FILE_NAME) != found.file


def note_look(change: Change, bead: Bead, seen: tuple[Json, Json]) -> None:
    """Put on record the rules and the forecast that were seen, unless a later look at the target is there already.

    Looks overlap, and one that began before another may end after it.
    """
    rules, found = seen
    branch, before = change.fact(bead.id, BeadFact.BRANCH), change.fact(bead.id, BeadFact.FORECAST)
    if branch and branch["head"] != found["head"]:
        return
    if before and before["head"] == found["head"] and before["look"] > found["look"]:
        return
    change.put(bead.id, BeadFact.RULES, rules, "git")
    change.put(bead.id, BeadFact.FORECAST, found, "git")
    if not found["clean"]:
        note_given(change, bead.id, found["target"])


async def _show_target(work: Work, intent: Intent) -> str | None:
    """Give the agent's clone the target on which its merge failed, so that it can see for itself."""
    target, folder = str(intent.payload["target"]), Path(work.facts[BeadFact.FOLDER]["path"])
    if not folder.is_dir():
        return None
    await git.update_branch(Path(work.rig.path), folder, target)
    return target


async def _gate_spec(parts: Parts, work: Work, intent: Intent, session_id: str) -> SessionSpec:
    folder = _gate_folder(parts, session_id)
    async with parts.rig_locks[work.rig.path]:
        await git.checkout_tree(Path(work.rig.path), folder, await _commit_of(work, intent))
    first_port = parts.config.general.first_port
    slot = await slot_for(parts.ledger, session_id, first_port)
    marks = {
        "AT_BEAD": str(work.bead.id),
        "AT_GATE": intent.payload["name"],
        **slot_marks(slot, first_port),
    }
    environment = environments.of_process(parts.home, work.bead.agent_id, folder, marks)
    return spec_of(session_id, intent.payload["run"], environment, folder)


async def _commit_of(work: Work, intent: Intent) -> str:
    """The commit to check out: the branch's head, or merges made aside onto the target."""
    if intent.payload.get("head"):
        return str(intent.payload["head"])
    at = str(intent.payload["target"])
    for merge in intent.payload["merges"]:
        at = await trial_merge(Path(work.rig.path), at, merge["head"], merge["tree"], intent)
    return at


def _gate_folder(parts: Parts, session_id: str) -> Path:
    return parts.home.gates / session_id


def _remove_gate(parts: Parts, session_id: str) -> None:
    shutil.rmtree(_gate_folder(parts, session_id), ignore_errors=True)
    (parts.home.gates / f".{session_id}.index").unlink(missing_ok=True)
