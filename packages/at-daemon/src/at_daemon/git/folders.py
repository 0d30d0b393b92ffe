"""Removing a work folder. What it held is in the attic by then; see `attic.keep`."""

from __future__ import annotations

import os
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import FolderOutside


async def remove_folder(folder: Path, root: Path) -> None:
    """Remove `folder`, which lies inside `root`, with all in it; links are removed, never followed.

    It is renamed first, so a removal that was cut off is no longer a work folder and is swept by the next one. A
    folder that is not there is fine. Raises `FolderOutside`, also for `root` itself and for a link on the way.
    """
    await to_thread.run_sync(_remove, folder, root)


def _remove(folder: Path, root: Path) -> None:
    inside = _inside(folder, root)
    prefix = f".{folder.name}.removed-"
    parent = root.joinpath(*inside[:-1])
    if not parent.is_dir():
        return
    if os.path.lexists(folder):
        os.rename(folder, parent / f"{prefix}{os.getpid()}-{os.stat(folder, follow_symlinks=False).st_ino}")
    for name in os.listdir(parent):
        if name.startswith((prefix, f".{folder.name}.at-")) or name == f".{folder.name}.index":
            nofollow.remove_tree(parent / name)


def _inside(folder: Path, root: Path) -> tuple[str, ...]:
    """The parts of `folder` below `root`, none of which but the last is a link."""
    plain = Path(os.path.normpath(folder))
    try:
        parts = plain.relative_to(os.path.normpath(root)).parts
    except ValueError:
        raise FolderOutside(folder, root) from None
    if not parts or not folder.is_absolute() or ".." in folder.parts:
        raise FolderOutside(folder, root)
    for depth in range(len(parts)):
        if root.joinpath(*parts[:depth]).is_symlink() and depth:
            raise FolderOutside(folder, root)
    if plain.is_symlink():
        raise FolderOutside(folder, root)
    return parts
