"""A bead's folder: a private clone, made when the bead starts, kept on a hidden ref and removed at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from anyio import to_thread

from at_agents.decisions import IntentKind
from at_agents.dependencies import after_of, with_after
from at_core.store import Tx
from at_core.types import AgentRole, Bead, Intent, Rig
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import environments, git
from at_daemon.acts.base import base_made, base_of
from at_daemon.acts.cache import from_cache, set_up_from_cache
from at_daemon.acts.commands import forget
from at_daemon.acts.set_up import commands_fact, rules_on_target, tear_down, teardown_begun
from at_daemon.destructive import bead_as_it_is
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named, bead_named, rig_of
from at_daemon.waiting import direct_followers, has_landed, waits_for
from at_daemon.warm_folders import warm_folders
from at_daemon.world import bead_of

Json = dict[str, Any]
REMOVED = "its bead is removed"


async def prepare(parts: Parts, intent: Intent) -> Effect:
    """Make the clone on a branch of its own, from the base that was asked for or the target's tip."""
    bead, rig, order = await parts.ledger.read(
        lambda tx: ((b := bead_named(tx, intent.bead_id)), rig_of(tx, b), tx.fact(b.id, BeadFact.ORDER.value))
    )
    folder = parts.folder(bead)
    asked = order.value if order else {}
    if (adopted := asked.get("adopted")) is not None:
        return await _begin_as_adopted(parts, bead, rig, asked, adopted)
    base, said = await base_of(parts, rig, asked.get("base"), bead.agent_id)
    branch = await _branch(parts, bead)
    warm = await to_thread.run_sync(warm_folders, parts, rig)
    made = await git.prepare(Path(rig.path), folder, branch, base["sha"], warm)
    failpoint("warm.before-record")
    base = base_made(base, made.base_sha)
    value = {
        "path": str(folder),
        "branch": branch,
        "base_sha": made.base_sha,
        "base_ref": f"refs/heads/{rig.target}" if base["ref"] == rig.target else base["ref"],
        "base": base,
        "target": rig.target,
        "notes": [*said, *made.notes],
        "warm": made.warm,
    }
    return await _ready(parts, bead, rig, asked, value)


async def _branch(parts: Parts, bead: Bead) -> str:
    """The name of its branch, which is given once: the title may change before the folder is whole."""
    if bead.git_branch:
        return bead.git_branch
    branch = git.branch_name(str(bead.id), bead.title)

    def note(change: Change) -> None:
        if (current := change.tx.bead(bead.id)) is not None:
            change.set_branch(current, branch)

    await parts.ledger.change(note)
    return branch


async def _begin_as_adopted(parts: Parts, bead: Bead, rig: Rig, asked: Json, adopted: Json) -> Effect:
    """Make the clone as the checkout was that its session was adopted from."""
    folder = parts.folder(bead)
    notes: tuple[str, ...] = ()
    async with parts.rig_locks[rig.path]:
        if git.restored_from(folder) != adopted["attic"]:
            own = Path(adopted["folder"])
            notes = (await git.restore(Path(rig.path), adopted["attic"], folder, checkout=own)).notes
        failpoint("adopt.after-folder")
    value = {
        "path": str(folder),
        "branch": await _branch(parts, bead),
        "base_sha": adopted["base"],
        "base_ref": adopted["base_ref"],
        "target": rig.target,
        "adopted_from": adopted["folder"],
        "begun_in": adopted.get("begun_in"),
        "notes": [f"it began as {adopted['folder']} was", *adopted["notes"], *notes],
    }
    return await _ready(parts, bead, rig, asked, value)


async def _ready(parts: Parts, bead: Bead, rig: Rig, asked: Json, value: Json) -> Effect:
    """The folder is there: what is to run in it, and what is on record of it."""
    rules, generation = await rules_on_target(parts, rig), int(asked.get("generation", 0))
    commands = commands_fact(rules, generation, 0)
    cache = await from_cache(parts, rig, rules, Path(value["path"]), keeps=asked.get("base") is None)
    if cache is not None:
        commands["cache"] = cache

    def note(change: Change) -> None:
        change.put(bead.id, BeadFact.FOLDER, value, "git")
        change.put(bead.id, BeadFact.COMMANDS, commands, "git")
        # What was done in a folder before this one is forgotten.
        change.put(bead.id, BeadFact.SET_UP, set_up_from_cache(cache, generation))
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
    record too. One removal of a folder waits for another, and passes over a bead that is gone."""
    assert intent.bead_id is not None
    async with parts.removals[intent.bead_id]:
        bead = await parts.ledger.read(lambda tx: tx.bead(intent.bead_id) if intent.bead_id else None)
        return Effect() if bead is None else await _removed(parts, intent, bead)


async def _removed(parts: Parts, intent: Intent, bead: Bead) -> Effect:
    rig, fact, begun = await parts.ledger.read(
        lambda tx: (
            rig_of(tx, bead),
            tx.fact(bead.id, BeadFact.FOLDER.value),
            teardown_begun(tx, bead),
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
    # Once a teardown has begun to take the folder apart, it is whole in the entry from before that alone.
    whole = begun["attic"] if begun else kept
    if whole is not None:
        await _note_attic(parts, intent, whole)
    teardown = await tear_down(parts, intent, bead, rig, folder, kept)
    if folder.exists() or folder.is_relative_to(
        parts.home.worktrees
    ):  # a try before may have left some of it
        async with parts.rig_locks[rig.path]:
            await git.set_aside_folder(folder, parts.home.worktrees)
            failpoint("remove.after-folder")

    def note(change: Change) -> None:
        current = change.tx.bead(bead.id)
        if current is None:
            return  # another removal was noted first
        record = bead_as_it_is(change, current)
        change.put(bead.id, BeadFact.FOLDER, None)
        teardown.note(change, bead)
        change.tx.free_slot(str(bead.id))
        change.tell(EventType.FOLDER_REMOVED, bead, attic=teardown.attic, reason=intent.payload["reason"])
        if intent.payload.get("forget"):
            change.touch_queues(bead.rig)
            change.touch_conflicting(bead.id)
            attic = _forget_bead(change, intent, bead, record) or teardown.attic
            change.tell(EventType.BEAD_REMOVED, bead, actor="person", attic=attic, title=bead.title)
            _let_wait_no_more(change, bead)
            if bead.agent_id is not None:
                stopped = change.fact(bead.agent_id, AgentFact.STOPPED) or {}
                if stopped.get("reason") == REMOVED:
                    change.put(bead.agent_id, AgentFact.STOPPED, None)  # it may have other work
            change.touch_waiting()

    async def tidy() -> None:
        parts.sweeper.notify()
        for session in teardown.sessions:
            await forget(parts, session)
        if intent.payload.get("forget") and bead.agent_id is not None:
            agent = await parts.ledger.read(lambda tx: agent_named(tx, bead.agent_id))
            if (
                agent.role is AgentRole.POLECAT
                and await parts.ledger.read(lambda tx: bead_of(tx, agent)) is None
            ):
                environments.forget(parts.home, agent.id)

    return Effect(note, tidy)


def _let_wait_no_more(change: Change, gone: Bead) -> None:
    """Those that waited for it: what had landed is waited for no more, anything else is for a person to decide."""
    for follower in direct_followers(change.tx).get(gone.id, ()):
        bead = change.tx.bead(follower)
        if bead is None:
            continue
        if has_landed(change.tx, gone):
            change.tx.save_bead(with_after(bead, (each for each in after_of(bead) if each != gone.id)))
        elif (waiting := waits_for(change.tx, bead, None)) is not None:
            change.tell(EventType.BEAD_BLOCKED, bead, kind="after", reason=waiting.reason)
        change.touch(follower)


async def _note_attic(parts: Parts, intent: Intent, kept: str) -> None:
    """Let the act know where its work lies before the folder goes: a second try will find no folder any more."""
    if (act := intent.payload.get("act")) is not None:
        await parts.ledger.record(lambda change: change.tx.note_attic(UUID(act), kept))


def _forget_bead(change: Change, intent: Intent, bead: Bead, record: Json) -> str | None:
    """Remove the record; the act's own keeps what that takes away. Where the work lies, if the act knows."""
    word = intent.payload.get("act")
    act = change.tx.destructive_act(UUID(word)) if word else None
    if act is not None:
        change.tx.finish_destructive_act(act.id, change.now, record, act.attic)
    change.tx.remove_bead(bead.id)
    return act.attic if act else None
