"""Whether somebody is still in a session that is to be adopted, as far as /proc tells; elsewhere nobody can be seen."""

from __future__ import annotations

import os
from pathlib import Path

from at_daemon.vitals import PROC
from at_session.adoption import OwnSession

_NAMES_A_SESSION = {"--resume", "-r", "--session", "--session-id", "-s", "resume"}


def process_in(own: OwnSession, program: str, folder: Path) -> int | None:
    """A process that names the session or has its record open, or is the CLI's and works in the folder."""
    name = os.path.basename(program)
    for pid in sorted(int(each) for each in os.listdir(PROC) if each.isdigit()) if PROC.is_dir() else ():
        if pid == os.getpid():
            continue
        words = _words(pid)
        if _names(words, own.id) or _has_open(pid, own.record):
            return pid
        if name in [os.path.basename(word) for word in words[:2]] and _works_in(pid, folder):
            return pid
    return None


def _words(pid: int) -> list[str]:
    try:
        return [os.fsdecode(word) for word in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")]
    except OSError:
        return []  # it is gone


def _names(words: list[str], session: str) -> bool:
    return any(
        word == session and before in _NAMES_A_SESSION for before, word in zip(words, words[1:], strict=False)
    )


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(os.readlink(PROC / str(pid) / "cwd")).is_relative_to(folder.resolve())
    except OSError:
        return False


def _has_open(pid: int, record: Path) -> bool:
    files = PROC / str(pid) / "fd"
    wanted = os.path.realpath(record)
    try:
        return any(os.readlink(files / each) == wanted for each in os.listdir(files))
    except OSError:
        return False  # it is gone, or another user's
