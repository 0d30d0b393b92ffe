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

_wanted, _, _count = os.environ.get("AT_FAILPOINT", "").partition(":")
_left = int(_count or "1") if _wanted else 0


def failpoint(name: str) -> None:
    """Die by SIGKILL here if this is the place that was asked for."""
    global _left
    if _wanted != name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
