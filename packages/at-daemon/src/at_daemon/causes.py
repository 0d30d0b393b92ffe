"""Why a process may have ended, as far as the machine tells: memory that ran out, a program that was replaced.

What is looked at when a process starts is kept with it, and compared when it has ended.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VMSTAT = Path("/proc/vmstat")
KILLED = 9


def oom_kills(vmstat: Path = VMSTAT) -> int | None:
    """How many processes the kernel has killed for want of memory since it started; None where it does not tell."""
    try:
        lines = vmstat.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def program(command: str, environment: Mapping[str, str]) -> list[Any] | None:
    """What a program is now: [path, inode, time of change in ns, size]; None if there is none."""
    found = shutil.which(command, path=environment.get("PATH"))
    return None if found is None else identity(os.path.realpath(found))


def identity(path: str) -> list[Any] | None:
    """The same of a path whose links are resolved."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [path, status.st_ino, status.st_mtime_ns, status.st_size]


def cause(launch: Mapping[str, Any], boot: str, signal: int | None, kills: int | None, *, asked: bool) -> str:
    """Why a process ended that nobody asked to, in words; empty if nothing tells. `kills`: `oom_kills` now."""
    if asked:
        return ""
    before = launch.get("oom_kills")
    same_boot = launch.get("boot") == boot
    if signal == KILLED and same_boot and before is not None and kills is not None and kills > before:
        return "the machine ran out of memory while it ran, and the kernel killed processes for that"
    known = launch.get("program")
    if known and identity(known[0]) != known:
        return "its program was replaced while it ran, as an upgrade does"
    return ""
