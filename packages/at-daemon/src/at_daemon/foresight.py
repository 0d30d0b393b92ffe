"""Which works would conflict, told while they are still at work: looked at anew whenever one of them has new commits.

What was heard only says that it is time to look. What is looked at is each work whose newest commit is another than the
one that was compared, so nothing is missed whatever was not heard, and a review that waits for it is asked in the end.
A clone is asked for its commit by its files; git is started for those that have another one, once for each, and once
for all where their target moved.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio

from at_core.errors import AtError
from at_core.store import Tx
from at_core.types import Bead, BeadStatus
from at_core.vocabulary import BeadFact, EventType, RigFact
from at_daemon import git
from at_daemon.git.overlap import Tip, overlaps, read_tips
from at_daemon.ledger import Change
from at_daemon.overlaps import Compared, Overlaps, Paths, overlaps_of
from at_daemon.parts import Parts
from at_daemon.waiting import IN_PROGRESS

WANTED = tuple(
    event.value
    for event in (
        EventType.FOLDER_PREPARED,
        EventType.TOOL_ENDED,
        EventType.TURN_ENDED,
        EventType.WORK_COLLECTED,
        EventType.BEAD_LANDED,
        EventType.BEAD_SENT_BACK,
        EventType.BEAD_FAILED,
        EventType.BEAD_RETRIED,
        EventType.BEAD_REMOVED,
        EventType.BEAD_RESTORED,
    )
)
AT_ONCE = (EventType.WORK_COLLECTED.value,)
"""What a person is asked to review waits for it."""
REST_SECONDS = 0.5
"""Anything else that happens within so long is looked at together."""
SOONEST_RETRY_SECONDS = 60.0
LATEST_RETRY_SECONDS = 3600.0
"""What could not be compared is tried again, each time after twice as long."""
MOST_TOLD = 20
"""Paths that an event names."""
TARGET = "target"
"""What an event names in place of a bead."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkInProgress:
    """A bead with commits: the newest is `head`, which may lie in its clone only."""

    id: UUID
    head: str
    folder: Path
    target: str

    @property
    def tip(self) -> Tip:
        """As git is told of it."""
        return Tip(self.head, self.folder)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository with what is known of its works, and the folders that may have got further."""

    id: str
    top: Path
    known: Overlaps
    folders: Sequence[_WorkFolder]


@dataclass(frozen=True, slots=True)
class _WorkFolder:
    """The clone of a bead in progress. `handed_in` is the commit that is to be reviewed."""

    bead: UUID
    path: Path
    base: str
    target: str
    handed_in: str | None


class Foresight:
    """Keeps `RigFact.OVERLAPS` of every repository."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Look at all works once, and from then on as soon as one may have got further, until cancelled."""
        seq, retry_after = self._parts.news.last_seq, SOONEST_RETRY_SECONDS
        due = self._due(await self.look(again=True), retry_after)
        while not self._parts.news.closed:
            with anyio.move_on_after(due - self._parts.awake_seconds()):
                await self._parts.news.wait_beyond(seq)
            if self._parts.awake_seconds() >= due:
                settled = await self.look(again=True)
                retry_after = SOONEST_RETRY_SECONDS if settled else min(2 * retry_after, LATEST_RETRY_SECONDS)
                due = self._due(settled, retry_after)
                continue
            if not await self._heard(seq, AT_ONCE):
                await anyio.sleep(REST_SECONDS)
            until = self._parts.news.last_seq
            if await self._heard(seq, WANTED):
                due = min(due, self._due(await self.look(), retry_after))
            seq = until

    def _due(self, settled: bool, retry_after: float) -> float:
        """When what could not be compared is tried again, by the clock that stands still in sleep."""
        return inf if settled else self._parts.awake_seconds() + retry_after

    async def _heard(self, after: int, types: Collection[str]) -> bool:
        return bool(await self._parts.ledger.read(lambda tx: tx.events(after=after, types=types, limit=1)))

    async def look(self, *, again: bool = False) -> bool:
        """Compare all works that have got further. False where one could not be compared.

        `again`: also those that could not be compared before, and the targets, whoever moved them.
        """
        settled = True
        for repository in await self._parts.ledger.read(_repositories):
            comparison = _Comparison(self._parts, repository, await _works(repository), again)
            settled &= await comparison.make()
        return settled


class _Comparison:
    """One look at the works of a repository."""

    def __init__(
        self, parts: Parts, repository: _Repository, works: Sequence[WorkInProgress], again: bool
    ) -> None:
        self._parts = parts
        self._rig = repository.id
        self._top = repository.top
        self._scratch = parts.home.scratch / "overlap"
        self._known = repository.known
        self._works = works
        self._again = again

    async def make(self) -> bool:
        """Compare what has to be; then forget the works that are gone, which their target may have by now."""
        there = {work.id for work in self._works}
        gone = self._known.works.keys() - {*map(str, there)}
        for target in dict.fromkeys(work.target for work in self._works):
            group = [work for work in self._works if work.target == target]
            further = [work for work in group if self._has_got_further(work)]
            if further or gone or self._again:
                await self._compare(group, further, target)
        if gone:
            await self._keep((), lambda known: known.only(there))
        return all(seen.is_complete for seen in self._known.works.values())

    def _has_got_further(self, work: WorkInProgress) -> bool:
        seen = self._known.of(work.id)
        return seen is None or seen.head != work.head or (self._again and not seen.is_complete)

    def _is_known(self, work: WorkInProgress) -> bool:
        seen = self._known.of(work.id)
        return seen is not None and seen.head == work.head

    async def _compare(
        self, group: Sequence[WorkInProgress], further: Sequence[WorkInProgress], target: str
    ) -> None:
        """Those that have got further with all others of the same target, and all with the target if it moved."""
        ref = f"refs/heads/{target}"
        try:
            at = await git.resolve(self._top, ref)
        except (AtError, OSError) as error:
            await self._give_up(group, error)
            return
        behind = [work for work in group if work not in further and self._is_behind(work, at)]
        if behind:
            await self._try(behind, partial(self._compare_target, behind, at, ref))
        for work in further:
            await self._try([work], partial(self._compare_work, work, group, at, ref))

    def _is_behind(self, work: WorkInProgress, at: str) -> bool:
        seen = self._known.of(work.id)
        return seen is not None and seen.target not in (at, None)

    async def _try(self, works: Sequence[WorkInProgress], act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (AtError, OSError) as error:  # a folder that goes meanwhile, a git that is too old
            await self._give_up(works, error)

    async def _compare_target(self, works: Sequence[WorkInProgress], at: str, ref: str) -> None:
        found = await overlaps(self._top, Tip(at), [work.tip for work in works], ref, self._scratch)
        seen = {
            work.id: before if paths is None else replace(before, target=at, paths=paths)
            for work, before, paths in zip(works, map(self._as_before, works), found, strict=True)
        }
        await self._keep(seen, lambda known: known.compared(seen))

    async def _compare_work(
        self, work: WorkInProgress, group: Sequence[WorkInProgress], at: str, ref: str
    ) -> None:
        """With those that are known as far as they have got: of two that are not, the later one meets the first."""
        others = [each for each in group if each is not work and self._is_known(each)]
        met = [Tip(at), *(each.tip for each in others)]
        with_target, *with_others = await overlaps(self._top, work.tip, met, ref, self._scratch)
        pairs = {each.id: paths for each, paths in zip(others, with_others, strict=True) if paths is not None}
        if with_target is None:
            seen = {work.id: self._as_before(work)}
        else:
            seen = {work.id: Compared(work.head, at, with_target, open_pairs=None in with_others)}
        never_met = self._known.met(work.id).keys() - {each.id for each in group}
        pairs |= dict.fromkeys(never_met, ())
        await self._keep(seen, lambda known: known.compared(seen).paired(work.id, pairs))

    def _as_before(self, work: WorkInProgress) -> Compared:
        """What was known is the best that there is, and nobody waits for more."""
        before = self._known.of(work.id) or Compared(work.head)
        return replace(before, head=work.head, target=None)

    async def _give_up(self, works: Sequence[WorkInProgress], error: Exception) -> None:
        for work in works:
            log.info("no forecast for %s: %s", str(work.id)[:8], error)
        seen = {work.id: self._as_before(work) for work in works}
        await self._keep(seen, lambda known: known.compared(seen))

    async def _keep(self, beads: Collection[UUID], make: Callable[[Overlaps], Overlaps]) -> None:
        self._known = await self._parts.ledger.record(partial(_keep, self._rig, beads, make))


def _keep(
    rig: str, beads: Collection[UUID], make: Callable[[Overlaps], Overlaps], change: Change
) -> Overlaps:
    """Keep what is known now; a conflict that is new is told of the bead that was compared."""
    before = overlaps_of(change.tx, rig)
    now = make(before)
    if now == before:
        return now
    change.put(UUID(rig), RigFact.OVERLAPS, now.to_json(), "git")
    change.beads.update(beads, *(before.conflicts ^ now.conflicts))
    for bead in filter(None, map(change.tx.bead, beads)):
        for met, paths in _new(before, now, bead.id).items():
            said = {"with": met, "paths": list(paths[:MOST_TOLD])}
            change.tell(EventType.OVERLAP_FORESEEN, bead, said=said)
    return now


def _new(before: Overlaps, now: Overlaps, bead: UUID) -> dict[str, Paths]:
    known, last, seen = before.met(bead), before.of(bead), now.of(bead)
    found = {str(met): paths for met, paths in now.met(bead).items() if met not in known}
    if seen is not None and seen.paths and not (last is not None and last.paths):
        found[TARGET] = seen.paths
    return found


async def _works(repository: _Repository) -> list[WorkInProgress]:
    """Those that have commits."""
    at_work = [folder for folder in repository.folders if folder.handed_in is None]
    tips = dict(zip(at_work, await read_tips(folder.path for folder in at_work), strict=True))
    found: list[WorkInProgress] = []
    for folder in repository.folders:
        head = folder.handed_in or tips[folder]
        if head is not None and (folder.handed_in or head != folder.base):
            found.append(WorkInProgress(folder.bead, head, folder.path, folder.target))
    return found


def _repositories(tx: Tx) -> list[_Repository]:
    """Those with beads in progress that have a folder, and those of which something is known."""
    folders: dict[str, list[_WorkFolder]] = {}
    for bead in tx.beads(status=IN_PROGRESS):
        fact = tx.fact(bead.id, BeadFact.FOLDER.value)
        if fact is not None and bead.rig is not None:
            folders.setdefault(bead.rig, []).append(_folder(tx, bead, fact.value))
    return [
        _Repository(str(rig.id), Path(rig.path), overlaps_of(tx, str(rig.id)), folders.get(str(rig.id), ()))
        for rig in tx.rigs()
    ]


def _folder(tx: Tx, bead: Bead, value: Mapping[str, Any]) -> _WorkFolder:
    branch = tx.fact(bead.id, BeadFact.BRANCH.value) if bead.status is BeadStatus.REVIEW else None
    return _WorkFolder(
        bead=bead.id,
        path=Path(value["path"]),
        base=value["base_sha"],
        target=value["target"],
        handed_in=branch.value["head"] if branch is not None else None,
    )


def overlaps_document(tx: Tx, bead: Bead) -> list[dict[str, Any]]:
    """[{bead, title, target, paths}]: what the bead would conflict with as far as both have got, `bead` or `target`."""
    if bead.status not in IN_PROGRESS:
        return []
    known = overlaps_of(tx, bead.rig)
    found: list[dict[str, Any]] = []
    seen = known.of(bead.id)
    if seen is not None and seen.paths:
        folder = tx.fact(bead.id, BeadFact.FOLDER.value)
        target = folder.value["target"] if folder is not None else None
        found.append({"bead": None, "title": None, "target": target, "paths": list(seen.paths)})
    for met, paths in known.met(bead.id).items():
        other = tx.bead(met)
        if other is not None and other.status in IN_PROGRESS:
            found.append({"bead": str(met), "title": other.title, "target": None, "paths": list(paths)})
    return found
