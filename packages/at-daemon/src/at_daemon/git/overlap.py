"""Which works would conflict with each other, before any of them is handed in.

One git process merges a commit with many others, as trees alone: its objects go to a folder that is thrown away, so no
folder, ref or object store of the person or of an agent is touched. The commits may lie in agents' clones, whose
object folders are read beside the person's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import nofollow, private
from at_daemon.git.diff import read_objects
from at_daemon.git.errors import GitFailed
from at_daemon.git.names import checked_revision, checked_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.run import Git
from at_daemon.git.scratch import scratch_folder
from at_daemon.git.transport import objects_of

_ARGUMENTS = ("merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages")
_UNREAD = b"error: Could not read"
"""Of a tree: git 2.39 takes an empty one in its place, and ends well."""


@dataclass(frozen=True)
class Tip:
    """The newest commit of a work, and its agent's clone if that has objects which the person's repository lacks."""

    sha: str
    clone: Path | None = None


async def read_tips(folders: Iterable[Path]) -> list[str | None]:
    """The commits that the clones in these folders have checked out, as their files say; None where they say nothing."""
    return await to_thread.run_sync(lambda: [private.head_of(folder) for folder in folders])


async def overlaps(
    rig: Path, tip: Tip, others: Sequence[Tip], target: str, scratch: Path
) -> list[tuple[str, ...] | None]:
    """The paths in which `tip` conflicts with each of the others, in their order; None where that cannot be known.

    Attributes such as `merge=union` are those of the branch `target`. Empty for those that merge cleanly. Needs git 2.39.
    What the merges write goes to a folder beside `scratch`, one at a time: what a killed process left there is removed.
    """
    place = locate(rig)
    folder = await to_thread.run_sync(scratch_folder, scratch)
    try:
        return await _overlaps(place, folder, tip, others, target)
    finally:  # there may be thousands of objects
        with anyio.CancelScope(shield=True), suppress(OSError):
            await to_thread.run_sync(nofollow.remove_tree, folder)


async def _overlaps(
    place: Place, scratch: Path, tip: Tip, others: Sequence[Tip], target: str
) -> list[tuple[str, ...] | None]:
    clones = [each.clone for each in (tip, *others) if each.clone is not None]
    folders = tuple(dict.fromkeys((place.common_dir / "objects", *map(objects_of, clones))))
    (scratch / "objects").mkdir()
    attributes = await _attributes(place.git, target)
    if attributes:
        (scratch / "top").mkdir()
        (scratch / "top/.gitattributes").write_bytes(attributes)
    git = place.git.having(
        alternates=folders,
        reads_only=False,
        config={
            **place.git.config,
            "core.commitGraph": "false",
            "core.multiPackIndex": "false",
            "core.fsync": "none",
        },
        env={"GIT_OBJECT_DIRECTORY": str(scratch / "objects")},
        **({"work_tree": scratch / "top", "cwd": scratch / "top"} if attributes else {}),
    )
    return await _merge_each(git, checked_sha(tip.sha), [checked_sha(each.sha) for each in others])


async def _attributes(git: Git, target: str) -> bytes:
    ((kind, _, content),) = await read_objects(git, f"{checked_revision(target)}:.gitattributes")
    return content if kind == "blob" else b""


async def _merge_each(git: Git, tip: str, others: Sequence[str]) -> list[tuple[str, ...] | None]:
    """One pair that git cannot merge at all ends it: what comes after is asked for again."""
    found: list[tuple[str, ...] | None] = []
    while left := others[len(found) :]:
        pairs = "".join(f"{tip} {other}\n" for other in left)
        ran = await git.run(*_ARGUMENTS, stdin=pairs.encode(), accept=range(256))
        if _UNREAD in ran.stderr:  # which pair it was is not told
            alone = [await _merge_each(git, tip, [other]) for other in left] if len(left) > 1 else [[None]]
            return [*found, *chain.from_iterable(alone)]
        merged = list(_merges(ran.stdout))
        found += merged
        if ran.returncode == 0:
            break
        if not merged and b"usage:" in ran.stderr:  # git 2.38 does one merge at a time
            raise GitFailed(_ARGUMENTS, ran.returncode, ran.stderr)
        found.append(None)
    return found


def _merges(output: bytes) -> Iterator[tuple[str, ...]]:
    """Each merge is `clean NUL tree NUL`, a NUL after each path in conflict, and one more."""
    for record in output.split(b"\0\0")[:-1]:
        clean, _tree, *paths = record.split(b"\0")
        yield () if clean == b"1" else tuple(dict.fromkeys(map(os.fsdecode, paths)))
