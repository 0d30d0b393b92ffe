"""The attic: everything an agent's folder holds, on one hidden ref, before anything is removed.

An entry is one commit: its tree is the folder's files (not the ignored ones), its first parent the clone's HEAD, the
further parents whatever else branches, stashes, the index, the reflogs and an unfinished operation of the clone name
and the person's own branches, remotes' branches and tags do not contain. Its message says which ref was where, so that
`restore` can put them back. Entries are read in `entries`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import nofollow, private, unfinished
from at_daemon.git.clone_index import copy_index, has_index
from at_daemon.git.entries import FILES, OURS, AtticEntry, attic_entries
from at_daemon.git.errors import BadObjects, GitFailed, NotARepository, Unreadable
from at_daemon.git.head import peeled
from at_daemon.git.names import ATTIC, checked_ref, is_ref
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import folder_git, gitlinks
from at_daemon.git.refs import Move, move_refs, next_attic_ref, read_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.scratch import scratch_folder
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.snapshot import Snapshot, take_snapshot
from at_daemon.git.transport import blinded, bring_objects, objects_of

MOST_IGNORED = 1000
_OF_REMOTES = "refs/remotes/"
_KEPT = "refs/kept/"
"""Where a restored clone has what its reflogs named."""
_BESIDE = {"reason", "ignored"}
"""What an entry tells, and nothing comes back from."""


@dataclass(frozen=True)
class _Keeping:
    """One folder being kept. `git` works on the person's repository with the folder as working tree.

    `given` are the refs of the person that a clone is given, as they are now.
    """

    place: Place
    folder: Path
    git: Git
    settings: Settings
    found: private.Found
    given: Mapping[str, str]

    @property
    def mine(self) -> frozenset[str]:
        """What the person's refs name: their history is safe without an entry."""
        return frozenset(self.given.values())


@dataclass(frozen=True)
class _Contents:
    """What an entry is made of; `named` are the clone's refs that are worth putting back, the rest as in `AtticEntry`."""

    tree: str
    parents: tuple[str, ...]
    named: Mapping[str, str]
    incomplete: tuple[str, ...]
    nested: tuple[str, ...]
    changed: bool
    staged: str | None = None
    conflicts: str | None = None
    state: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    """Notes about what can be had back all the same."""


@dataclass(frozen=True)
class _Index:
    """What the clone's index says besides the files: `staged` and `conflicts` as in `AtticEntry`."""

    staged: str | None = None
    conflicts: str | None = None
    unreadable: bool = False

    @property
    def commits(self) -> list[str]:
        return [sha for sha in (self.staged, self.conflicts) if sha not in (None, FILES)]


async def keep(rig: Path, folder: Path, bead_id: str, reason: str, *, date: int | None = None) -> AtticEntry:
    """Keep what is in `folder` on `refs/at/attic/<bead>/<n>` and give the entry.

    Kept: files (changed, new, staged), commits of every branch, stash and reflog of the clone. Listed, not kept:
    ignored files. Doing it twice gives the same entry while nothing changed. A clone whose history is damaged gives
    its files alone, and the entry says so. A repository inside the folder has an entry of its own, named in `notes`.
    What was made unreadable is opened; raises `Unreadable` where that is not ours to do.
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
    refs = await read_refs(place.git, "refs/heads/", "refs/tags/", _OF_REMOTES)
    given = {name: ref.sha for name, ref in refs.items() if not name.startswith("refs/heads/at/")}
    await _open_up(request.folder, ".git")
    found = await to_thread.run_sync(private.read_clone, request.folder)
    git = folder_git(place, request.folder, settings, request.scratch / "index")
    keeping = _Keeping(place, request.folder, git, settings, found, given)
    contents = await _contents(keeping)
    nested = await _keep_nested(keeping, contents, request)
    notes = (*contents.told, *contents.incomplete, *(note for _, note in nested.values()))
    if request.inner and not contents.changed:
        return None
    body = {
        "bead_id": request.bead_id,
        "reason": request.reason,
        "head_ref": found.head_ref,
        "refs": dict(contents.named),
        "ignored": await _ignored(git),
        "notes": notes,
        "incomplete": contents.incomplete,
        "staged": contents.staged,
        "conflicts": contents.conflicts,
        "state": dict(contents.state),
        "nested": {path: ref for path, (ref, _) in nested.items()},
    }
    return await _write_entry(keeping, contents, body, request.date)


async def _write_entry(
    keeping: _Keeping, contents: _Contents, body: Mapping[str, object], date: int | None
) -> AtticEntry:
    git = keeping.place.git
    bead_id = str(body["bead_id"])
    there = await attic_entries(keeping.place.top, bead_id)
    for entry in there:
        if entry.whole and _is_of(entry, contents, body):
            return entry
    message = f"{OURS}{bead_id}\n\n{json.dumps(body)}\n"
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


def _is_of(entry: AtticEntry, contents: _Contents, body: Mapping[str, object]) -> bool:
    """Whether all that the entry would give back is as the folder has it."""
    has = {name: getattr(entry, name) for name in body.keys() - _BESIDE}
    same = (entry.tree, entry.parents) == (contents.tree, contents.parents)
    return same and all(value == body[name] for name, value in has.items())


async def _contents(keeping: _Keeping) -> _Contents:
    """What the clone holds, with its objects brought over; only the files if its history cannot be."""
    try:
        if keeping.found.usable:
            return await _with_history(keeping)
        note = "the clone had no usable .git, its files are kept"
    except BadObjects as error:
        note = f"the clone's history could not be kept, its files are ({error.message})"
    return await _files_alone(keeping, note)


async def _open_up(folder: Path, path: str) -> None:
    """Have all below be readable; raises `Unreadable`."""
    troubles = await to_thread.run_sync(nofollow.open_up, folder, path)
    if any(isinstance(trouble, PermissionError) for trouble in troubles):
        raise Unreadable(folder, [path])


async def _snapshot(git: Git, folder: Path, commit: str | None) -> Snapshot:
    """The folder's tree, with what was made unreadable opened for it."""
    found = await take_snapshot(git, folder, commit)
    if not (closed := await to_thread.run_sync(_closed, folder, found)):
        return found
    await to_thread.run_sync(nofollow.open_up, folder)
    found = await take_snapshot(git, folder, commit)
    if closed := await to_thread.run_sync(_closed, folder, found):
        raise Unreadable(folder, closed)
    return found


def _closed(folder: Path, found: Snapshot) -> list[str]:
    """What there may be work in; a pipe or a device has none, and no right is wanting where no path leads to."""
    return [path for path in found.unreadable if not nofollow.is_special(folder / path)]


async def _with_history(keeping: _Keeping) -> _Contents:
    source = objects_of(keeping.folder)
    seeing = blinded(keeping.git, source)
    claimed = await _without_what_was_given(
        keeping, await to_thread.run_sync(_claims, keeping.folder, keeping.found)
    )
    commits = await peeled(seeing, claimed.values())
    mine = keeping.mine
    fresh = await _independent(seeing, [sha for sha in commits.values() if sha not in mine], mine)
    head = keeping.found.head
    if head is None or not await peeled(seeing, [head]):
        raise BadObjects("HEAD names no commit")
    snapshot = await _snapshot(seeing, keeping.folder, head)
    tree = snapshot.tree or await seeing.text("rev-parse", f"{head}^{{tree}}")
    index = await _index(keeping, seeing, head, tree, bool(snapshot.unmerged))
    patches = await unfinished.patches_of(seeing, keeping.folder, keeping.found)
    if patches is not None:
        fresh.append(await _commit(keeping, seeing, patches, (head,)))
    parents = tuple(dict.fromkeys([head, *fresh, *index.commits]))
    # A stand-in holds the new tree while it is packed together with the history.
    held = await _commit(keeping, seeing, tree, (head,))
    await bring_objects(keeping.place.git, source, [*parents, held], sorted(mine))
    named = {name: commits[sha] for name, sha in claimed.items() if sha in commits and is_ref(name)}
    marked = f"conflicts were not resolved in {', '.join(map(repr, snapshot.unmerged[:5]))}"
    if patches is not None:
        named[unfinished.PATCHES] = fresh[-1]
    lost = [*unfinished.lost(keeping.folder, keeping.found, patches=patches is not None)]
    if snapshot.unmerged and index.conflicts is None:
        lost.append(f"{marked}: kept with their markers, as any other change")
    if index.unreadable:
        lost.append("what was staged is not kept: git cannot read the folder's index")
    return _Contents(
        tree=tree,
        parents=parents,
        named=named,
        incomplete=(*lost, *_unreadable(snapshot)),
        nested=await _nested(keeping, snapshot, head),
        changed=bool(snapshot.tree or index.commits or fresh),
        staged=index.staged,
        conflicts=index.conflicts,
        state=await to_thread.run_sync(unfinished.read_state, keeping.folder, keeping.found),
        told=(marked,) if index.conflicts else (),
    )


async def _files_alone(keeping: _Keeping, note: str) -> _Contents:
    assert keeping.git.index is not None
    keeping.git.index.unlink(missing_ok=True)
    snapshot = await _snapshot(keeping.git, keeping.folder, None)
    tree = snapshot.tree or await keeping.git.text("write-tree")
    return _Contents(tree, (), {}, (note, *_unreadable(snapshot)), snapshot.nested, True)


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
    free = (name for number in count() if (name := f"{_KEPT}{number}") not in claims)
    for sha in private.remembered(folder):
        if sha not in seen:
            seen.add(sha)
            claims[next(free)] = sha
    return claims


async def _without_what_was_given(keeping: _Keeping, claimed: Mapping[str, str]) -> dict[str, str]:
    """The claims without the refs that are as the person has them, and without remotes' branches as they had them once."""
    mine = keeping.mine
    own = {
        name: sha
        for name, sha in claimed.items()
        if keeping.given.get(name) != sha and not (name.startswith(_KEPT) and sha in mine)
    }
    of_remotes = [sha for name, sha in own.items() if name.startswith(_OF_REMOTES)]
    had = await peeled(keeping.place.git, of_remotes)
    return {name: sha for name, sha in own.items() if not (name.startswith(_OF_REMOTES) and sha in had)}


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


async def _index(keeping: _Keeping, git: Git, head: str, tree: str, unmerged: bool) -> _Index:
    """What is staged (`FILES` where it is the tree of the files, None where it is HEAD's), and what is in conflict."""
    assert git.index is not None
    index = git.index.with_name("staged")
    if await copy_index(git, keeping.folder, index) is None:
        return _Index(unreadable=has_index(keeping.folder))
    conflicts = None
    own = git.having(index=index)
    try:
        if unmerged:
            versions = await unfinished.conflicts_out_of(own)
            conflicts = await _commit(keeping, git, versions, (head,))
        staged = await own.text("write-tree", limit=LONG)
    except GitFailed:
        # It cannot be read, or names what is not there: the files are kept all the same.
        return _Index(unreadable=True)
    if staged == await git.text("rev-parse", f"{head}^{{tree}}"):
        return _Index(None, conflicts)
    return _Index(FILES if staged == tree else await _commit(keeping, git, staged, (head,)), conflicts)


async def _nested(keeping: _Keeping, snapshot: Snapshot, head: str) -> tuple[str, ...]:
    """Repositories inside the folder: those git came upon, and filled submodules (it does not look into these)."""
    links = await gitlinks(keeping.git.having(alternates=(objects_of(keeping.folder),)), head)
    filled = [path for path, _ in links if nofollow.is_directory(keeping.folder, f"{path}/.git")]
    return tuple(dict.fromkeys([*snapshot.nested, *filled]))


async def _keep_nested(
    keeping: _Keeping, contents: _Contents, request: _Request
) -> dict[str, tuple[str, str]]:
    """Path to entry and a sentence about it, of what was kept beside the folder itself."""
    kept = {}
    for number, path in enumerate(contents.nested):
        if not nofollow.is_directory(keeping.folder, path):
            continue
        rig = home_of_nested(keeping.place, path)
        scratch = request.scratch / str(number)
        scratch.mkdir()
        reason = f"{request.reason} (inside {path!r})"
        inner = replace(
            request, rig=rig, folder=keeping.folder / path, scratch=scratch, reason=reason, inner=True
        )
        entry = await _keep(inner)
        if entry is not None:
            kept[path] = (
                entry.ref,
                f"the repository inside {path!r} is kept on {entry.ref} of {str(rig)!r}",
            )
    return kept


def home_of_nested(place: Place, path: str) -> Path:
    """Where a repository inside a folder is kept: a submodule in the person's own copy of it, else in the rig."""
    try:
        return locate(place.top / path).top
    except NotARepository:
        return place.top


async def _ignored(git: Git) -> list[str]:
    arguments = ("-z", "--others", "--ignored", "--exclude-standard", "--directory")
    listed = (await git.run("ls-files", *arguments, limit=LONG)).stdout
    return [os.fsdecode(path) for path in listed.split(b"\0") if path][:MOST_IGNORED]


def _unreadable(snapshot: Snapshot) -> Iterator[str]:
    yield from (f"{path!r} could not be read and is not kept" for path in snapshot.unreadable)
    for path in snapshot.unencoded:
        yield f"{path!r} is not encoded as its attributes say: kept as it lies, but git converts it where it is put back"
