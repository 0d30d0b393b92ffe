"""Out of the attic again: into a folder that is not there yet, or onto a branch that is not there yet."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from at_core.errors import Duplicate
from at_daemon.git import nofollow, unfinished
from at_daemon.git.entries import FILES, AtticEntry, entries_of
from at_daemon.git.errors import BadName, FolderInTheWay, GitFailed, NotARepository, RevisionMissing
from at_daemon.git.filters import filter_notes
from at_daemon.git.head import looked_up
from at_daemon.git.include import carry_included
from at_daemon.git.inside import made_bare
from at_daemon.git.names import ATTIC, checked_branch, checked_ref, is_sha
from at_daemon.git.nested import nested_entry
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import folder_git, look, plant_submodules, write_dot_git
from at_daemon.git.refs import Move, move_refs, read_refs
from at_daemon.git.run import LONG
from at_daemon.git.scratch import move_into_place, scratch_folder
from at_daemon.git.settings import FALLBACK, read_settings
from at_daemon.git.stashes import write_stashes
from at_daemon.git.tags import tags_of, write_tags

_MARK = ".git/at-restored"


@dataclass(frozen=True)
class Restored:
    """What was put back; `notes` are sentences about what could not be, or what came beside it."""

    entry: AtticEntry
    notes: tuple[str, ...]


async def restore(
    rig: Path, attic_ref: str, folder: Path, *, ours: bool = True, checkout: Path | None = None
) -> Restored:
    """Make `folder` (not there yet, or empty) a private clone as it was kept: branches, HEAD, uncommitted files.

    It is made beside its place and renamed into it, so a folder that exists is whole. Repositories inside it come
    back too, and so do the ignored files that `.worktreeinclude` names. `ours`: it lies among the work folders.
    `checkout`: another of the person's working trees that ignored files come from, if it is still there. Raises `RevisionMissing`, `BadName`,
    `FolderInTheWay`.
    """
    place = locate(rig)
    entry = await entry_at(place, attic_ref)
    await to_thread.run_sync(_make_room, folder)
    scratch = await to_thread.run_sync(partial(scratch_folder, folder, ours=ours))
    try:
        notes = await _fill(place, entry, scratch, _still_there(checkout))
        await to_thread.run_sync((scratch / _MARK).write_text, attic_ref)
        await to_thread.run_sync(move_into_place, scratch, folder)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    return Restored(entry, notes)


async def entry_at(place: Place, attic_ref: str) -> AtticEntry:
    """The entry on that ref. Raises `BadName`, `RevisionMissing`."""
    if not checked_ref(attic_ref).startswith(ATTIC):
        raise BadName("attic ref", attic_ref)
    bead_id = attic_ref.removeprefix(ATTIC).rpartition("/")[0]
    entry = next((e for e in await entries_of(place.git, bead_id) if e.ref == attic_ref), None)
    if entry is None:
        raise RevisionMissing(place.top, attic_ref)
    return entry


def restored_from(folder: Path) -> str | None:
    """The ref that `restore` made the folder from; None for any other folder."""
    found = nofollow.read(folder, _MARK, 4096)
    return None if found is None else found.decode("utf-8", "replace")


def _still_there(checkout: Path | None) -> Place | None:
    with suppress(NotARepository):
        return locate(checkout) if checkout is not None else None
    return None


async def _fill(
    place: Place,
    entry: AtticEntry,
    scratch: Path,
    checkout: Place | None = None,
    around: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Fill the empty `scratch`; `around` are the entries that this one lies inside of. One that lies inside has refs and files of its own alone."""
    head = entry.head
    source = await look(place, head)
    tags = await tags_of(place.git, entry.hung)
    stashes = [(sha, said) for sha, _, said in (line.partition(" ") for line in entry.stashes) if is_sha(sha)]
    ends = {name: tags.end(sha) for name, sha in entry.refs.items()} | {
        f"stash {sha}": sha for sha, _ in stashes
    }
    found = await looked_up(place.git, list(ends.values()))
    there = {sha for sha, answer in zip(ends.values(), found, strict=True) if answer is not None}
    gone = {name: sha for name, sha in ends.items() if sha not in there}
    refs = {name: sha for name, sha in entry.refs.items() if name not in gone}
    peeled = {name: ends[name] for name, sha in refs.items() if ends[name] != sha}
    if not around:
        given = source.peeled.items()
        refs, peeled = {**source.refs, **refs}, {**{k: v for k, v in given if k not in refs}, **peeled}
    source = replace(source, refs=refs, peeled=peeled)
    unborn = entry.unborn and entry.head_ref is not None
    write = partial(write_dot_git, place, scratch, source, entry.head_ref or head, unborn=unborn)
    await to_thread.run_sync(write)
    await to_thread.run_sync(write_tags, scratch / ".git/objects", tags)
    kept = [(sha, said) for sha, said in stashes if sha in there]
    await to_thread.run_sync(write_stashes, scratch / ".git", kept)
    git = folder_git(place, scratch, source.settings, scratch / ".git/index")
    # A repository inside may lie in a tracked folder, which has its files already.
    await git.run("read-tree", "--reset", "-u", entry.sha, limit=LONG)
    for path in entry.bare:
        await to_thread.run_sync(made_bare, scratch, path)
    staged = entry.sha if entry.staged == FILES else entry.staged or (None if unborn else head)
    await git.run("read-tree", *(("--reset", staged) if staged else ("--empty",)), limit=LONG)
    await unfinished.put_back(git, scratch, entry.conflicts, entry.state)
    notes = tuple(
        f"{name} did not come back: the repository has no object {sha[:12]} any more"
        for name, sha in gone.items()
    )
    notes += (*entry.incomplete, *await plant_submodules(place, scratch, source))
    notes += await _fill_nested(place, entry, scratch, around | {entry.sha})
    notes += await filter_notes(git, scratch, source.settings)
    return notes if around else (*notes, *await carry_included(checkout or place, scratch))


async def _fill_nested(
    place: Place, entry: AtticEntry, scratch: Path, around: frozenset[str]
) -> tuple[str, ...]:
    notes: list[str] = []
    for path in entry.nested:
        inside = scratch / path
        try:
            home, inner = await nested_entry(place, entry, path)
            if inner.sha in around:
                raise BadName("entry inside itself", inner.ref)
            await to_thread.run_sync(_emptied, scratch, inside)
            found = await _fill(home, inner, inside, around=around)
        except (BadName, GitFailed, NotARepository, RevisionMissing) as error:
            notes.append(f"the repository inside {path!r} did not come back: {error.message}")
            continue
        notes += (note for note in found if f"inside {path!r}: {note}" not in entry.incomplete)
    return tuple(notes)


def _emptied(scratch: Path, inside: Path) -> None:
    """Make room for a repository inside the folder; a link on the way is an entry of the tree, and bars it. Files of a
    tracked folder stay: the repository inside may ignore what the one around it does not."""
    parents = [parent for parent in inside.parents if parent.is_relative_to(scratch)]
    if any(parent.is_symlink() for parent in parents):
        raise FolderInTheWay(inside)
    if inside.is_symlink() or not inside.is_dir() or os.path.lexists(inside / ".git"):
        nofollow.remove_tree(inside)
    inside.mkdir(parents=True, exist_ok=True)


async def restore_branch(rig: Path, attic_ref: str, branch: str) -> Restored:
    """Make the new branch `branch` in the person's repository: what was committed, and on it what was not.

    Raises `RevisionMissing`, `BadName`, and `Duplicate` if there is such a branch.
    """
    place = locate(rig)
    entry = await entry_at(place, attic_ref)
    ref = f"refs/heads/{checked_branch(branch)}"
    if ref in await read_refs(place.git, ref):
        raise Duplicate("branch", branch)
    tip = await _as_commit(place, entry)
    await move_refs(place.git, [Move(ref, tip, "")], "at: out of the attic")
    marked = ("conflicts are on it as they lay in the files, with their markers",) if entry.conflicts else ()
    further = [f"what was staged ({entry.staged[:12]})"] if entry.staged not in (None, FILES) else []
    further += [name for name, sha in entry.refs.items() if sha not in (tip, entry.checked_out)]
    further += [f"{len(entry.stashes)} stashes"] if entry.stashes else []
    rest = (f"not on it, and still on {entry.ref}: {', '.join(sorted(further)[:5])}",) if further else ()
    return Restored(entry, (*marked, *entry.incomplete, *rest))


async def _as_commit(place: Place, entry: AtticEntry) -> str:
    head = entry.checked_out
    if head and (not entry.whole or entry.tree == await place.git.text("rev-parse", f"{head}^{{tree}}")):
        return head
    identity = ((await read_settings(place.git)).identity or FALLBACK).environment(entry.kept_at)
    parents = ("-p", head) if head else ()
    message = f"Work of bead {entry.bead_id[:8]} that was not committed\n\nBead: {entry.bead_id}\n"
    writer = place.git.having(env=identity, reads_only=False)
    made = await writer.run("commit-tree", entry.tree, *parents, stdin=message.encode())
    return made.stdout.decode().strip()


def _make_room(folder: Path) -> None:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        raise FolderInTheWay(folder) from None
