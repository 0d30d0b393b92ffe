"""How much room one more checkout of a repository takes, before it is made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from at_daemon.git.places import locate
from at_daemon.git.run import LONG


async def checkout_size(rig: Path) -> int:
    """Bytes of the files that git knows in the person's checkout, as they lie there: filled in by their filters, and
    within its sparse set. Raises `NotARepository`, `GitFailed`."""
    git = locate(rig).git.having(patient=True)
    listed = await git.run("ls-files", "-z", limit=LONG)
    return await to_thread.run_sync(_size_of, os.fsencode(rig), listed.stdout.split(b"\0")[:-1])


def _size_of(top: bytes, paths: Iterable[bytes]) -> int:
    size = 0
    for path in paths:
        with suppress(OSError):  # one that they have deleted
            size += os.lstat(os.path.join(top, path)).st_size
    return size
