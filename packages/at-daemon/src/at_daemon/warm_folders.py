"""Keeps folders ready whose files are there before a bead wants them: `[worktree] warm` of a repository's trusted file.

What was heard says only that it is time to look, and what is looked at is what lies there: so a folder that was taken,
a target that moved and a setting that went are one case. One folder at a time is written, by a git that leaves the
machine to others. What a killed daemon left half made bears another name, and is cleared away by the next one.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from uuid import UUID

import anyio
from anyio import to_thread

from at_agents.warm import is_in_use, is_nearly_full, last_use
from at_core.errors import AtError
from at_core.store import Tx
from at_core.types import Rig
from at_core.vocabulary import EventType
from at_daemon import git, memory
from at_daemon.acts.base import look
from at_daemon.acts.set_up import rules_on_target
from at_daemon.admission import is_short_of_memory
from at_daemon.git.checkout_size import checkout_size
from at_daemon.git.errors import NotARepository
from at_daemon.ledger import Change
from at_daemon.parts import Parts

WANTED = tuple(
    event.value
    for event in (
        EventType.RIG_ADDED,
        EventType.RIG_TRUSTED,
        EventType.FOLDER_PREPARED,
        EventType.BEAD_LANDED,
    )
)
ASKED = (EventType.RIG_ADDED.value, EventType.RIG_TRUSTED.value)
"""What failed before is tried again at once."""
REST_SECONDS = 2.0
"""An agent whose folder was just prepared is started first, and an agent's every word is not one look."""
LOOK_SECONDS = 60.0
"""So often it is seen whether a person moved a target, and whether there is room again; so soon what failed is tried again."""
LATEST_RETRY_SECONDS = 3600.0
RIG_DIGITS = 12
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pool:
    """What one repository has: `folders` by number."""

    rig: Rig
    in_use: bool
    folders: dict[int, Path]


def warm_folders(parts: Parts, rig: Rig) -> git.Warm:
    """Those that a bead's folder may be made of."""
    there = _there(parts.home.warm).get(rig.id.hex[:RIG_DIGITS], {})
    return git.Warm(tuple(there.values()), parts.ledger.worlds.clock.awake().boot)


def _there(root: Path) -> dict[str, dict[int, Path]]:
    """All warm folders, by the first digits of their repository's id and by number."""
    found: dict[str, dict[int, Path]] = {}
    for name in _names(root):
        rig, _, number = name.partition("-")
        if len(rig) == RIG_DIGITS and number.isdecimal():
            found.setdefault(rig, {})[int(number)] = root / name
    return found


def _names(root: Path) -> list[str]:
    return os.listdir(root) if root.is_dir() else []


@dataclass(frozen=True, slots=True)
class _Sign:
    """What was seen of a repository's target; no process is started for it."""

    rig: Rig
    seen: tuple[object, ...]

    @classmethod
    def of(cls, rig: Rig) -> _Sign:
        try:
            return cls(rig, git.target_sign(Path(rig.path), rig.target))
        except OSError:  # a folder that may not be read
            return cls(rig, ())

    def has_changed(self) -> bool:
        return _Sign.of(self.rig).seen != self.seen


@dataclass(frozen=True, slots=True)
class _PutOff:
    """What is left to be done: as soon as there is `room` for so many bytes, else at `due` of the clock that stands still
    in sleep, each time after twice as many `seconds`."""

    due: float = inf
    seconds: float = 0.0
    room: int | None = None


class WarmFolders:
    """Looks after the warm folders of all repositories."""

    def __init__(
        self,
        parts: Parts,
        disk: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage,
        memory: Callable[[], memory.Memory] = memory.look,
    ) -> None:
        self._parts = parts
        self._root = parts.home.warm
        self._disk = disk
        self._memory = memory
        self._signs: dict[UUID, _Sign] = {}
        """Of repositories that want warm folders, or that something went wrong with."""
        self._put_off: dict[UUID | None, _PutOff] = {}
        """Repositories for which something is left to be done; None is what is of none."""
        self._told = ""

    async def run(self) -> None:
        """Look at all repositories once, and from then on as soon as something may be different, until cancelled."""
        seq = self._parts.news.last_seq
        await self.look()
        while not self._parts.news.closed:
            with anyio.move_on_after(LOOK_SECONDS if self._signs or self._put_off else None) as waiting:
                await self._parts.news.wait_beyond(seq)
            if not waiting.cancelled_caught:
                await anyio.sleep(REST_SECONDS)
            until = self._parts.news.last_seq
            if await self._heard(seq, ASKED):
                await self.look()
            elif await self._heard(seq, WANTED):
                await self.look(lambda rig: rig not in self._put_off or self._is_due(rig))
            else:
                await self.look_at_due()
            seq = until

    async def _heard(self, after: int, types: Collection[str]) -> bool:
        return bool(await self._parts.ledger.read(lambda tx: tx.events(after=after, types=types, limit=1)))

    async def look_at_due(self) -> None:
        """Look where the target moved, where there is room again, and where what failed is tried again: no process else."""
        due = await to_thread.run_sync(
            lambda: {*filter(self._is_due, {*self._signs.keys(), *self._put_off.keys()})}
        )
        if due:
            await self.look(lambda rig: rig in due)

    def _is_due(self, rig: UUID | None) -> bool:
        sign, put_off = self._signs.get(rig) if rig else None, self._put_off.get(rig)
        if sign is not None and sign.has_changed():
            return True
        if put_off is None:
            return False
        if put_off.room is not None:
            try:
                return not self._lacks_room(put_off.room)
            except OSError:  # told by the look
                return True
        return self._parts.awake_seconds() >= put_off.due

    async def look(self, wanted: Callable[[UUID], bool] = lambda rig: True) -> None:
        """Bring the folders of every repository that is wanted to what its file says now."""
        before = self._put_off.pop(None, None)
        await to_thread.run_sync(self._clear_up, before)
        there = await to_thread.run_sync(_there, self._root)
        pools = await self._parts.ledger.read(lambda tx: list(self._pools(tx, there)))
        known = {pool.rig.id for pool in pools}
        self._signs = {rig: sign for rig, sign in self._signs.items() if rig in known}
        self._put_off = {rig: why for rig, why in self._put_off.items() if rig is None or rig in known}
        for pool in await to_thread.run_sync(lambda: [each for each in pools if wanted(each.rig.id)]):
            await self._try(pool)
        for folders in there.values():  # of repositories that are no more
            for folder in folders.values():
                await self._drop(folder, None, before)

    async def _try(self, pool: _Pool) -> None:
        rig = pool.rig
        before = self._put_off.pop(rig.id, None)
        sign = await to_thread.run_sync(_Sign.of, rig)
        if self._signs.pop(rig.id, sign) != sign:
            before = None
        try:
            if await self._look_at(pool, before):
                self._signs[rig.id] = sign
        except (AtError, OSError) as error:
            self._signs[rig.id] = sign
            gone = isinstance(error, NotARepository)
            self._put_off[rig.id] = _PutOff() if gone else self._later(before)
            self._tell(f"no warm folder for {rig.path}: {error}")

    def _later(self, before: _PutOff | None) -> _PutOff:
        seconds = min(2 * before.seconds, LATEST_RETRY_SECONDS) if before and before.seconds else LOOK_SECONDS
        return _PutOff(self._parts.awake_seconds() + seconds, seconds)

    def _clear_up(self, before: _PutOff | None) -> None:
        """Remove what a killed daemon was making: nobody makes any now."""
        for name in _names(self._root):
            if not name.startswith(".") or git.is_set_aside(name):
                continue
            try:
                git.remove_tree(self._root / name)
            except OSError:  # a git that it left behind writes there still
                self._put_off[None] = self._later(before)

    def _pools(self, tx: Tx, there: dict[str, dict[int, Path]]) -> Iterator[_Pool]:
        now, beads = self._parts.now(), tx.beads()
        for rig in tx.rigs():
            folders = there.pop(rig.id.hex[:RIG_DIGITS], {})
            if rig.trusted is not None or folders:  # nothing else costs a process
                yield _Pool(rig, is_in_use(last_use(rig, beads), now), folders)

    async def _look_at(self, pool: _Pool, before: _PutOff | None) -> bool:
        """Whether it wants warm folders now. What is not trusted, or of no use for now, stays as it is."""
        rig = pool.rig
        rules = await rules_on_target(self._parts, rig)
        if rules.state in ("untrusted", "broken"):
            return False
        wanted = rules.settings.worktree.warm
        for number, folder in pool.folders.items():
            if number >= wanted:
                await self._drop(folder, rig.id, before)
        if not wanted or not pool.in_use:
            return False
        base, _ = await look(self._parts, rig)
        aim = await git.aim(Path(rig.path), base.sha, self._parts.ledger.worlds.clock.awake().boot)
        lacking: list[int] = []
        whole: int | None = None
        for folder in (self._root / f"{rig.id.hex[:RIG_DIGITS]}-{number}" for number in range(wanted)):
            if await to_thread.run_sync(git.is_at, folder, aim):
                continue
            size = await git.renewal_size(folder, aim)
            renews = size is not None
            if size is None:
                size = whole = whole if whole is not None else await checkout_size(Path(rig.path))
            if why := await to_thread.run_sync(self._lacks_room, size):
                if not renews:  # of no use to the next bead, and its room may be what lacks
                    await self._drop(folder, rig.id, before)
                lacking.append(size)
                self._tell(f"no warm folder is made: {why}")
                continue  # others may be renewed still, or give back their room
            await self._make(rig, folder, aim)
        if lacking:
            self._put_off[rig.id] = _PutOff(room=min(lacking))
        return True

    async def _make(self, rig: Rig, folder: Path, aim: git.Aim) -> None:
        await git.warm_up(folder, aim)
        self._parts.sweeper.notify()
        self._told = ""

        def tell(change: Change) -> None:
            said = {"rig": rig.path, "base_sha": aim.source.commit, "path": str(folder)}
            change.tell(EventType.FOLDER_WARMED, said=said)

        await self._parts.ledger.record(tell)

    def _lacks_room(self, size: int) -> str:
        """Why so many bytes more are too many, or there is no memory for what writes them."""
        total, _, free = self._disk(self._root)
        if is_nearly_full(total, free - size):
            return "the disk is nearly full" if is_nearly_full(total, free) else "it would fill the disk"
        if is_short_of_memory(self._memory(), self._parts.clis.config().general.keep_free_mb):
            return "the machine is short of memory"
        return ""

    async def _drop(self, folder: Path, rig: UUID | None, before: _PutOff | None) -> None:
        try:
            await git.set_aside_folder(folder, self._root)
        except (AtError, OSError) as error:  # taken just now, perhaps
            self._put_off[rig] = self._later(before)
            self._tell(f"{folder} could not be set aside: {error}")
        self._parts.sweeper.notify()

    def _tell(self, what: str) -> None:
        """Once, however often it is so."""
        if what != self._told:
            self._told = what
            log.info("%s", what)
