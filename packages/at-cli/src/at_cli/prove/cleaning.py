"""Ends what still belongs to a throw-away folder, and removes the folder only once nothing of it lives."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from at_cli.clock import monotonic
from at_cli.shutdown import ProcessEnd
from at_daemon.vitals import PROC

END_SECONDS = 10.0
SHOWN = 5


def belonging(folder: Path) -> list[int]:
    """Ids of the processes that name this folder, or a path in it, in their command line or environment."""
    found = []
    for name in os.listdir(PROC) if PROC.is_dir() else ():
        if name.isdigit() and int(name) != os.getpid() and _names(int(name), folder):
            found.append(int(name))
    return found


def end_all(folder: Path, seconds: float = END_SECONDS) -> list[str]:
    """SIGKILL whatever belongs to the folder, and what that starts meanwhile, and wait; one line for each that lives."""
    end = monotonic() + seconds
    left = belonging(folder)
    while left and monotonic() < end:
        for pid in left:
            _kill(pid, folder, end)
        left = belonging(folder)
    told = [f"{folder.name}: process {pid} still runs" for pid in left[:SHOWN]]
    return told + ([f"{folder.name}: and {len(left) - SHOWN} more"] if len(left) > SHOWN else [])


def remove(folder: Path, made: tuple[Path, ...] = ()) -> list[str]:
    """End what belongs to the folder and remove it; it stays where something lives. What could not be done.

    `made` are folders around it that were made for it, the innermost first; they go if they are empty.
    """
    living = end_all(folder)
    if living:
        return [*living, f"{folder} is kept, as something in it still runs"]
    problems: list[str] = []
    shutil.rmtree(folder, onerror=lambda _call, path, error: problems.append(f"{path}: {error[1]}"))
    if problems:
        return [f"{folder} is not removed: {problems[0]}"]
    for each in made:
        try:
            each.rmdir()
        except OSError:
            break  # somebody else has put something there meanwhile
    return []


def _kill(pid: int, folder: Path, end: float) -> None:
    with ProcessEnd(pid) as gone:
        if not _names(pid, folder):
            return  # it ended, and the number may be another's
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        gone.wait(max(0.0, end - monotonic()))


def _names(pid: int, folder: Path) -> bool:
    """A path that only begins with the same letters is another's."""
    named = os.fsencode(folder)
    for source in ("cmdline", "environ"):
        try:
            told = (PROC / str(pid) / source).read_bytes()
        except OSError:
            continue  # it is gone, or another user's
        begin = told.find(named)
        while begin >= 0:
            after = told[begin + len(named) : begin + len(named) + 1]
            if after in (b"", b"\0", b"/", b" ", b":", b'"', b"'", b"\n", b",", b";"):
                return True
            begin = told.find(named, begin + 1)
    return False
