"""The merge: a commit made aside whose gates passed, then the target moved by compare-and-set."""

from __future__ import annotations

from pathlib import Path

from at_core.text import MAX_TITLE, one_line
from at_core.types import Bead, Intent, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import git
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change
from at_daemon.parts import Parts, bead_named, rig_of


async def land(parts: Parts, intent: Intent) -> Effect:
    """Move the target to the merge, or say what is in the way. Carried out again it finds what it did."""
    bead, rig, folder, agent = await parts.ledger.read(
        lambda tx: (
            (b := bead_named(tx, intent.bead_id)),
            rig_of(tx, b),
            tx.fact(b.id, BeadFact.FOLDER.value),
            tx.agent(b.agent_id) if b.agent_id else None,
        )
    )
    target = folder.value["target"] if folder else rig.target
    rig_path, wanted = Path(rig.path), intent.payload
    subject = git.with_trailers(
        f"Merge bead {str(bead.id)[:8]}: {one_line(bead.title, MAX_TITLE)}",
        {"Bead": str(bead.id), "Agent": agent.name if agent else "none"},
    )
    async with parts.rig_locks[rig.path]:
        failpoint("land.before-merge")
        date = int(intent.created_at.timestamp())
        merge = await git.make_merge(
            rig_path, wanted["head"], wanted["target"], wanted["tree"], subject, date=date
        )
        result = await git.land(rig_path, merge, target, wanted["target"], bead_id=str(bead.id))
        failpoint("land.after-merge")
        if isinstance(result, git.Waits) and result.reason is git.WaitReason.TARGET_MOVED:
            return await _moved(rig_path, bead, rig, target, merge, intent)
    if isinstance(result, git.Waits):
        return Effect(lambda change: _waits(change, bead, result))
    return Effect(lambda change: _landed(change, bead, rig, target, merge, intent))


async def _moved(rig_path: Path, bead: Bead, rig: Rig, target: str, merge: str, intent: Intent) -> Effect:
    """The target is not what it was: perhaps because an earlier try of this very act moved it."""
    now = await git.try_merge(rig_path, intent.payload["head"], f"refs/heads/{target}")
    if now.contained:
        return Effect(lambda change: _landed(change, bead, rig, target, merge, intent))
    return Effect(lambda change: change.look_again(rig.id, "the target moved"))


def _landed(change: Change, bead: Bead, rig: Rig, target: str, merge: str, intent: Intent) -> None:
    value = {
        "merge": merge,
        "head": intent.payload["head"],
        "target": target,
        "tree": intent.payload["tree"],
        "by": intent.payload["by"],
    }
    change.put(bead.id, BeadFact.MERGED, value, "git")
    change.look_again(rig.id, f"{str(bead.id)[:8]} landed on {target}")


def _waits(change: Change, bead: Bead, waits: git.Waits) -> None:
    paths = ", ".join(waits.paths[:5])
    reason = waits.sentence + (f": {paths}" if paths else "")
    blocked = {"kind": "checkout", "reason": reason, "hint": f"at land {str(bead.id)[:8]}"}
    change.put(bead.id, BeadFact.BLOCKED, blocked, "git")
    change.tell(EventType.BEAD_LANDING_WAITS, bead, reason=reason, paths=list(waits.paths))
