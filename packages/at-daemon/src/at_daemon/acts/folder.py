"""A bead's folder: a private clone, made when the bead starts, kept on a hidden ref and removed at its end."""

from __future__ import annotations

import shutil
from pathlib import Path

from at_agents.decisions import IntentKind
from at_core.store import Tx
from at_core.types import AgentRole, Bead, Intent
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.commands import forget
from at_daemon.acts.set_up import commands_fact, rules_on_target, tear_down
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named, bead_named, rig_of
from at_daemon.world import bead_of

REMOVED = "its bead is removed"


async def prepare(parts: Parts, intent: Intent) -> Effect:
    """Make the clone on a branch of its own, from the base that was asked for or the target's tip."""
    bead, rig, order = await parts.ledger.read(
        lambda tx: ((b := bead_named(tx, intent.bead_id)), rig_of(tx, b), tx.fact(b.id, BeadFact.ORDER.value))
    )
    folder = parts.folder(bead)
    branch = git.branch_name(str(bead.id), bead.title)
    asked = order.value if order else {}
    base = asked.get("base") or f"refs/heads/{rig.target}"
    made = await git.prepare(Path(rig.path), folder, branch, base)
    commands = commands_fact(await rules_on_target(parts, rig), int(asked.get("generation", 0)), 0)
    value = {
        "path": str(folder),
        "branch": branch,
        "base_sha": made.base_sha,
        "base_ref": base,
        "target": rig.target,
        "notes": list(made.notes),
    }

    def note(change: Change) -> None:
        change.put(bead.id, BeadFact.FOLDER, value, "git")
        change.put(bead.id, BeadFact.COMMANDS, commands, "git")
        change.put(bead.id, BeadFact.SET_UP, None)  # what was done in a folder before this one
        current = change.tx.bead(bead.id)
        if current is not None and current.git_branch != branch:
            change.set_branch(current, branch)
        change.tell(EventType.FOLDER_PREPARED, bead, said=value)

    return Effect(note)


def _in_use(tx: Tx, bead: Bead) -> bool:
    """Whether a process is at work in the bead's folder or about to be, or the folder is still being made.

    A start that was put off, for want of room perhaps, is not waited for: what comes up for no bead is ended.
    """
    coming = any(
        intent.bead_id == bead.id
        and (
            intent.kind in (IntentKind.PREPARE, IntentKind.COMMAND)
            or (intent.kind == IntentKind.SPAWN and not intent.attempts)
        )
        for intent in tx.open_intents()
    )
    return coming or any(record.bead_id == bead.id for record in tx.sessions(live=True))


async def remove(parts: Parts, intent: Intent) -> Effect:
    """Put everything that is in the folder on a hidden ref, tear it down, remove it; with `forget`, the bead's
    record too."""
    bead, rig, fact = await parts.ledger.read(
        lambda tx: (
            (b := bead_named(tx, intent.bead_id)),
            rig_of(tx, b),
            tx.fact(b.id, BeadFact.FOLDER.value),
        )
    )
    if intent.payload.get("forget"):
        await parts.until(lambda tx: None if _in_use(tx, bead) else True)
    folder = Path(fact.value["path"]) if fact else parts.folder(bead)
    kept: str | None = None
    if folder.exists():
        async with parts.rig_locks[rig.path]:
            entry = await git.keep(Path(rig.path), folder, str(bead.id), intent.payload["reason"])
            failpoint("remove.after-keep")
            kept = entry.ref
    teardown = await tear_down(parts, intent, bead, rig, folder, kept)
    if folder.exists():
        async with parts.rig_locks[rig.path]:
            await git.remove_folder(folder, parts.home.worktrees)

    def note(change: Change) -> None:
        change.put(bead.id, BeadFact.FOLDER, None)
        teardown.note(change, bead)
        change.tx.free_slot(str(bead.id))
        change.tell(EventType.FOLDER_REMOVED, bead, attic=teardown.attic, reason=intent.payload["reason"])
        if intent.payload.get("forget"):
            change.tx.remove_bead(bead.id)
            change.tell(EventType.BEAD_REMOVED, bead, actor="person", attic=teardown.attic, title=bead.title)
            if bead.agent_id is not None:
                stopped = change.fact(bead.agent_id, AgentFact.STOPPED) or {}
                if stopped.get("reason") == REMOVED:
                    change.put(bead.agent_id, AgentFact.STOPPED, None)  # it may have other work
                change.touch_waiting(bead.agent_id)

    async def tidy() -> None:
        for session in teardown.sessions:
            await forget(parts, session)
        if intent.payload.get("forget") and bead.agent_id is not None:
            agent = await parts.ledger.read(lambda tx: agent_named(tx, bead.agent_id))
            if (
                agent.role is AgentRole.POLECAT
                and await parts.ledger.read(lambda tx: bead_of(tx, agent)) is None
            ):
                shutil.rmtree(parts.home.private / str(agent.id), ignore_errors=True)
                environments.forget(parts.home, agent.id)

    return Effect(note, tidy)
