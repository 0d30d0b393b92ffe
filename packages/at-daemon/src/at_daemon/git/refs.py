"""Refs of the person's repository: read with one process, moved in one transaction."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git.errors import GitFailed, RefInTheWay, RefMoved
from at_daemon.git.names import ATTIC, checked_ref, checked_sha
from at_daemon.git.places import common_dir_of
from at_daemon.git.run import Git

_LOCK = re.compile(r"Unable to create '(.+\.lock)': File exists")
_BARRED = re.compile(r"'(refs/[^']+)' exists; cannot create '([^']+)'")
_FORMAT = "%(objectname)%00%(refname)%00%(worktreepath)%00"


@dataclass(frozen=True)
class Ref:
    """A ref, its object, and the working tree that has it checked out, if any."""

    name: str
    sha: str
    worktree: Path | None


@dataclass(frozen=True)
class Move:
    """`old` None: whatever it was; "": it must not exist. `new` "": it is deleted, and then has to be `old`."""

    name: str
    new: str
    old: str | None


async def read_refs(git: Git, *patterns: str) -> dict[str, Ref]:
    """Refs under the given prefixes, by full name."""
    listed = os.fsdecode((await git.run("for-each-ref", f"--format={_FORMAT}", *patterns)).stdout)
    fields = listed.split("\0")
    refs: dict[str, Ref] = {}
    for sha, name, worktree in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        refs[name] = Ref(name, sha.lstrip("\n"), Path(worktree) if worktree else None)
    return refs


def transaction(moves: Iterable[Move]) -> bytes:
    """The moves as `update-ref --stdin -z` reads them."""
    parts: list[str] = []
    for move in moves:
        checked_ref(move.name)
        if not move.new:
            # Should somebody have made it a symbolic ref, what that points to stays.
            parts.append(f"option no-deref\0delete {move.name}\0{checked_sha(move.old or '')}\0")
            continue
        checked_sha(move.new)
        if move.old is None:
            old = ""
        else:
            old = checked_sha(move.old) if move.old else "0" * len(move.new)
        parts.append(f"update {move.name}\0{move.new}\0{old}\0")
    return os.fsencode("".join(parts))


async def move_refs(git: Git, moves: Iterable[Move], reason: str) -> None:
    """Move all or none. Raises `RefMoved` if one is not as expected."""
    wanted = list(moves)
    if not wanted:
        return
    try:
        await _update(git, wanted, reason)
    except GitFailed as error:
        if not await to_thread.run_sync(_free, git, error.stderr):
            raise _typed(error, wanted[0].name) from None
    else:
        return
    try:
        await _update(git, wanted, reason)
    except GitFailed as error:
        raise _typed(error, wanted[0].name) from None


async def _update(git: Git, moves: list[Move], reason: str) -> None:
    arguments = ("update-ref", "-m", reason, "--stdin", "-z")
    await git.having(reads_only=False).run(*arguments, stdin=transaction(moves))


def _typed(error: GitFailed, name: str) -> GitFailed | RefInTheWay | RefMoved:
    if (barred := _BARRED.search(error.stderr)) is not None:
        return RefInTheWay(barred[2], barred[1])
    return RefMoved(name, error.message) if "cannot lock ref" in error.stderr else error


def _free(git: Git, stderr: str) -> bool:
    """Remove the lock of a ref of ours that a killed git left.

    Only here are these refs moved, one call at a time for each bead, and git has waited for the lock already (see
    `core.filesRefLockTimeout`): nobody alive holds it.
    """
    found = _LOCK.search(stderr)
    assert git.git_dir is not None
    if found is None:
        return False
    lock = Path(found[1])
    ours = [common_dir_of(git.git_dir) / name for name in ("refs/at", "refs/heads/at")]
    if not any(lock.is_relative_to(folder) for folder in ours):
        return False
    lock.unlink(missing_ok=True)
    return True


def next_attic_ref(bead_id: str, refs: Mapping[str, Ref]) -> str:
    """`refs/at/attic/<bead>/<n>` with the first free number after all there are."""
    prefix = f"{ATTIC}{bead_id}/"
    numbers = [name.removeprefix(prefix) for name in refs if name.startswith(prefix)]
    return f"{prefix}{max((int(n) for n in numbers if n.isdigit()), default=0) + 1}"
