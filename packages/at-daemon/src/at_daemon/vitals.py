"""Signs of life that no protocol tells: CPU time of an agent's processes, read from /proc without starting anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")


def cpu_ticks(roots: Iterable[int]) -> dict[int, int]:
    """CPU time used so far by each root process and its descendants, in clock ticks; 0 where the process is gone."""
    parents, own = _table()
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    return {root: _sum(root, children, own) for root in roots}


def processes_naming(path: Path) -> list[int]:
    """Ids of the processes that have this path in their command line, as holders have their folder in theirs."""
    named, found = os.fsencode(path), []
    for name in os.listdir(PROC) if PROC.is_dir() else ():
        try:
            if name.isdigit() and named in (PROC / name / "cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue  # it is gone
    return found


def _sum(root: int, children: Mapping[int, list[int]], own: Mapping[int, int]) -> int:
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += own.get(pid, 0)
        waiting.extend(children.get(pid, ()))
    return total


def _table() -> tuple[dict[int, int], dict[int, int]]:
    parents: dict[int, int] = {}
    own: dict[int, int] = {}
    if not PROC.is_dir():
        return parents, own
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        try:
            stat = (PROC / name / "stat").read_bytes()
        except OSError:
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()
        parents[int(name)] = int(fields[1])
        own[int(name)] = sum(int(field) for field in fields[11:15])
    return parents, own
