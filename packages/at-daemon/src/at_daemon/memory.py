"""How much memory the machine has to spare, and whether processes wait for it. Read from the kernel, nothing started.

Linux tells (proc(5); `Documentation/accounting/psi.rst` and `admin-guide/cgroup-v2.rst` of the kernel). Elsewhere
nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """`free`: bytes that can be used without pushing anything out. `stalled`: percent of the last ten seconds in which
    some process waited for memory. None is not known."""

    free: int | None = None
    stalled: float | None = None


def look(proc: Path = PROC, cgroups: Path = CGROUPS) -> Memory:
    """What the kernel tells now, of the machine and of the control groups that this process is in."""
    # In a container the topmost group is its own, and `/proc` tells of all that run beside it on the machine.
    pressure = chain(_stalled(cgroups / "memory.pressure"), _stalled(proc / "pressure" / "memory"))
    return Memory(
        free=min([*_of_machine(proc), *_of_groups(proc, cgroups)], default=None),
        stalled=next(pressure, None),
    )


def _of_machine(proc: Path) -> Iterator[int]:
    yield from (kibibytes * 1024 for kibibytes in _named(proc / "meminfo", "MemAvailable:"))


def _of_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """What each group of version 2 that has a limit leaves; pages of files that were read can be had back.

    The topmost has none on the machine itself; in a container it is the container's own, with its limit. Beyond
    `memory.high` processes are slowed down until they take less, at `memory.max` they are ended.
    """
    own = next((line[3:] for line in _lines(proc / "self" / "cgroup") if line.startswith("0::")), "/")
    group = cgroups / own.lstrip("/")
    for each in (group, *group.parents):
        if not each.is_relative_to(cgroups):
            break
        for limit in chain(_number(each / "memory.max"), _number(each / "memory.high")):
            used = sum(_number(each / "memory.current"))
            yield max(0, limit - used + sum(_named(each / "memory.stat", "inactive_file")))


def _stalled(path: Path) -> Iterator[float]:
    for line in _lines(path):
        if line.startswith("some "):
            figures = dict(word.partition("=")[::2] for word in line.split()[1:])
            yield float(figures.get("avg10", "0"))


def _named(path: Path, name: str) -> Iterator[int]:
    yield from (int(line.split()[1]) for line in _lines(path) if line.split()[:1] == [name])


def _number(path: Path) -> Iterator[int]:
    yield from (int(line) for line in _lines(path) if line.isdigit())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
