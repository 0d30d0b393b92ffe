"""What memory a process has for itself alone."""

from __future__ import annotations

from pathlib import Path


def private_megabytes(pid: int) -> float:
    """Private_Clean and Private_Dirty of `smaps_rollup`. Raises OSError for a process that is gone or not ours."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    private = ("Private_Clean:", "Private_Dirty:")
    return sum(int(line.split()[1]) for line in lines if line.startswith(private)) / 1024


def parent_of(pid: int) -> int:
    """The process id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
