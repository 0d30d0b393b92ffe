"""Named places at which a test can kill the daemon: `AT_FAILPOINT=name` or `name:n` for the n-th passage.

Each place stands between two acts whose order matters. Without the variable a passage costs one comparison.
"""

from __future__ import annotations

import os
import signal

NAMES = (
    "store.before-commit",
    "store.after-commit",
    "intent.before-act",
    "intent.after-act",
    "spawn.before-start",
    "spawn.after-start",
    "send.before-write",
    "send.after-write",
    "send.after-commit",
    "answer.after-write",
    "ingest.before-commit",
    "ingest.after-commit",
    "collect.after-git",
    "setup.after-start",
    "setup.after-exit",
    "gate.after-start",
    "gate.after-exit",
    "land.before-merge",
    "land.after-merge",
    "remove.after-keep",
    "teardown.after-start",
    "teardown.after-exit",
)

NAMES_OF_RECOVERY = (
    "remove.after-keep",
    "remove.after-folder",
    "restore.after-folder",
)
"""Places on the way of a removal that a person asked for, and back."""

NAMES_OF_CACHE = ("setup.after-cache", "setup.after-keep")
"""Places around what a set-up made and is kept for other folders."""

NAMES_OF_WARMTH = ("warm.after-aside", "warm.before-place", "warm.after-take", "warm.before-record")
"""Places on the way of a folder that is made before a bead wants it, and into a bead's place."""

NAMES_OF_TIDYING = ("tidy.before-first", "tidy.after-refs", "tidy.after-one")
"""Places on the way of removing what is left over."""

NAMES_OF_ADOPTION = ("adopt.after-folder", "spawn.before-start")
"""Places on the way of taking over a session."""

NAMES_OF_PUSH = ("push.before-git", "push.after-git")
"""Places on the way of a branch to a remote."""

_wanted = ""
_left = 0


def arm(place: str) -> None:
    """Die at that place (`name` or `name:n`); nowhere if it is empty."""
    global _wanted, _left
    _wanted, _, count = place.partition(":")
    _left = int(count or "1") if _wanted else 0


def failpoint(name: str) -> None:
    """Die by SIGKILL here if this is the place that was asked for."""
    global _left
    if _wanted != name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("AT_FAILPOINT", ""))
