"""Removing a work folder. What it held is in the attic by then; see `attic.keep`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import FolderOutside

SET_ASIDE: Final = ".removed-"


async def set_aside_folder(folder: Path, root: Path) -> None:
    """Rename `folder`, which lies inside `root`, so that it is no longer a work folder and `remove_set_aside` takes it.

    That is done at once, however much is in it. A folder that is not there is fine. Raises `FolderOutside`, also for
    `root` itself and for a link on the way.
    """
    await to_thread.run_sync(_set_aside, folder, root)


async def remove_set_aside(root: Path) -> list[OSError]:
    """Remove all that was set aside in `root`, with all in it; links are removed, never followed. What stayed, by why."""
    return await to_thread.run_sync(_remove_set_aside, root)


def _set_aside(folder: Path, root: Path) -> None:
    inside = _inside(folder, root)
    parent = root.joinpath(*inside[:-1])
    if not parent.is_dir():
        return
    for name in os.listdir(parent):
        if name in (folder.name, f".{folder.name}.index") or name.startswith(f".{folder.name}.at-"):
            number = os.stat(parent / name, follow_symlinks=False).st_ino
            os.rename(parent / name, parent / f".{folder.name}{SET_ASIDE}{os.getpid()}-{number}")


def is_set_aside(name: str) -> bool:
    """Whether a folder of this name is one that was set aside."""
    return name.startswith(".") and SET_ASIDE in name


def _remove_set_aside(root: Path) -> list[OSError]:
    troubles: list[OSError] = []
    for name in filter(is_set_aside, os.listdir(root) if root.is_dir() else ()):
        try:
            nofollow.remove_tree(root / name)
        except OSError as error:
            troubles.append(OSError(error.errno, error.strerror, str(root / name)))
    return troubles


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
