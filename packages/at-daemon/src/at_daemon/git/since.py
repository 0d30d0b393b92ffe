"""What to compare new work with, so that the difference is what its author did since an earlier state of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from at_daemon.git.errors import GitFailed
from at_daemon.git.merge import forecast_in, is_ancestor
from at_daemon.git.names import checked_sha
from at_daemon.git.places import Place, locate


class Since(StrEnum):
    """How the work came from the earlier state to the present one."""

    GROWN = "grown"
    """Commits were added."""
    REWRITTEN = "rewritten"
    """Commits were amended, squashed or dropped; the files of both states are compared."""
    REBASED = "rebased"
    """It has another base; the earlier state is compared as it would be on that base."""
    GONE = "gone"
    """The earlier state is no longer in the repository."""


@dataclass(frozen=True)
class Earlier:
    """`start` is the commit or tree to compare with; files in `conflicts` have conflict markers there."""

    start: str
    how: Since
    conflicts: tuple[str, ...] = ()


async def earlier_state(rig: Path, earlier: str, head: str, base: str) -> Earlier:
    """Where the difference from the commit `earlier` to `head`, whose own work begins at `base`, is to start.

    What another base brought is no work of the author's. So the earlier state is first merged with it, aside and as
    git's `--remerge-diff` does: what would have conflicted shows how it was resolved.
    """
    place = locate(rig)
    known = await place.git.run("cat-file", "-e", f"{checked_sha(earlier)}^{{commit}}", accept=(0, 1, 128))
    if known.returncode:
        return Earlier(base, Since.GONE)
    if await is_ancestor(place.git, checked_sha(base), earlier):
        grown = await is_ancestor(place.git, earlier, checked_sha(head))
        return Earlier(earlier, Since.GROWN if grown else Since.REWRITTEN)
    return await _on_another_base(place, earlier, base)


async def _on_another_base(place: Place, earlier: str, base: str) -> Earlier:
    try:
        moved = await forecast_in(place, earlier, base)
    except GitFailed:
        return Earlier(earlier, Since.REWRITTEN)
    if moved.unrelated:
        return Earlier(earlier, Since.REWRITTEN)
    return Earlier(moved.tree, Since.REBASED, moved.conflicts)
