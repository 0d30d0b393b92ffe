"""Repositories inside an agent's folder: which repository of the person keeps one, and where it is found again.

That is the person's rig, or a submodule's own repository below its `modules`. Whatever else lies at the same path in
the person's checkout, or where links lead to, is not written to.
"""

from __future__ import annotations

import os
from pathlib import Path

from at_daemon.git.entries import AtticEntry, entries_of
from at_daemon.git.errors import NotARepository, RevisionMissing
from at_daemon.git.names import ATTIC, is_inside
from at_daemon.git.places import Place, common_dir_of, locate


def home_of_nested(place: Place, path: str) -> Place:
    """Where a repository inside a folder of `place` is kept: a submodule in the person's own copy of it, else in the rig."""
    try:
        found = locate(place.top / path)
    except NotARepository:
        return place
    return found if _is_module(place, found.git_dir) else place


def name_of_home(place: Place, home: Place) -> str:
    """How the record of an entry names its home: the path below the rig's `.git`, empty for the rig."""
    if home == place:
        return ""
    return os.path.relpath(home.git_dir.resolve(), place.common_dir.resolve())


async def nested_entry(place: Place, entry: AtticEntry, path: str) -> tuple[Place, AtticEntry]:
    """The entry of the repository at `path` inside the folder of `entry`, and where it is kept.

    Raises `NotARepository` or `RevisionMissing` if it is not there any more, or is another one.
    """
    ref, home = entry.nested[path], _home(place, entry, path)
    prefix = ref.removeprefix(ATTIC).rpartition("/")[0]
    for found in await entries_of(home.git, prefix):
        # Older records do not say which commit it is; the entry itself says what it is of.
        recorded = entry.nested_shas.get(path)
        if found.ref == ref and (recorded == found.sha or (not recorded and _is_of(found, path))):
            return home, found
    raise RevisionMissing(home.top, ref)


def _home(place: Place, entry: AtticEntry, path: str) -> Place:
    if path not in entry.nested_shas:
        try:
            return locate(place.top / path)
        except NotARepository:
            return place
    name = entry.nested_homes.get(path)
    if not name:
        return place
    git_dir = place.common_dir / name
    if not (is_inside(name) and _is_module(place, git_dir) and (git_dir / "HEAD").is_file()):
        raise NotARepository(git_dir)
    return Place(place.top / path, git_dir, common_dir_of(git_dir))


def _is_of(entry: AtticEntry, path: str) -> bool:
    return entry.whole and entry.reason.endswith(inside(path))


def inside(path: str) -> str:
    """How the reason of an entry ends that is of a repository inside a folder."""
    return f" (inside {path!r})"


def _is_module(place: Place, git_dir: Path) -> bool:
    real = git_dir.resolve()
    modules = [(base / "modules").resolve() for base in (place.common_dir, place.git_dir)]
    return any(real != folder and real.is_relative_to(folder) for folder in modules)
