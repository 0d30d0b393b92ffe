"""A folder is made beside its place and renamed into it: one that is in its place is whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from at_daemon.git import nofollow
from at_daemon.git.errors import FolderInTheWay


def scratch_folder(folder: Path, *, ours: bool = True) -> Path:
    """A new empty folder beside `folder`; those that a killed process left there are removed, if the place is `ours`."""
    prefix = f".{folder.name}.at-"
    folder.parent.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(folder.parent) if ours else ():
        if name.startswith(prefix):
            # An orphan of the killed process may still write there; what resists is swept the next time.
            with suppress(OSError):
                nofollow.remove_tree(folder.parent / name)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))


def move_into_place(scratch: Path, folder: Path) -> None:
    """Give a finished folder its name."""
    try:
        os.rename(scratch, folder)
    except OSError:
        raise FolderInTheWay(folder) from None
    folder.chmod(0o700)
