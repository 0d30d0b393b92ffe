"""What content filters leave undone in a bead's folder, said in sentences.

Only git-lfs runs there, and it downloads nothing; see `Settings.trusted_filters`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.run import LONG, Git
from at_daemon.git.settings import Settings

_POINTER = b"version https://git-lfs.github.com/spec/"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_NAMED = 3


async def filter_notes(git: Git, folder: Path, settings: Settings) -> tuple[str, ...]:
    """`git` has the folder, just filled, as its working tree."""
    attributes = nofollow.read(folder, ".gitattributes", 1 << 20) or b""
    if not settings.filters and b"filter=" not in attributes:
        return ()
    names = sorted(filter(_PLAIN.fullmatch, settings.filters | {"lfs"}))
    listed = await git.run("ls-files", "-z", "--", *(f":(attr:filter={name})" for name in names), limit=LONG)
    if not listed.stdout:
        return ()
    asked = await git.run("check-attr", "-z", "--stdin", "filter", stdin=listed.stdout, limit=LONG)
    fields = os.fsdecode(asked.stdout).split("\0")
    by_filter: dict[str, list[str]] = {}
    for path, value in zip(fields[::3], fields[2::3], strict=False):
        by_filter.setdefault(value, []).append(path)
    notes: list[str] = []
    for name, paths in sorted(by_filter.items()):
        if name == "lfs":
            pointers = await to_thread.run_sync(_pointers, folder, paths)
            notes += _lfs_notes(pointers, "lfs" in settings.trusted_filters)
        elif name in settings.filters:
            notes.append(f"the filter {name!r} is not run here: {named(paths)} as git stores it")
    return tuple(notes)


async def fill_pointers(git: Git, folder: Path, settings: Settings) -> None:
    """Files of git-lfs that were left as pointers get what the person's store has by now."""
    if "lfs" not in settings.trusted_filters:
        return
    listed = await git.run("ls-files", "-z", "--", ":(attr:filter=lfs)", limit=LONG)
    paths = [os.fsdecode(path) for path in listed.stdout.split(b"\0") if path]
    pointers = await to_thread.run_sync(_pointers, folder, paths)
    if pointers:
        await to_thread.run_sync(_remove, folder, pointers)  # git writes no file that its index says is there
        feed = os.fsencode("".join(f"{path}\0" for path in pointers))
        await git.run("checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=feed, limit=LONG)


def _lfs_notes(pointers: Sequence[str], installed: bool) -> list[str]:
    if not pointers:
        return []
    if not installed:
        return [f"git-lfs is not installed: files it manages are left as pointers ({named(pointers)})"]
    return [
        f"files of git-lfs are left as pointers ({named(pointers)}): your own copy lacks them (git lfs fetch)"
    ]


def _pointers(folder: Path, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if (nofollow.read(folder, path, len(_POINTER)) or b"") == _POINTER]


def _remove(folder: Path, paths: Sequence[str]) -> None:
    for path in paths:
        nofollow.unlink(folder, path)


def named(paths: Sequence[str]) -> str:
    """The first of some paths, and how many more there are."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(repr, paths[:_MOST_NAMED])) + more
