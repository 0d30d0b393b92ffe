"""Refs of ours in a person's repository that nothing needs any more: what holds what they name, and deleting them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from at_daemon.git.errors import RefMoved
from at_daemon.git.names import ATTIC, HIDDEN, checked_ref
from at_daemon.git.places import locate
from at_daemon.git.refs import Move, Ref, move_refs, read_refs
from at_daemon.git.run import LONG, Git

_OURS = ("refs/heads/at/", f"{HIDDEN}base/", f"{HIDDEN}beads/")
_AT_ONCE = 200


@dataclass(frozen=True)
class OurRefs:
    """Refs by full name, with the names of those whose commit the target's history, or the attic, contains.

    `kept` are the ids of beads that the attic has anything of.
    """

    refs: dict[str, Ref]
    in_target: frozenset[str]
    in_attic: frozenset[str]
    kept: frozenset[str]


async def our_refs(rig: Path, target: str) -> OurRefs:
    """All branches and hidden refs of beads in the repository."""
    git = locate(rig).git
    head = checked_ref(f"refs/heads/{target}")
    found = await read_refs(git, *_OURS, ATTIC, head)
    refs = {name: ref for name, ref in found.items() if name.startswith(_OURS)}
    attic = sorted(name for name in found if name.startswith(ATTIC))
    in_target = await _contained(git, [head]) if refs and head in found else frozenset()
    in_attic: frozenset[str] = frozenset()
    for first in range(0, len(attic) if refs else 0, _AT_ONCE):
        in_attic |= await _contained(git, attic[first : first + _AT_ONCE])
    kept = frozenset(name.removeprefix(ATTIC).rpartition("/")[0] for name in attic)
    return OurRefs(refs, in_target, in_attic, kept)


async def _contained(git: Git, tips: Sequence[str]) -> frozenset[str]:
    merged = [f"--merged={tip}" for tip in tips]
    listed = await git.run("for-each-ref", "--format=%(refname)", *merged, *_OURS, limit=LONG)
    return frozenset(listed.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1])


async def delete_refs(rig: Path, refs: Iterable[tuple[str, str]]) -> list[str]:
    """Delete each ref that still names its commit, and is checked out nowhere; the names of those that stay."""
    git = locate(rig).git
    now = await read_refs(git, *_OURS)
    wanted, left = [], []
    for name, sha in refs:
        there = now.get(name)
        if there is None:
            continue  # somebody was faster
        if there.sha != sha or there.worktree is not None or not name.startswith(_OURS):
            left.append(name)
        else:
            wanted.append(Move(name, "", sha))
    for first in range(0, len(wanted), _AT_ONCE):
        left += await _delete(git, wanted[first : first + _AT_ONCE])
    return left


async def _delete(git: Git, moves: Sequence[Move]) -> list[str]:
    """Together, and one by one if one of them is not as expected."""
    try:
        await move_refs(git, moves, "at: tidy")
    except RefMoved:
        if len(moves) == 1:
            return [moves[0].name]
        return [name for move in moves for name in await _delete(git, [move])]
    return []
