"""Moving the target branch to a merge commit: by compare-and-set, and where the person has it checked out, with their
working tree, without touching a change of theirs.

Where the target is checked out, the order is: lock on the git folder (flock, kept by children) → record in
`<git folder>/at-landing/` → the person's `index.lock` → ref locked and compared (`update-ref` prepared, not yet
committed) → files written through a copy of the index → ref committed → copy put in place of the index → record
removed. While `index.lock` is held no git command of the person can build on a half-written state. `index.lock` is a
hard link to a file in the record, so that ours is told from theirs by its inode.

Killed at any instant, the record says from where to where, and the ref says which of both is true. `land` executed
again first settles: files are brought to the commit that the ref names, then it lands as if nothing had happened.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import Process

from at_daemon.git.checkout import Blocked, PathChange, changes_between, obstacles, renew, settle
from at_daemon.git.errors import GitFailed, NotARepository, RevisionMissing
from at_daemon.git.inspect import operation_in
from at_daemon.git.landing_record import LandingRecord, Locked
from at_daemon.git.locks import held
from at_daemon.git.merge import is_ancestor
from at_daemon.git.names import checked_branch, checked_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.refs import Move, Ref, read_refs, transaction
from at_daemon.git.run import SHORT, Git


class WaitReason(StrEnum):
    """Why a landing waits. Only the first needs a new merge; the others pass when the person acts."""

    TARGET_MOVED = "target_moved"
    OPERATION = "operation_in_progress"
    INDEX_LOCKED = "index_locked"
    REF_LOCKED = "ref_locked"
    CHANGES = "changes_in_the_way"
    UNTRACKED = "untracked_in_the_way"
    WORKTREE_MISSING = "worktree_missing"
    SEVERAL_WORKTREES = "several_worktrees"


_SENTENCES = {
    WaitReason.TARGET_MOVED: "the target branch has moved on",
    WaitReason.OPERATION: "a merge, rebase or similar is under way in your checkout",
    WaitReason.INDEX_LOCKED: "another git process works in your checkout, or one left its lock",
    WaitReason.REF_LOCKED: "another git process holds the target branch, or one left its lock",
    WaitReason.CHANGES: "uncommitted changes of yours are in the way",
    WaitReason.UNTRACKED: "untracked files of yours would be overwritten",
    WaitReason.WORKTREE_MISSING: "the target is checked out in a folder that is not there",
    WaitReason.SEVERAL_WORKTREES: "the target is checked out in several folders",
}


@dataclass(frozen=True)
class Landed:
    """The target branch has the merge. `already`: it had it before this call. `worktree`: the one brought along."""

    sha: str
    already: bool
    worktree: Path | None


@dataclass(frozen=True)
class Waits:
    """Nothing was changed. `paths` are relative to `worktree` for files in the way, else absolute."""

    reason: WaitReason
    paths: tuple[str, ...] = ()
    worktree: Path | None = None

    @property
    def sentence(self) -> str:
        """The reason as a person reads it, without the paths."""
        return _SENTENCES[self.reason]


async def land(
    rig: Path, merge_sha: str, target_branch: str, expected_sha: str, *, bead_id: str = ""
) -> Landed | Waits:
    """Move `target_branch` from `expected_sha` to `merge_sha` (a descendant of it).

    Executing it twice lands once. The reflog entry names the bead. Raises `RevisionMissing` if the branch does not
    exist, `GitFailed` for what git refuses beyond the reasons of `Waits`.
    """
    place = locate(rig)
    name = f"refs/heads/{checked_branch(target_branch)}"
    checked_sha(merge_sha)
    checked_sha(expected_sha)
    ref = (await read_refs(place.git, name)).get(name)
    if ref is None:
        raise RevisionMissing(rig, target_branch)
    reason = f"at: land bead {bead_id}".strip()
    if waits := await to_thread.run_sync(_in_use_elsewhere, place, name):
        return waits
    if ref.worktree is None:
        return await _land_ref(place.git, ref, merge_sha, expected_sha, reason)
    try:
        tree = locate(ref.worktree)
    except NotARepository:
        return Waits(WaitReason.WORKTREE_MISSING, (str(ref.worktree),))
    async with held(tree.git_dir) as descriptor:
        # Read before the lock was had; if it moved since, the transaction of the ref finds out.
        landing = _Landing(tree, name, merge_sha, expected_sha, reason, descriptor)
        return await _land_checked_out(landing, ref.sha)


def _in_use_elsewhere(place: Place, name: str) -> Waits | None:
    """A rebase of the target detaches HEAD, so only its own files tell; and one branch may be checked out twice."""
    linked = place.common_dir / "worktrees"
    folders = [place.common_dir, *(sorted(linked.iterdir()) if linked.is_dir() else [])]
    for folder in folders:
        for state in ("rebase-merge/head-name", "rebase-apply/head-name"):
            if _text(folder / state) == name:
                return Waits(WaitReason.OPERATION, (str(folder),))
    on_it = [folder for folder in folders[1:] if _text(folder / "HEAD") == f"ref: {name}"]
    if place.common_dir.name == ".git" and _text(place.common_dir / "HEAD") == f"ref: {name}":
        on_it.append(place.common_dir)
    if len(on_it) > 1:
        return Waits(WaitReason.SEVERAL_WORKTREES, tuple(map(str, on_it)))
    return None


def _text(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes()).strip()
    except OSError:
        return ""


async def _land_ref(git: Git, ref: Ref, merge: str, expected: str, reason: str) -> Landed | Waits:
    if ref.sha != expected:
        return await _moved(git, ref.sha, merge)
    async with _prepared(git, Move(ref.name, merge, expected), reason) as transaction_:
        if isinstance(transaction_, Waits):
            return transaction_
        await transaction_.commit()
    return Landed(merge, False, None)


async def _moved(git: Git, current: str, merge: str) -> Landed | Waits:
    if current == merge or await is_ancestor(git, merge, current):
        return Landed(current, True, None)
    return Waits(WaitReason.TARGET_MOVED)


@dataclass(frozen=True)
class _Landing:
    """One landing into a working tree whose git folder is locked by `descriptor`."""

    tree: Place
    name: str
    merge: str
    expected: str
    reason: str
    descriptor: int

    @property
    def git(self) -> Git:
        """Git on the working tree through a copy of its index; the person's own cache settings stay as they are."""
        return Git(
            git_dir=self.tree.git_dir,
            work_tree=self.tree.top,
            index=self.record.index,
            config={"core.untrackedCache": "keep"},
            cwd=self.tree.top,
            reads_only=False,
            pass_fds=(self.descriptor,),
        )

    @property
    def plain_git(self) -> Git:
        """Git on refs and objects alone."""
        return self.tree.git.having(pass_fds=(self.descriptor,))

    @property
    def record(self) -> LandingRecord:
        return LandingRecord(self.tree.git_dir)


async def _land_checked_out(landing: _Landing, current: str) -> Landed | Waits:
    if await to_thread.run_sync(landing.record.read):
        waits = await _settle_last(landing)
        if waits:
            return waits
    if current != landing.expected:
        return await _moved(landing.tree.git, current, landing.merge)
    if operation_in(landing.tree.git_dir):
        return Waits(WaitReason.OPERATION, (), landing.tree.top)
    changes = await changes_between(landing.tree.git, landing.expected, landing.merge)
    in_the_way = await to_thread.run_sync(obstacles, landing.tree.top, changes)
    if in_the_way:
        return Waits(WaitReason.UNTRACKED, in_the_way, landing.tree.top)
    try:
        await to_thread.run_sync(landing.record.begin, landing.name, landing.expected, landing.merge)
    except Locked as locked:
        return Waits(WaitReason.INDEX_LOCKED, (str(locked.path),), landing.tree.top)
    written = False
    try:
        result = await _write(landing, changes)
        written = True
    finally:
        if not written:
            # Cancelled, a full disk, a failing filter: the person's files are put right at once, not at the next try.
            with anyio.CancelScope(shield=True):
                await _settle_last(landing)
    return result


async def _write(landing: _Landing, changes: list[PathChange]) -> Landed | Waits:
    move = Move(landing.name, landing.merge, landing.expected)
    async with _prepared(landing.plain_git, move, landing.reason) as transaction_:
        if isinstance(transaction_, Waits):
            await to_thread.run_sync(landing.record.abort)
            return transaction_
        try:
            await renew(landing.git, landing.expected, landing.merge, changes)
        except Blocked as blocked:
            await to_thread.run_sync(landing.record.abort)
            return Waits(WaitReason.CHANGES, blocked.paths, landing.tree.top)
        await transaction_.commit()
    await to_thread.run_sync(landing.record.finish)
    return Landed(landing.merge, False, landing.tree.top)


async def _settle_last(landing: _Landing) -> Waits | None:
    """Finish or take back what a killed landing left in this working tree."""
    last = await to_thread.run_sync(landing.record.read)
    if last is None:
        return None
    try:
        locked = await to_thread.run_sync(landing.record.resume)
    except Locked as foreign:
        return Waits(WaitReason.INDEX_LOCKED, (str(foreign.path),), landing.tree.top)
    if not locked:
        # Killed before it had the lock, or after the last step: no file is half-written.
        await to_thread.run_sync(landing.record.abort)
        return None
    await to_thread.run_sync(landing.record.free_refs, last, landing.tree.common_dir)
    ref = (await read_refs(landing.tree.git, last.name)).get(last.name)
    landed = ref is not None and ref.sha == last.new
    await settle(landing.git, landing.tree.top, last.old, last.new, to=last.new if landed else last.old)
    await to_thread.run_sync(landing.record.finish)
    return None


@dataclass(frozen=True)
class _Transaction:
    """A ref transaction that is prepared: the ref is locked and has its expected value."""

    process: Process
    name: str

    async def commit(self) -> None:
        assert self.process.stdin is not None
        with anyio.fail_after(SHORT):
            await self.process.stdin.send(b"commit\0")
            await _answer(self.process, b"commit: ok\n")
        await self.process.stdin.aclose()
        await self.process.wait()


@asynccontextmanager
async def _prepared(git: Git, move: Move, reason: str) -> AsyncIterator[_Transaction | Waits]:
    """Prepare the move of a ref; it is dropped with the block unless committed."""
    async with git.having(reads_only=False).dialogue("update-ref", "-m", reason, "--stdin", "-z") as process:
        assert process.stdin is not None
        try:
            with anyio.fail_after(SHORT):
                await process.stdin.send(b"start\0" + transaction([move]) + b"prepare\0")
                await _answer(process, b"start: ok\nprepare: ok\n")
        except GitFailed as error:
            yield _refusal(error)
            return
        yield _Transaction(process, move.name)


def _refusal(error: GitFailed) -> Waits:
    if "but expected" in error.stderr:
        return Waits(WaitReason.TARGET_MOVED)
    if "File exists" in error.stderr or "Unable to create" in error.stderr:
        return Waits(WaitReason.REF_LOCKED)
    raise error


async def _answer(process: Process, expected: bytes) -> None:
    """Read until the expected answer is there. Raises `GitFailed` if the process ends instead."""
    assert process.stdout is not None and process.stderr is not None
    said = b""
    async for chunk in process.stdout:
        said += chunk
        if said == expected:
            return
    stderr = b"".join([chunk async for chunk in process.stderr])
    raise GitFailed(("update-ref",), await process.wait(), stderr)
