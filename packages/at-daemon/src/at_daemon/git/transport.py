"""Objects from an agent's clone into the person's repository.

`pack-objects` runs with the person's repository as GIT_DIR and the clone's object folder as an alternate, so no
configuration, hook or ref of the clone plays a part. What it writes is unpacked without the alternate and strictly:
every object is hashed again and checked, and one that is missing, malformed or misnamed (a `..` or `.git` in a
tree) fails the whole.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO

from at_daemon.git.errors import BadObjects, GitFailed
from at_daemon.git.run import LONG, Git

# As `git fetch` does: few objects become loose ones, many stay a pack.
UNPACK_LIMIT = 100
_HEADER = struct.Struct(">4sLL")
_LOST = re.compile(
    r"is corrupt|is empty|missing (blob|tree|commit|tag|object)|bad (tree |commit )?object|[Cc]ould not read|unable to (read|parse|unpack)"
    r"|inflate|not a valid object|bad packed object|hash mismatch|did not receive expected object"
    r"|Not all child objects"
)
_PROMISED = re.compile(r"could not fetch [0-9a-f]+ from promisor remote")
_PASSING = re.compile(
    r"No space|Too many open files|[Oo]ut of memory|Cannot allocate|Permission denied|quota"
)


def objects_of(folder: Path) -> Path:
    """Where a private clone keeps its objects."""
    return folder / ".git/objects"


def blinded(git: Git, source: Path) -> Git:
    """Git that sees the clone's objects too, but believes none of its indexes about history."""
    config = {**git.config, "core.commitGraph": "false", "core.multiPackIndex": "false"}
    return git.having(alternates=(source,), config=config)


def says_lost(stderr: str) -> bool:
    """Whether git failed because an object is missing or damaged, and not for want of anything that may pass."""
    return bool(_LOST.search(stderr)) and not (_PASSING.search(stderr) or says_promised(stderr))


def says_promised(stderr: str) -> bool:
    """Whether git failed because an object is missing that a repository cloned with a filter has still to fetch."""
    return bool(_PROMISED.search(stderr))


def bad_objects(error: GitFailed) -> BadObjects:
    """What a failure of git says about the objects it was to read."""
    return BadObjects(error.message, lost=says_lost(error.stderr), promised=says_promised(error.stderr))


async def bring_objects(git: Git, source: Path, wanted: Iterable[str], known: Iterable[str]) -> int:
    """Bring all objects of the commits `wanted` that are not reachable from `known`; gives how many.

    `git` is the person's repository; `source` the clone's object folder. Raises `BadObjects`.
    """
    revisions = "".join(f"{sha}\n" for sha in wanted) + "".join(f"^{sha}\n" for sha in known)
    with tempfile.TemporaryFile(buffering=0) as pack:
        try:
            await blinded(git, source).run(
                *("pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset"),
                stdin=revisions.encode(),
                stdout=pack,
                limit=LONG,
            )
        except GitFailed as error:
            raise bad_objects(error) from None
        pack.seek(0)
        count = int(_HEADER.unpack(pack.read(_HEADER.size))[2])
        if count == 0:
            return 0
        pack.seek(0)
        await _unpack(git.having(reads_only=False), pack, count)
    return count


async def bring_each(
    git: Git, source: Path, wanted: list[str], known: Collection[str]
) -> dict[str, BadObjects]:
    """Bring what can be had of the commits `wanted`; why not, of those that cannot."""
    if not wanted:
        return {}
    try:
        await bring_objects(git, source, wanted, known)
    except BadObjects as error:
        if len(wanted) == 1:
            return {} if await _is_there(git, wanted[0], known) else {wanted[0]: error}
    else:
        return {}
    half = len(wanted) // 2
    first = await bring_each(git, source, wanted[:half], known)
    return first | await bring_each(git, source, wanted[half:], known)


async def _is_there(git: Git, commit: str, known: Iterable[str]) -> bool:
    """Whether the person's repository has all of the commit already."""
    feed = "".join(f"{sha}\n" for sha in (commit, *(f"^{sha}" for sha in known)))
    command = ("rev-list", "--objects", "--quiet", "--stdin")
    return not (await git.run(*command, stdin=feed.encode(), accept=(0, 128), limit=LONG)).returncode


async def _unpack(git: Git, pack: IO[bytes], count: int) -> None:
    small = ("unpack-objects", "-q", "--strict")
    large = ("index-pack", "--stdin", "--strict")
    try:
        await git.run(*(small if count < UNPACK_LIMIT else large), stdin=pack, limit=LONG)
    except GitFailed as error:
        raise bad_objects(error) from None
