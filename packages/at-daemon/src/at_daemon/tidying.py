"""What is left over: found in the home folder and in repositories, and removed. Decided in `at_agents.tidy`.

Removing begins after what goes was written down, and may be carried out again: what is gone already is passed over.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from anyio import to_thread

from at_agents import tidy
from at_agents.tidy import RefSeen
from at_core.paths import size_of
from at_core.store import DestructiveAct, Tx
from at_core.types import BeadStatus, Rig
from at_core.vocabulary import EventType
from at_daemon import git
from at_daemon.acts.commands import is_command
from at_daemon.failpoints import failpoint
from at_daemon.git.errors import GitError, NotARepository
from at_daemon.ledger import Change
from at_daemon.over import Over, look_over
from at_daemon.parts import Parts
from at_session.session import list_sessions

Json = dict[str, Any]
UNCLEARED = "it was removed, but could not all be cleared away"
_OWNED = {"private", "environment"}
"""Kinds of what an agent may want again."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that may go: a file or folder at `path`, or the ref `ref` of a repository as long as it names `sha`.

    `owner` is the agent that it is of; `rig` of a folder that is kept in that repository's attic first.
    """

    kind: str
    reason: str
    size: int = 0
    path: Path | None = None
    rig: Rig | None = None
    ref: str = ""
    sha: str = ""
    owner: UUID | None = None

    @property
    def key(self) -> str:
        """What a face calls it."""
        return str(self.path) if self.path else f"{self.rig.path if self.rig else ''} {self.ref}"

    def document(self) -> Json:
        """As the API shows it."""
        return {
            "key": self.key,
            "kind": self.kind,
            "path": str(self.path) if self.path else None,
            "repository": self.rig.path if self.rig else None,
            "ref": self.ref or None,
            "sha": self.sha or None,
            "bytes": self.size,
            "reason": self.reason,
        }


async def leftovers(parts: Parts, rig: Rig | None) -> list[Leftover]:
    """All that may go now; of refs and beads' folders, those of one repository if it is named."""
    over = await parts.ledger.read(functools.partial(look_over, parts))
    found = await to_thread.run_sync(lambda: [*_files(parts, over), *lost_folders(parts, over, rig)])
    for each in [rig] if rig else over.rigs:
        try:
            found += _refs(over, each, await git.our_refs(Path(each.path), each.target))
        except NotARepository:
            continue
    return found


async def remove(parts: Parts, wanted: Sequence[Leftover]) -> list[tuple[Leftover, str]]:
    """Remove them; what stayed, with why."""
    if not wanted:
        return []
    await parts.ledger.change(functools.partial(_write_down, wanted=wanted))
    failpoint("tidy.before-first")
    left: list[tuple[Leftover, str]] = []
    for rig in {each.rig.path: each.rig for each in wanted if each.ref and each.rig}.values():
        left += await _remove_refs(parts, rig, [each for each in wanted if each.ref and each.rig == rig])
    failpoint("tidy.after-refs")
    for each in wanted:
        if each.path is not None and (why := await _remove_path(parts, each, each.path)):
            left.append((each, why))
        failpoint("tidy.after-one")
    return left


async def _remove_refs(parts: Parts, rig: Rig, wanted: Sequence[Leftover]) -> list[tuple[Leftover, str]]:
    """Judged once more: what was removed may have been brought back since."""
    async with parts.rig_locks[rig.path]:
        over = await parts.ledger.read(functools.partial(look_over, parts))
        found = {each.ref for each in _refs(over, rig, await git.our_refs(Path(rig.path), rig.target))}
        stay = await git.delete_refs(
            Path(rig.path), [(each.ref, each.sha) for each in wanted if each.ref in found]
        )
    why = dict.fromkeys(stay, "it has moved, or is checked out")
    why |= {each.ref: "it is wanted again, or gone" for each in wanted if each.ref not in found}
    return [(each, why[each.ref]) for each in wanted if each.ref in why]


def _write_down(change: Change, wanted: Sequence[Leftover]) -> None:
    """What goes, with the commit of each ref, which is how a person would have one back."""
    refs = [
        {"repository": each.rig.path, "ref": each.ref, "sha": each.sha}
        for each in wanted
        if each.ref and each.rig
    ]
    paths = [str(each.path) for each in wanted if each.path]
    size = sum(each.size for each in wanted)
    change.tell(EventType.LEFTOVERS_REMOVAL_ASKED, actor="person", refs=refs, paths=paths, bytes=size)


async def _remove_path(parts: Parts, each: Leftover, path: Path) -> str:
    """Why it stays; nothing if it went."""
    try:
        if each.kind == "folder":
            return await _remove_folder(parts, each, path)
        if each.kind == "warm_folder":
            await git.set_aside_folder(path, parts.home.warm)  # nobody takes it while it goes
            parts.sweeper.notify()
            return ""
        if each.kind in _OWNED and not await parts.ledger.read(lambda tx: _is_over(tx, each.owner)):
            return "its agent has work again"
        await to_thread.run_sync(git.remove_tree, path)
    except GitError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _is_over(tx: Tx, agent: UUID | None) -> bool:
    at_work = [bead for bead in tx.beads(status=_NOT_DONE) if bead.agent_id == agent]
    return not at_work and not any(record.agent_id == agent for record in tx.sessions(live=True))


_NOT_DONE = frozenset(BeadStatus) - {BeadStatus.DONE}


async def _remove_folder(parts: Parts, each: Leftover, path: Path) -> str:
    """Keep what is in it in the attic of its repository, unless the product was making or removing it; then remove it."""
    root = parts.home.worktrees
    if each.rig is None:
        await to_thread.run_sync(git.remove_tree, path)
        return ""
    async with parts.rig_locks[each.rig.path]:
        over = await parts.ledger.read(functools.partial(look_over, parts))
        if path.name in over.known_folders or path.name in over.busy_folders:
            return "its work item is there again"
        if path.exists():
            await git.keep(Path(each.rig.path), path, over.id_of_gone(path.name), "nobody knew it any more")
        await git.set_aside_folder(path, root)
        parts.sweeper.notify()
    return ""


def _files(parts: Parts, over: Over) -> Iterator[Leftover]:
    home, before = parts.home, over.before
    for path, agent in _named_by_agent(home.private):
        why = tidy.of_agent(over.agents.get(agent), changed(path), before)
        yield from _found("private", path, why, agent)
    for path, agent in _named_by_agent(home.environments):
        why = tidy.of_agent(over.agents.get(agent), changed(path), before)
        yield from _found("environment", path, why, agent)
    held = set(list_sessions(home.holders))
    for path in _paths(home.journal):
        record = over.sessions.get(path.name)
        if record is not None:
            why = tidy.of_journal(record, path.name in over.newest or path.name in held, before)
        elif is_command(path.name):
            why = tidy.of_command(path.name in over.awaited or path.name in held, changed(path), before)
        else:
            continue
        yield from _found("journal", path, why)
    for path in _paths(home.gates):
        name = path.name.removeprefix(".").removesuffix(".index")
        awaited = not is_command(name) or name in over.awaited or name in held
        yield from _found("gate_folder", path, tidy.of_command(awaited, changed(path), before))
    yield from _warm_folders(home.warm, over, parts.now())
    yield from _logs(home.logs / "worktrees", "setup_log", over, lambda path: path.name[:12])
    yield from _logs(home.logs / "gates", "gate_log", over, lambda path: "")


def _warm_folders(folder: Path, over: Over, now: datetime) -> Iterator[Leftover]:
    """Those that a killed act left are removed by the daemon itself."""
    for path in _paths(folder):
        if git.is_set_aside(path.name):
            yield Leftover("warm_folder", UNCLEARED, size_of(path), path)
        elif not path.name.startswith("."):
            used = over.used.get(path.name.partition("-")[0])
            yield from _found("warm_folder", path, tidy.of_warm_folder(used, over.before, now))


def _logs(folder: Path, kind: str, over: Over, bead_of: Callable[[Path], str]) -> Iterator[Leftover]:
    for path in _paths(folder):
        if path.suffix != ".log":
            continue
        bead = over.known_folders.get(bead_of(path))
        why = tidy.of_log(bead, str(path) in over.evidence, changed(path), over.before)
        yield from _found(kind, path, why)


def _found(kind: str, path: Path, why: str | None, owner: UUID | None = None) -> Iterator[Leftover]:
    if why is not None:
        yield Leftover(kind, why, size_of(path), path, owner=owner)


def lost_folders(parts: Parts, over: Over, rig: Rig | None) -> Iterator[Leftover]:
    """Of beads that nobody knows, and what a killed act of such a bead left. Folders that are no clone of a known
    repository are not ours to judge."""
    for path in _paths(parts.home.worktrees):
        hidden = path.name.startswith(".")
        name = path.name.removeprefix(".").partition(".")[0]
        removed = git.is_set_aside(path.name)
        known = name in over.known_folders and not removed
        busy = name in over.busy_folders and not removed
        why = tidy.of_folder(known, busy, changed(path), over.before)
        if why is None or len(name) != 12:
            continue
        if removed:
            yield Leftover("folder", UNCLEARED, size_of(path), path)
        elif hidden and path.name.removeprefix(f".{name}.").startswith(("at-", "index")):
            yield Leftover("folder", "of an act that was cut off", size_of(path), path)
        elif not hidden and (whose := _repository_of(path, [rig] if rig else over.rigs)) is not None:
            yield Leftover("folder", f"{why}; it is kept in the attic first", size_of(path), path, rig=whose)


def _repository_of(path: Path, rigs: Sequence[Rig]) -> Rig | None:
    for rig in rigs:
        try:
            if git.is_clone_of(path, Path(rig.path)):
                return rig
        except (NotARepository, OSError):
            continue
    return None


def _refs(over: Over, rig: Rig, found: git.OurRefs) -> Iterator[Leftover]:
    for bead, merged in over.landed(rig):
        decide = functools.partial(tidy.of_landed_branch, bead=bead.status, merged=merged, target=rig.target)
        yield from _ref("branch", rig, found, f"refs/heads/{bead.git_branch}", decide)
    for act in over.gone:
        if act.rig != str(rig.id):
            continue
        yield from _refs_of_removed(act, rig, found)


def _refs_of_removed(act: DestructiveAct, rig: Rig, found: git.OurRefs) -> Iterator[Leftover]:
    branch, kept = act.record["bead"].get("git_branch"), str(act.bead_id) in found.kept
    of_removed = functools.partial(tidy.of_removed_bead, target=rig.target)
    yield from _ref("ref", rig, found, f"refs/at/beads/{act.bead_id}", of_removed)
    if branch and branch.startswith("at/"):
        yield from _ref("branch", rig, found, f"refs/heads/{branch}", of_removed)
        of_base = functools.partial(tidy.of_base, kept=kept, target=rig.target)
        yield from _ref("ref", rig, found, git.base_ref(branch), of_base)


def _ref(
    kind: str, rig: Rig, found: git.OurRefs, name: str, decide: Callable[[RefSeen], str | None]
) -> Iterator[Leftover]:
    there = found.refs.get(name)
    if there is None:
        return
    seen = RefSeen(name in found.in_target, name in found.in_attic, there.worktree is not None)
    if (why := decide(seen)) is not None:
        yield Leftover(kind, why, rig=rig, ref=name, sha=there.sha)


def _named_by_agent(folder: Path) -> Iterator[tuple[Path, UUID]]:
    for path in _paths(folder):
        try:
            yield path, UUID(path.name.partition(".")[0])
        except ValueError:
            continue


def _paths(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not (folder / name).is_symlink()]
    except FileNotFoundError:
        return []


def changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)  # it went by itself
