"""Objects from an agent's clone into the person's repository.

`pack-objects` runs with the person's repository as GIT_DIR and the clone's object folder as an alternate, so no
configuration, hook or ref of the clone plays a part. What it writes is unpacked without the alternate and strictly:
every object is hashed again and checked, and one that is missing, malformed or misnamed (a `..` or `.git` in a
tree) fails the whole.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from at_daemon.git.errors import BadObjects, GitFailed
from at_daemon.git.run import LONG, Git

# As `git fetch` does: few objects become loose ones, many stay a pack.
UNPACK_LIMIT = 100
_HEADER = struct.Struct(">4sLL")


def objects_of(folder: Path) -> Path:
    """Where a private clone keeps its objects."""
    return folder / ".git/objects"


def blinded(git: Git, source: Path) -> Git:
    """Git that sees the clone's objects too, but believes none of its indexes about history."""
    config = {**git.config, "core.commitGraph": "false", "core.multiPackIndex": "false"}
    return git.having(alternates=(source,), config=config)


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
            raise BadObjects(error.message) from None
        pack.seek(0)
        count = int(_HEADER.unpack(pack.read(_HEADER.size))[2])
        if count == 0:
            return 0
        pack.seek(0)
        await _unpack(git.having(reads_only=False), pack, count)
    return count


async def _unpack(git: Git, pack: IO[bytes], count: int) -> None:
    small = ("unpack-objects", "-q", "--strict")
    large = ("index-pack", "--stdin", "--strict")
    try:
        await git.run(*(small if count < UNPACK_LIMIT else large), stdin=pack, limit=LONG)
    except GitFailed as error:
        raise BadObjects(error.message) from None
