"""The attic: everything an agent's folder holds, on one hidden ref, before anything is removed.

An entry is one commit: its tree is the folder's files (not the ignored ones), its first parent the clone's HEAD, the
further parents whatever else branches, stashes, the index and the reflogs of the clone name and the person's own
branches and tags do not contain. Its message says which ref was where, so that `restore` can put them back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import nofollow, private
from at_daemon.git.clone import move_into_place, scratch_folder
from at_daemon.git.errors import (
    BadName,
    BadObjects,
    FolderInTheWay,
    GitFailed,
    NotARepository,
    RevisionMissing,
)
from at_daemon.git.head import peeled
from at_daemon.git.names import ATTIC, checked_ref, is_ref
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import folder_git, gitlinks, look, write_dot_git
from at_daemon.git.refs import Move, move_refs, next_attic_ref, read_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.snapshot import Snapshot, copy_index, take_snapshot
from at_daemon.git.transport import blinded, bring_objects, objects_of

MOST_IGNORED = 1000
_FORMAT = "%(refname)%00%(objectname)%00%(tree)%00%(parent)%00%(creatordate:unix)%00%(contents)%00"


@dataclass(frozen=True)
class AtticEntry:
    """One thing kept. `kept_at` is in seconds since 1970; `ignored` are files that were not kept (at most 1000).

    `whole`: a folder with its files; else only commits that a rewritten branch let go of.
    """

    ref: str
    sha: str
    bead_id: str
    reason: str
    kept_at: int
    tree: str
    parents: tuple[str, ...]
    head_ref: str | None
    refs: Mapping[str, str]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class _Keeping:
    """One folder being kept. `git` works on the person's repository with the folder as working tree."""

    place: Place
    folder: Path
    git: Git
    settings: Settings
    found: private.Found
    mine: frozenset[str]


@dataclass(frozen=True)
class _Contents:
    """What an entry is made of; `named` are the clone's refs that are worth putting back."""

    tree: str
    parents: tuple[str, ...]
    named: Mapping[str, str]
    notes: tuple[str, ...]
    nested: tuple[str, ...]
    changed: bool


async def keep(rig: Path, folder: Path, bead_id: str, reason: str, *, date: int | None = None) -> AtticEntry:
    """Keep what is in `folder` on `refs/at/attic/<bead>/<n>` and give the entry.

    Kept: files (changed, new, staged), commits of every branch, stash and reflog of the clone. Listed, not kept:
    ignored files. Doing it twice gives the same entry while nothing changed. A clone whose history is damaged gives
    its files alone, and the entry says so. A repository inside the folder has an entry of its own, named in `notes`.
    """
    scratch = await to_thread.run_sync(scratch_folder, folder)
    try:
        entry = await _keep(_Request(rig, folder, scratch, bead_id, reason, date))
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    assert entry is not None
    return entry


@dataclass(frozen=True)
class _Request:
    """`inner` folders lie inside another one and get an entry only if something in them is new."""

    rig: Path
    folder: Path
    scratch: Path
    bead_id: str
    reason: str
    date: int | None
    inner: bool = False


async def _keep(request: _Request) -> AtticEntry | None:
    place = locate(request.rig)
    checked_ref(next_attic_ref(request.bead_id, {}))
    settings = await read_settings(place.git)
    refs = await read_refs(place.git, "refs/heads/", "refs/tags/")
    known = frozenset(ref.sha for name, ref in refs.items() if not name.startswith("refs/heads/at/"))
    found = await to_thread.run_sync(private.read_clone, request.folder)
    git = folder_git(place, request.folder, settings, request.scratch / "index")
    keeping = _Keeping(place, request.folder, git, settings, found, known)
    contents = await _contents(keeping)
    notes = [*contents.notes, *await _keep_nested(keeping, contents, request)]
    if request.inner and not contents.changed:
        return None
    body = {
        "bead_id": request.bead_id,
        "reason": request.reason,
        "head_ref": found.head_ref,
        "refs": dict(contents.named),
        "ignored": await _ignored(git),
        "notes": notes,
    }
    return await _write_entry(keeping, replace(contents, notes=tuple(notes)), body, request.date)


async def _write_entry(
    keeping: _Keeping, contents: _Contents, body: Mapping[str, object], date: int | None
) -> AtticEntry:
    git = keeping.place.git
    bead_id = str(body["bead_id"])
    there = await attic_entries(keeping.place.top, bead_id)
    for entry in there:
        if (entry.tree, entry.parents, entry.notes) == (contents.tree, contents.parents, contents.notes):
            return entry
    message = f"Keep the folder of bead {bead_id}\n\n{json.dumps(body)}\n"
    identity = (keeping.settings.identity or FALLBACK).environment(date)
    parents = [word for parent in contents.parents for word in ("-p", parent)]
    writer = git.having(env=identity, reads_only=False)
    sha = (
        (await writer.run("commit-tree", contents.tree, *parents, stdin=message.encode()))
        .stdout.decode()
        .strip()
    )
    ref = next_attic_ref(bead_id, await read_refs(git, f"{ATTIC}{bead_id}/"))
    await move_refs(git, [Move(ref, sha, "")], "at: keep")
    return next(entry for entry in await attic_entries(keeping.place.top, bead_id) if entry.ref == ref)


async def _contents(keeping: _Keeping) -> _Contents:
    """What the clone holds, with its objects brought over; only the files if its history cannot be."""
    try:
        if keeping.found.usable:
            return await _with_history(keeping)
        note = "the clone had no usable .git, its files are kept"
    except BadObjects as error:
        note = f"the clone's history could not be kept, its files are ({error.message})"
    return await _files_alone(keeping, note)


async def _with_history(keeping: _Keeping) -> _Contents:
    source = objects_of(keeping.folder)
    seeing = blinded(keeping.git, source)
    claimed = await to_thread.run_sync(_claims, keeping.folder, keeping.found)
    commits = await peeled(seeing, [sha for sha in claimed.values() if sha not in keeping.mine])
    fresh = await _independent(seeing, list(commits.values()), keeping.mine)
    head = keeping.found.head
    if head is None or not await peeled(seeing, [head]):
        raise BadObjects("HEAD names no commit")
    snapshot = await take_snapshot(seeing, keeping.folder, head)
    tree = snapshot.tree or await seeing.text("rev-parse", f"{head}^{{tree}}")
    staged = await _staged_commit(keeping, seeing, head, tree)
    parents = tuple(dict.fromkeys([head, *fresh, *staged]))
    # A stand-in holds the new tree while it is packed together with the history.
    held = await _commit(keeping, seeing, tree, (head,))
    await bring_objects(keeping.place.git, source, [*parents, held], sorted(keeping.mine))
    named = {name: commits[sha] for name, sha in claimed.items() if sha in commits and is_ref(name)}
    changed = bool(snapshot.tree or staged or fresh)
    nested = await _nested(keeping, snapshot, head)
    return _Contents(tree, parents, named, _notes(snapshot), nested, changed)


async def _files_alone(keeping: _Keeping, note: str) -> _Contents:
    assert keeping.git.index is not None
    keeping.git.index.unlink(missing_ok=True)
    snapshot = await take_snapshot(keeping.git, keeping.folder, None)
    tree = snapshot.tree or await keeping.git.text("write-tree")
    return _Contents(tree, (), {}, (note, *_notes(snapshot)), snapshot.nested, True)


async def _commit(keeping: _Keeping, git: Git, tree: str, parents: tuple[str, ...]) -> str:
    identity = (keeping.settings.identity or FALLBACK).environment(0)
    named = [word for parent in parents for word in ("-p", parent)]
    return await git.having(env=identity).text("commit-tree", "-m", "kept", tree, *named)


def _claims(folder: Path, found: private.Found) -> dict[str, str]:
    """Name to sha of everything that the clone's files name: refs first, then what only reflogs remember."""
    claims = dict(private.all_refs(folder))
    if found.head is not None:
        claims.setdefault("HEAD", found.head)
    seen = set(claims.values())
    for number, sha in enumerate(private.remembered(folder)):
        if sha not in seen:
            seen.add(sha)
            claims[f"refs/kept/{number}"] = sha
    return claims


async def _independent(git: Git, tips: list[str], known: frozenset[str]) -> list[str]:
    """The tips that neither the known commits nor other tips contain."""
    if not tips:
        return []
    feed = "".join(f"{sha}\n" for sha in dict.fromkeys(tips)) + "".join(f"^{sha}\n" for sha in sorted(known))
    try:
        listed = await git.run(
            "rev-list", "--topo-order", "--parents", "--stdin", stdin=feed.encode(), limit=LONG
        )
    except GitFailed as error:
        raise BadObjects(error.message) from None
    reached: set[str] = set()
    alone: list[str] = []
    for line in listed.stdout.decode().splitlines():
        commit, *parents = line.split(" ")
        if commit in tips and commit not in reached:
            alone.append(commit)
        reached.update(parents)
    return alone


async def _staged_commit(keeping: _Keeping, git: Git, head: str, tree: str) -> list[str]:
    """What is staged, as a commit, where it is neither HEAD's tree nor that of the files."""
    assert git.index is not None
    index = git.index.with_name("staged")
    if await to_thread.run_sync(copy_index, keeping.folder, index) is None:
        return []
    try:
        staged = await git.having(index=index).text("write-tree", limit=LONG)
    except GitFailed:
        # Conflicts are in the index, or it cannot be read: the files are kept all the same.
        return []
    if staged in (tree, await git.text("rev-parse", f"{head}^{{tree}}")):
        return []
    return [await _commit(keeping, git, staged, (head,))]


async def _nested(keeping: _Keeping, snapshot: Snapshot, head: str) -> tuple[str, ...]:
    """Repositories inside the folder: those git came upon, and filled submodules (it does not look into these)."""
    links = await gitlinks(keeping.git.having(alternates=(objects_of(keeping.folder),)), head)
    filled = [path for path, _ in links if nofollow.is_directory(keeping.folder, f"{path}/.git")]
    return tuple(dict.fromkeys([*snapshot.nested, *filled]))


async def _keep_nested(keeping: _Keeping, contents: _Contents, request: _Request) -> list[str]:
    """A submodule is kept in the person's own repository of it, any other one in the rig."""
    notes = []
    for number, path in enumerate(contents.nested):
        if not nofollow.is_directory(keeping.folder, path):
            continue
        try:
            rig = locate(keeping.place.top / path).top
        except NotARepository:
            rig = keeping.place.top
        scratch = request.scratch / str(number)
        scratch.mkdir()
        reason = f"{request.reason} (inside {path!r})"
        inner = replace(
            request, rig=rig, folder=keeping.folder / path, scratch=scratch, reason=reason, inner=True
        )
        entry = await _keep(inner)
        if entry is not None:
            notes.append(f"the repository inside {path!r} is kept on {entry.ref} of {str(rig)!r}")
    return notes


async def _ignored(git: Git) -> list[str]:
    arguments = ("-z", "--others", "--ignored", "--exclude-standard", "--directory")
    listed = (await git.run("ls-files", *arguments, limit=LONG)).stdout
    return [os.fsdecode(path) for path in listed.split(b"\0") if path][:MOST_IGNORED]


def _notes(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(f"{path!r} could not be read and is not kept" for path in snapshot.unreadable)


async def attic_entries(rig: Path, bead_id: str | None = None) -> list[AtticEntry]:
    """All entries of the attic, or those of one bead, by ref."""
    prefix = checked_ref(f"{ATTIC}{bead_id}") + "/" if bead_id else ATTIC
    listed = os.fsdecode((await locate(rig).git.run("for-each-ref", f"--format={_FORMAT}", prefix)).stdout)
    fields = listed.split("\0")
    rows = zip(*(fields[offset::6] for offset in range(6)), strict=False)
    return [_entry(*row) for row in rows]


def _entry(ref: str, sha: str, tree: str, parents: str, date: str, message: str) -> AtticEntry:
    ref = ref.lstrip("\n")
    body = _body(message)
    texts = {key: value for key, value in body.items() if isinstance(value, str)}
    refs = body.get("refs")
    lists = {key: tuple(map(str, value)) for key, value in body.items() if isinstance(value, list)}
    return AtticEntry(
        ref=ref,
        sha=sha,
        bead_id=ref.removeprefix(ATTIC).rpartition("/")[0],
        reason=texts.get("reason", "its history was rewritten"),
        kept_at=int(date or 0),
        tree=tree,
        parents=tuple(parents.split()),
        head_ref=texts.get("head_ref"),
        refs={str(name): str(value) for name, value in refs.items()} if isinstance(refs, dict) else {},
        ignored=lists.get("ignored", ()),
        notes=lists.get("notes", ()),
        whole=bool(body),
    )


def _body(message: str) -> dict[str, object]:
    """The record in an entry's message; commits set aside by `collect` are the agent's own and have none."""
    try:
        found = json.loads(message.strip().rpartition("\n")[2])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def restore(rig: Path, attic_ref: str, folder: Path) -> AtticEntry:
    """Make `folder` (not there yet, or empty) a private clone as it was kept: branches, HEAD, uncommitted files.

    Raises `RevisionMissing`, `BadName`, `FolderInTheWay`.
    """
    if not checked_ref(attic_ref).startswith(ATTIC):
        raise BadName("attic ref", attic_ref)
    place = locate(rig)
    bead_id = attic_ref.removeprefix(ATTIC).rpartition("/")[0]
    entry = next((e for e in await attic_entries(rig, bead_id) if e.ref == attic_ref), None)
    if entry is None:
        raise RevisionMissing(rig, attic_ref)
    await to_thread.run_sync(_make_room, folder)
    head = entry.parents[0] if entry.whole and entry.parents else entry.sha
    source = await look(place, head)
    source = replace(source, refs={**source.refs, **entry.refs})
    scratch = await to_thread.run_sync(scratch_folder, folder)
    try:
        await to_thread.run_sync(write_dot_git, place, scratch, source, entry.head_ref or head)
        git = folder_git(place, scratch, source.settings, scratch / ".git/index")
        await git.run("read-tree", "-m", "-u", entry.sha, limit=LONG)
        await git.run("read-tree", "--reset", head, limit=LONG)
        await to_thread.run_sync(move_into_place, scratch, folder)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    return entry


def _make_room(folder: Path) -> None:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        raise FolderInTheWay(folder) from None
