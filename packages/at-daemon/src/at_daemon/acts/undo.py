"""A removed bead had back: its folder out of the attic, then its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from at_core.errors import NotFound, Refused
from at_core.store import DestructiveAct, Tx
from at_core.types import Bead, Intent, Rig
from at_daemon import git
from at_daemon.destructive import take_back
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.git.errors import RevisionMissing
from at_daemon.ledger import Change
from at_daemon.parts import Parts, rig_of


async def restore(parts: Parts, intent: Intent) -> Effect:
    """Put folder and bead back. Carried out again it finds the folder that it made."""
    act, bead, rig = await parts.ledger.read(lambda tx: _removal(tx, intent))
    if act.undone_at is not None:
        return Effect()
    notes: tuple[str, ...] = ()
    fact = act.record.get("folder")
    if fact is not None and act.attic is not None:
        folder = parts.folder(bead)
        async with parts.rig_locks[rig.path]:
            if git.restored_from(folder) != act.attic:
                notes = await _restore_folder(Path(rig.path), act.attic, folder)
            failpoint("restore.after-folder")
        fact = {**fact, "path": str(folder), "notes": [*fact.get("notes", ()), *notes]}
    elif fact is not None:
        fact = None  # it was gone before the bead was removed

    def note(change: Change) -> None:
        take_back(change, parts.ledger.worlds, act, fact)

    return Effect(note)


async def _restore_folder(rig: Path, attic: str, folder: Path) -> tuple[str, ...]:
    try:
        return (await git.restore(rig, attic, folder)).notes
    except RevisionMissing:
        raise Refused(
            f"what was kept on {attic} is no longer in {rig}", "git fsck --lost-found in the repository"
        ) from None


def _removal(tx: Tx, intent: Intent) -> tuple[DestructiveAct, Bead, Rig]:
    act = tx.destructive_act(UUID(str(intent.payload["act"])))
    if act is None:
        raise NotFound("destructive act", str(intent.payload["act"]), "at undo --list")
    record: dict[str, Any] = act.record["bead"]
    bead = Bead.from_json(record)
    return act, bead, rig_of(tx, bead)
