"""The attic: looked at, and restored to where nothing is yet. It works for beads that are long gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from at_core.api import AtticRestoreRequest
from at_core.errors import Ambiguous, NotFound, Refused, UsageError
from at_core.record import format_time
from at_core.store import Tx
from at_core.types import Rig
from at_core.vocabulary import EventType
from at_daemon import git
from at_daemon.edge import Call
from at_daemon.git.errors import NotARepository
from at_daemon.handlers.named import rig_at
from at_daemon.parts import Parts

Json = dict[str, Any]
MOST_LISTED = 50
SHORT_ID = 8
FEWEST_DIGITS = 4
_BEGINNING = datetime.fromtimestamp(0, UTC)
_NO_SIZE = git.AtticSize(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry, the repository that it lies in, and when it was kept, if that is known."""

    rig: Rig
    entry: git.AtticEntry
    at: datetime | None

    @property
    def name(self) -> str:
        """What a person calls it: the beginning of its bead's id, and its number."""
        return f"{self.entry.bead_id[:SHORT_ID]}/{self.number}"

    @property
    def number(self) -> str:
        """Which of its bead's entries it is."""
        return self.entry.ref.rpartition("/")[2]


async def attic(parts: Parts, call: Call) -> Json:
    """All entries of a repository (outside of one, of all of them), newest first."""
    rig, word = await rig_at(parts, call.query["path"]), call.query["bead"]
    found = await _all(parts, rig)
    if word:
        ids = await parts.ledger.read(lambda tx: _ids_called(tx, word))
        found = [kept for kept in found if kept.entry.bead_id in ids or _begins(kept.entry.bead_id, word)]
        if not found:
            raise NotFound("bead in the attic", word, "at attic")
    shown = found[: call.query["limit"] or MOST_LISTED]
    return {"entries": await _documents(parts, shown), "not_shown": len(found) - len(shown)}


async def attic_entry(parts: Parts, call: Call) -> Json:
    """One entry."""
    kept = await _called(parts, call.query["path"], call.query["entry"])
    return {"entry": (await _documents(parts, [kept]))[0]}


async def attic_diff(parts: Parts, call: Call) -> bytes:
    """What it differs in from its bead's base; from the commit that was checked out where that is unknown."""
    kept = await _called(parts, call.query["path"], call.query["entry"])
    rig, entry = Path(kept.rig.path), kept.entry
    base = (await git.base_trees(rig)).get(entry.bead_id[:SHORT_ID], entry.head)
    stat, color = bool(call.query["stat"]), bool(call.query["color"])
    return await git.diff(rig, base, entry.tree, stat=stat, color=color)


async def attic_restore(parts: Parts, call: Call) -> Json:
    """Put an entry into a new folder or onto a new branch; nothing that is there is touched."""
    request: AtticRestoreRequest = call.body
    if (request.to is None) == (request.branch is None):
        raise UsageError("say where to, either a folder or a branch", "at attic restore ENTRY --to FOLDER")
    folder = None if request.to is None else _folder(parts, request.to)
    kept = await _called(parts, request.path, request.entry)
    rig = Path(kept.rig.path)
    async with parts.rig_locks[kept.rig.path]:
        if folder is None:
            restored = await git.restore_branch(rig, kept.entry.ref, str(request.branch))
        else:
            restored = await _into(rig, kept, folder)
    return {
        "entry": (await _documents(parts, [kept]))[0],
        "folder": None if folder is None else str(folder),
        "branch": request.branch,
        "notes": list(restored.notes),
    }


async def _into(rig: Path, kept: Kept, folder: Path) -> git.Restored:
    try:
        return await git.restore(rig, kept.entry.ref, folder, ours=False)
    except OSError as error:
        raise Refused(
            f"{folder} could not be made: {error.strerror or error}", "take another folder"
        ) from None


def _folder(parts: Parts, word: str) -> Path:
    folder = Path(word)
    if not folder.is_absolute() or ".." in folder.parts:
        raise UsageError(f"the path {word!r} is not absolute", "at attic restore ENTRY --to FOLDER")
    if folder.is_relative_to(parts.home.root):
        raise UsageError(f"{word!r} lies in the home folder of at", "take a folder of your own")
    return folder


async def _all(parts: Parts, rig: Rig | None) -> list[Kept]:
    rigs = [rig] if rig else await parts.ledger.read(lambda tx: tx.rigs())
    found: list[Kept] = []
    for each in rigs:
        try:
            entries = await git.attic_entries(Path(each.path))
        except NotARepository:
            if rig is not None:
                raise
            continue
        let_go = await parts.ledger.read(partial(_let_go, entries))
        found += [Kept(each, entry, let_go.get(entry.ref) or _dated(entry)) for entry in entries]
    return sorted(
        _in_order(found), key=lambda kept: (kept.at or _BEGINNING, _as_number(kept.number)), reverse=True
    )


def _in_order(found: Iterable[Kept]) -> Iterator[Kept]:
    """None of a bead's entries is older than those before it: commits know whole seconds only."""
    newest: dict[str, datetime] = {}
    for kept in sorted(found, key=lambda kept: _as_number(kept.number)):
        at = max(kept.at or _BEGINNING, newest.get(kept.entry.bead_id, _BEGINNING))
        newest[kept.entry.bead_id] = at
        yield dataclasses.replace(kept, at=at) if kept.at is not None else kept


def _let_go(entries: Iterable[git.AtticEntry], tx: Tx) -> dict[str, datetime]:
    """When each was collected no more, of those that are commits of agents, in which any date may stand."""
    found: dict[str, datetime] = {}
    gone_of: dict[str, dict[str, datetime]] = {}
    for entry in entries:
        if entry.bead_id not in gone_of:
            gone_of[entry.bead_id] = _heads_gone(tx, entry.bead_id)
        if (at := gone_of[entry.bead_id].get(entry.sha)) is not None:
            found[entry.ref] = at
    return found


def _heads_gone(tx: Tx, bead_id: str) -> dict[str, datetime]:
    """Each head that a bead had, with the moment at which it first had another one."""
    try:
        events = tx.events(limit=None, bead_id=UUID(bead_id), types=[EventType.WORK_COLLECTED])
    except ValueError:
        return {}
    gone: dict[str, datetime] = {}
    for before, after in pairwise(events):
        old, new = (str((event.payload or {}).get("head")) for event in (before, after))
        if old != new:
            gone.setdefault(old, after.created_at)
    return gone


def _dated(entry: git.AtticEntry) -> datetime | None:
    return datetime.fromtimestamp(entry.kept_at, UTC) if entry.kept_at else None


async def _called(parts: Parts, path: str | None, word: str | None) -> Kept:
    """By whole ref, or by a bead's id or a prefix of it, with the number behind a slash where it has several."""
    if not word:
        raise UsageError("which entry is not said", "at attic")
    rig = await rig_at(parts, path)
    found = _matching(await _all(parts, rig), word)
    if not found and rig is not None:
        found = _matching(await _all(parts, None), word)
    if not found:
        raise NotFound("entry of the attic", word, "at attic")
    if len(found) > 1:
        raise Ambiguous("entry of the attic", word, [kept.name for kept in found[:10]])
    return found[0]


def _matching(entries: Iterable[Kept], word: str) -> list[Kept]:
    bead, _, number = word.removeprefix("refs/at/attic/").partition("/")
    return [kept for kept in entries if _begins(kept.entry.bead_id, bead) and number in ("", kept.number)]


def _begins(bead_id: str, word: str) -> bool:
    digits = word.lower().replace("-", "")
    return len(digits) >= FEWEST_DIGITS and bead_id.replace("-", "").startswith(digits)


def _as_number(word: str) -> int:
    return int(word) if word.isdecimal() else 0


def _ids_called(tx: Tx, word: str) -> set[str]:
    """Beads by id or title, those that were removed too."""
    acts = {str(act.bead_id) for act in tx.find_destructive_acts(word)}
    return acts | {str(bead.id) for bead in tx.find_beads(word)}


async def _documents(parts: Parts, kept: list[Kept]) -> list[Json]:
    sizes: dict[tuple[str, str], git.AtticSize] = {}
    for path in {each.rig.path for each in kept}:
        of_rig = [each.entry for each in kept if each.rig.path == path]
        sizes |= {(path, ref): size for ref, size in (await git.attic_sizes(Path(path), of_rig)).items()}
    said = await parts.ledger.read(lambda tx: {each.entry.ref: _title(tx, each.entry) for each in kept})
    return [
        _document(each, *said[each.entry.ref], sizes.get((each.rig.path, each.entry.ref), _NO_SIZE))
        for each in kept
    ]


def _document(kept: Kept, title: str, there: bool, size: git.AtticSize) -> Json:
    entry = kept.entry
    return {
        "entry": kept.name,
        "ref": entry.ref,
        "sha": entry.sha,
        "bead_id": entry.bead_id,
        "title": title,
        "bead_there": there,
        "kept_at": format_time(kept.at) if kept.at else None,
        "reason": entry.reason,
        "files": size.files,
        "insertions": size.insertions,
        "deletions": size.deletions,
        "whole": entry.whole,
        "branch": entry.head_ref.removeprefix("refs/heads/") if entry.head_ref else None,
        "not_kept": list(entry.ignored),
        "notes": list(entry.notes),
        "repository": kept.rig.path,
    }


def _title(tx: Tx, entry: git.AtticEntry) -> tuple[str, bool]:
    """The title of its bead, and whether that is there; of one that is unknown the words of its branch."""
    try:
        bead = tx.bead(UUID(entry.bead_id))
    except ValueError:
        bead = None
    if bead is not None:
        return bead.title, True
    acts = tx.find_destructive_acts(entry.bead_id)
    if acts:
        return acts[0].title, False
    return (entry.head_ref or "").rpartition("/")[2].partition("-")[2].replace("-", " "), False


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "attic": attic,
    "attic_entry": attic_entry,
    "attic_diff": attic_diff,
    "attic_restore": attic_restore,
}
