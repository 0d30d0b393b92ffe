"""Contents of git-lfs that an agent stored itself: its clone has them, and its commits only their names."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from at_daemon.git import nofollow
from at_daemon.git.places import Place
from at_daemon.git.settings import Settings

_STORE = ".git/lfs/objects"
_CONTENT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")
_PIECE = 1 << 20


def bring_contents(place: Place, settings: Settings, folder: Path) -> tuple[str, ...]:
    """Copy what the clone in `folder` has into the person's store, as far as that lacks it; notes for the person.

    A content is stored under its sha256, which is made again: one that is not what its name says is left out. Raises
    OSError where the person's store cannot be written.
    """
    store = _store_of(place, settings) / "objects"
    wrong = [name for name in nofollow.names_below(folder, _STORE) if not _brought(folder, name, store)]
    if not wrong:
        return ()
    return (f"contents of git-lfs are damaged and left out: {', '.join(wrong[:5])}",)


def _store_of(place: Place, settings: Settings) -> Path:
    """git-lfs takes a path that is not absolute from the git folder."""
    return place.common_dir / settings.values.get("lfs.storage", "lfs")


def _brought(folder: Path, name: str, store: Path) -> bool:
    """Whether the person's store has it now; what is no content of git-lfs counts as brought."""
    found = _CONTENT.fullmatch(name)
    kept = store / name
    if found is None or kept.exists():
        return True
    kept.parent.mkdir(parents=True, exist_ok=True)
    copy = kept.with_name(
        f"at-{kept.name}.part"
    )  # one name: a killed try leaves what the next one writes over
    try:
        with open(copy, "wb") as file:
            digest = hashlib.sha256()
            for piece in nofollow.pieces(folder, f"{_STORE}/{name}", _PIECE):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != found[3]:
            return False
        copy.chmod(0o444)  # as git-lfs has them
        copy.rename(kept)
        return True
    finally:
        copy.unlink(missing_ok=True)
