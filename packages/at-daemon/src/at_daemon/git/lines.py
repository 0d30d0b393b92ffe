"""Lines of files in commits, and where they are after a change. Reads only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from at_agents.comments import line_after
from at_daemon.git.diff import read_file_at
from at_daemon.git.names import checked_path, checked_sha
from at_daemon.git.places import locate
from at_daemon.git.run import LONG

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)

Hunk = tuple[int, int, int, int]


async def lines_of(rig: Path, commit: str, path: str) -> list[str] | None:
    """The lines of a text file as a commit has it; None for a file that is not there, or is no text."""
    content = await read_file_at(rig, checked_sha(commit), path)
    if content is None or b"\0" in content:
        return None
    return content.decode("utf-8", "replace").removesuffix("\n").split("\n") if content else []


async def hunks_of(rig: Path, before: str, after: str, path: str) -> Sequence[Hunk] | None:
    """What changed in one file between two commits: first line and count before, and after; None if it is gone."""
    git = locate(rig).git
    there = await git.run("cat-file", "-e", f"{checked_sha(after)}:{checked_path(path)}", accept=(0, 1, 128))
    if there.returncode:
        return None
    ran = await git.run(
        "--literal-pathspecs",
        "diff-tree",
        "-r",
        "-p",
        "-U0",
        "--no-color",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        checked_sha(before),
        checked_sha(after),
        "--",
        path,
        limit=LONG,
    )
    return [_numbers(found) for found in _HUNK.finditer(ran.stdout)]


async def line_now(rig: Path, before: str, after: str, path: str, line: int) -> int | None:
    """Where a line of `before` is in `after`; None if it or its file is gone."""
    if before == after:
        return line
    hunks = await hunks_of(rig, before, after, path)
    return None if hunks is None else line_after(line, hunks)


def _numbers(found: re.Match[bytes]) -> Hunk:
    first, taken, then, given = found.groups()
    return int(first), int(taken or 1), int(then), int(given or 1)
