"""Folders that agents and gates work in: made, reused, brought to an exact state, told about the target."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import FolderInTheWay, GitFailed
from at_daemon.git.include import carry_included
from at_daemon.git.inspect import commit_of
from at_daemon.git.locks import held
from at_daemon.git.names import HIDDEN, checked_branch, checked_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import CloneSource, folder_git, look, plant, plant_submodules, write_dot_git
from at_daemon.git.private import TARGET_REF, alternates_line
from at_daemon.git.refs import Move, move_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.scratch import move_into_place, scratch_folder
from at_daemon.git.together import together
from at_daemon.git.warm import Warm, take


@dataclass(frozen=True)
class Prepared:
    """A folder that is ready. `base_ref` keeps the base alive in the person's repository; `notes` are sentences.

    `warm`: its files were there already.
    """

    base_sha: str
    base_ref: str
    branch: str
    reused: bool
    notes: tuple[str, ...]
    warm: bool = False


def base_ref(branch: str) -> str:
    """The hidden ref that holds the base of a bead's branch."""
    return f"{HIDDEN}base/{checked_branch(branch).removeprefix('at/')}"


async def prepare(rig: Path, folder: Path, branch: str, base: str, warm: Warm | None = None) -> Prepared:
    """Make `folder` a private clone of `rig` on the new branch `branch` at `base`, or find it made already.

    The clone is made beside its place and renamed into it, so a folder that exists is whole. One of the `warm` folders
    is used up if it has about the files of `base`; what comes of it is the same. Raises `NotARepository`, `BadName`,
    `RevisionMissing`, `FolderInTheWay`.
    """
    place = locate(rig)
    hidden = base_ref(branch)
    if await to_thread.run_sync(_is_clone_of, folder, place):
        return Prepared(await commit_of(place.git, rig, hidden), hidden, branch, True, ())
    found = await look(place, base)
    scratch = await to_thread.run_sync(scratch_folder, folder)
    notes: tuple[str, ...] = ()
    taken = False

    async def hold_base() -> None:
        await move_refs(place.git, [Move(hidden, found.commit, None)], "at: base")

    async def fill() -> None:
        nonlocal notes, taken
        taken = warm is not None and await take(place, found, scratch, warm)
        planted = await plant(place, scratch, found, f"refs/heads/{branch}", filled=taken)
        notes = (*planted, *await carry_included(place, scratch))

    try:
        await together(hold_base, fill)
        await to_thread.run_sync(move_into_place, scratch, folder)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    return Prepared(found.commit, hidden, branch, False, notes, taken)


def _is_clone_of(folder: Path, place: Place) -> bool:
    """Whether the folder is a clone made here of that repository. An empty folder is none, and is removed."""
    if not os.path.lexists(folder):
        return False
    if _shares_objects_with(folder, place):
        return True
    try:
        folder.rmdir()
    except OSError:
        raise FolderInTheWay(folder) from None
    return False


def is_clone_of(folder: Path, rig: Path) -> bool:
    """Whether the folder is a clone made here of the repository at `rig`. Raises `NotARepository`."""
    return _shares_objects_with(folder, locate(rig))


def _shares_objects_with(folder: Path, place: Place) -> bool:
    alternates = nofollow.read(folder, ".git/objects/info/alternates") or b""
    return os.fsencode(alternates_line(place.objects)) in alternates


async def checkout_tree(rig: Path, folder: Path, sha: str) -> None:
    """Make `folder` an exact, clean, detached checkout of the commit `sha`, with nothing else in it.

    Reused from run to run: what differs is written again, what is not tracked (ignored files and planted `.git`
    folders too) is removed. The index that says what differs lies beside the folder, where a gate cannot forge it;
    `.git` is made anew each time.
    """
    place = locate(rig)
    source = await look(place, checked_sha(sha))
    index = folder.parent / f".{folder.name}.index"
    folder.mkdir(parents=True, exist_ok=True)
    async with held(folder) as descriptor:
        git = folder_git(place, folder, source.settings, index).having(pass_fds=(descriptor,))
        try:
            await _bring_to(git, folder, index, source.commit)
        except (GitFailed, OSError):
            # A gate may leave a folder that cannot be repaired file by file (modes, other owners): begin again.
            await to_thread.run_sync(_empty, folder, index)
            await _bring_to(git, folder, index, source.commit)
        await to_thread.run_sync(_renew_dot_git, place, folder, source, index)
        await plant_submodules(place, folder, source)


async def _bring_to(git: Git, folder: Path, index: Path, sha: str) -> None:
    (index.parent / f"{index.name}.lock").unlink(missing_ok=True)
    tracked = (await git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", sha)).stdout
    await to_thread.run_sync(_remove_untracked, folder, frozenset(tracked.split(b"\0")))
    await git.run("read-tree", "--reset", "-u", sha, limit=LONG)


def _remove_untracked(folder: Path, tracked: frozenset[bytes]) -> None:
    """Remove all but the tracked files and the folders that hold them."""
    parents = {os.path.dirname(path) for path in tracked}
    for path in list(parents):
        while path:
            path = os.path.dirname(path)
            parents.add(path)
    _sweep(os.fsencode(folder), b"", tracked, parents)


def _sweep(root: bytes, inside: bytes, tracked: frozenset[bytes], parents: set[bytes]) -> None:
    with os.scandir(os.path.join(root, inside) if inside else root) as entries:
        for entry in list(entries):
            path = os.path.join(inside, entry.name) if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                if path in parents:
                    _sweep(root, path, tracked, parents)
                else:
                    nofollow.remove_tree(Path(os.fsdecode(entry.path)))
            elif path not in tracked:
                os.unlink(entry.path)


def _empty(folder: Path, index: Path) -> None:
    index.unlink(missing_ok=True)
    for name in os.listdir(folder):
        nofollow.remove_tree(folder / name)


def _renew_dot_git(place: Place, folder: Path, source: CloneSource, index: Path) -> None:
    nofollow.remove_tree(folder / ".git")
    write_dot_git(place, folder, source, source.commit)
    shutil.copy2(index, folder / ".git/index")


def give_target(folder: Path, sha: str) -> bool:
    """Set `refs/at/target` of the clone in `folder`; False if its `.git` does not allow it."""
    nofollow.release(folder, f".git/{TARGET_REF}")
    return nofollow.replace(folder, f".git/{TARGET_REF}", f"{checked_sha(sha)}\n".encode(), None)
