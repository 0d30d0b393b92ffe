"""Keeps folders ready whose files are there before a bead wants them: `[worktree] warm` of a repository's trusted file.

What was heard says only that it is time to look, and what is looked at is what lies there: so a folder that was taken,
a target that moved and a setting that went are one case. One folder at a time is written, by a git that leaves the
machine to others. What a killed daemon left half made bears another name, and is cleared away by the next one.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
REST_SECONDS = 2.0
"""An agent whose folder was just prepared is started first, and an agent's every word is not one look."""
LOOK_SECONDS = 60.0
"""So often it is seen whether a person moved a target, and whether there is room again."""
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
        self._signs: dict[tuple[str, str], tuple[object, ...]] = {}
        """Of the targets of repositories that want warm folders: what was seen of them at the last look."""
        self._again = False
        """Whether something is left to be done, for which there was no room or that failed."""
        self._looked = 0.0
        self._told = ""

    async def run(self) -> None:
        """Look at all repositories once, and from then on as soon as something may be different, until cancelled."""
        seq = self._parts.news.last_seq
        await self.look()
        while not self._parts.news.closed:
            with anyio.move_on_after(LOOK_SECONDS if self._signs or self._again else None) as waiting:
                await self._parts.news.wait_beyond(seq)
            if not waiting.cancelled_caught:
                await anyio.sleep(REST_SECONDS)
            until = self._parts.news.last_seq
            if self._is_due() or await self._heard(seq) or await to_thread.run_sync(self._a_target_moved):
                await self.look()
            seq = until

    def _is_due(self) -> bool:
        return self._again and self._parts.awake_seconds() - self._looked >= LOOK_SECONDS

    async def _heard(self, after: int) -> bool:
        return bool(await self._parts.ledger.read(lambda tx: tx.events(after=after, types=WANTED, limit=1)))

    def _a_target_moved(self) -> bool:
        return any(
            git.target_sign(Path(path), target) != sign for (path, target), sign in self._signs.items()
        )

    async def look(self) -> None:
        """Bring every repository's folders to what its file says now."""
        self._signs, self._again, self._looked = {}, False, self._parts.awake_seconds()
        await to_thread.run_sync(self._clear_up)
        there = await to_thread.run_sync(_there, self._root)
        for pool in await self._parts.ledger.read(lambda tx: list(self._pools(tx, there))):
            try:
                await self._look_at(pool)
            except (AtError, OSError) as error:
                self._again = True
                self._tell(f"no warm folder for {pool.rig.path}: {error}")
        for folders in there.values():  # of repositories that are no more
            for folder in folders.values():
                await self._drop(folder)

    def _clear_up(self) -> None:
        """Remove what a killed daemon was making: nobody makes any now."""
        for name in _names(self._root):
            if not name.startswith(".") or git.is_set_aside(name):
                continue
            try:
                git.remove_tree(self._root / name)
            except OSError:  # a git that it left behind writes there still
                self._again = True

    def _pools(self, tx: Tx, there: dict[str, dict[int, Path]]) -> Iterator[_Pool]:
        now, beads = self._parts.now(), tx.beads()
        for rig in tx.rigs():
            folders = there.pop(rig.id.hex[:RIG_DIGITS], {})
            if rig.trusted is not None or folders:  # nothing else costs a process
                yield _Pool(rig, is_in_use(last_use(rig, beads), now), folders)

    async def _look_at(self, pool: _Pool) -> None:
        """What is not trusted, or of no use for now, stays as it is."""
        rig = pool.rig
        rules = await rules_on_target(self._parts, rig)
        if rules.state in ("untrusted", "broken"):
            return
        wanted = rules.settings.worktree.warm
        for number, folder in pool.folders.items():
            if number >= wanted:
                await self._drop(folder)
        if not wanted or not pool.in_use:
            return
        self._signs[rig.path, rig.target] = await to_thread.run_sync(
            git.target_sign, Path(rig.path), rig.target
        )
        base, _ = await look(self._parts, rig)
        aim = await git.aim(Path(rig.path), base.sha, self._parts.ledger.worlds.clock.awake().boot)
        for number in range(wanted):
            await self._make(rig, number, aim)

    async def _make(self, rig: Rig, number: int, aim: git.Aim) -> None:
        folder = self._root / f"{rig.id.hex[:RIG_DIGITS]}-{number}"
        if await to_thread.run_sync(git.is_at, folder, aim):
            return
        if why := await to_thread.run_sync(self._no_room):
            self._again = True
            self._tell(f"no warm folder is made: {why}")
            return
        await git.warm_up(folder, aim)
        self._parts.sweeper.notify()
        self._told = ""

        def tell(change: Change) -> None:
            said = {"rig": rig.path, "base_sha": aim.source.commit, "path": str(folder)}
            change.tell(EventType.FOLDER_WARMED, said=said)

        await self._parts.ledger.record(tell)

    def _no_room(self) -> str:
        total, _, free = self._disk(self._root)
        if is_nearly_full(total, free):
            return "the disk is nearly full"
        if is_short_of_memory(self._memory(), self._parts.clis.config().general.keep_free_mb):
            return "the machine is short of memory"
        return ""

    async def _drop(self, folder: Path) -> None:
        try:
            await git.set_aside_folder(folder, self._root)
        except (AtError, OSError) as error:  # taken just now, perhaps
            self._again = True
            self._tell(f"{folder} could not be set aside: {error}")
        self._parts.sweeper.notify()

    def _tell(self, what: str) -> None:
        """Once, however often it is so."""
        if what != self._told:
            self._told = what
            log.info("%s", what)
