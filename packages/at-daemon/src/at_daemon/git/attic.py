"""The attic: everything an agent's folder holds, on one hidden ref, before anything is removed.

An entry is one commit: its tree is the folder's files (not the ignored ones), its first parent the clone's HEAD (unless
that is an unborn branch), the further parents whatever else branches, stashes, the index, the reflogs and an unfinished operation of the clone name
and the person's own branches, remotes' branches and tags do not contain. Its message says which ref was where, so that
`restore` can put them back. Entries are read in `entries`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import lfs, nofollow, private, unfinished
from at_daemon.git.clone_index import copy_index, has_index
from at_daemon.git.entries import FILES, OURS, AtticEntry, entries_of
from at_daemon.git.errors import BadObjects, GitFailed, Unreadable
from at_daemon.git.history import (
    Clone,
    History,
    each_alone,
    independent,
    known_of,
    read_history,
    shortened,
    unkept,
)
from at_daemon.git.inside import Inside, git_dir_of, laid_out_as_clone, repositories_inside
from at_daemon.git.names import ATTIC, checked_ref
from at_daemon.git.nested import home_of_nested, inside, name_of_home
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import folder_git
from at_daemon.git.refs import Move, move_refs, next_attic_ref, read_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.scratch import scratch_folder
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.snapshot import Snapshot, take_snapshot
from at_daemon.git.transport import blinded, bring_each, bring_objects

MOST_IGNORED = 1000
_GIVEN = ("refs/heads/", "refs/tags/", "refs/remotes/")
_BESIDE = {"reason", "ignored"}
"""What an entry tells, and nothing comes back from."""


@dataclass(frozen=True)
class _Keeping:
    """One folder being kept. `git` works on the person's repository with the folder as working tree.

    `around` are the folders with a `.git` of their own that it lies in, itself among them.
    """

    place: Place
    folder: Path
    git: Git
    settings: Settings
    clone: Clone
    around: tuple[Path, ...]

    @property
    def found(self) -> private.Found:
        return self.clone.found

    @property
    def seeing(self) -> Git:
        """`git` that sees the clone's objects too."""
        return blinded(self.git, self.clone.source)


@dataclass(frozen=True)
class _Contents:
    """What an entry is made of, as in `AtticEntry`; `refs` are those of the clone that are worth putting back."""

    tree: str
    parents: tuple[str, ...]
    refs: Mapping[str, str]
    incomplete: tuple[str, ...]
    nested: tuple[Inside, ...]
    changed: bool
    bare: tuple[str, ...] = ()
    unborn: bool = False
    hung: str | None = None
    stashes: tuple[str, ...] = ()
    staged: str | None = None
    conflicts: str | None = None
    state: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    """Notes about what can be had back all the same."""


@dataclass(frozen=True)
class _Index:
    """What the clone's index says besides the files: `staged` and `conflicts` as in `AtticEntry`; and the patches of an am."""

    staged: str | None = None
    conflicts: str | None = None
    patches: str | None = None
    lost: str | None = None
    """Why nothing can be told."""

    @property
    def commits(self) -> list[str]:
        return [sha for sha in (self.staged, self.conflicts, self.patches) if sha not in (None, FILES)]

    @property
    def refs(self) -> dict[str, str]:
        """What of it a restored clone has by a name."""
        return {} if self.patches is None else {unfinished.PATCHES: self.patches}


async def keep(rig: Path, folder: Path, bead_id: str, reason: str, *, date: int | None = None) -> AtticEntry:
    """Keep what is in `folder` on `refs/at/attic/<bead>/<n>` and give the entry.

    Kept: files (changed, new, staged), commits of every branch, stash and reflog of the clone. Listed, not kept:
    ignored files. Doing it twice gives the same entry while nothing changed. What is damaged in the clone is left out,
    and the entry says so. A repository inside the folder has an entry of its own, named in `notes`. What was made
    unreadable is opened; raises `Unreadable` where that is not ours to do, `HistoryUnkept` for commits that are whole
    and that git does not take.
    """
    scratch = await to_thread.run_sync(scratch_folder, folder)
    try:
        entry = await _keep(_Request(locate(rig), folder, scratch, bead_id, reason, date))
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    assert entry is not None
    return entry


@dataclass(frozen=True)
class _Request:
    """`inner` folders lie inside those `around` and get an entry only if something in them is new; the commit of a
    submodule that is `recorded` around it is not."""

    place: Place
    folder: Path
    scratch: Path
    bead_id: str
    reason: str
    date: int | None
    inner: bool = False
    around: tuple[Path, ...] = ()
    recorded: str | None = None


async def _keep(request: _Request) -> AtticEntry | None:
    place = request.place
    checked_ref(next_attic_ref(request.bead_id, {}))
    settings = await read_settings(place.git)
    refs = {name: ref.sha for name, ref in (await read_refs(place.git)).items()}
    given = {name: sha for name, sha in refs.items() if _is_given(name)}
    known = await known_of(place.git, refs.values(), request.recorded)
    await _open_up(request.folder, ".git")
    around, with_git, git_dir = await to_thread.run_sync(_git_dir, request)
    found = await to_thread.run_sync(private.read_clone, with_git)
    git = folder_git(place, request.folder, settings, request.scratch / "index")
    identity = (settings.identity or FALLBACK).environment(0)
    writer = place.git.having(env=identity, reads_only=False)
    mine = frozenset(sha for sha in given.values() if sha in known)
    own = None if request.inner else given
    clone = Clone(writer, with_git, git_dir, request.bead_id, found, own, mine, frozenset(known.values()))
    keeping = _Keeping(place, request.folder, git.having(env=identity), settings, clone, around)
    contents = await _contents(keeping)
    stored = await to_thread.run_sync(lfs.bring_contents, place, settings, with_git)
    nested = await _keep_nested(keeping, contents, request)
    incomplete = (
        *contents.incomplete,
        *(note for path, (_, e) in nested.items() for note in _of_inside(path, e)),
    )
    notes = (*contents.told, *incomplete, *stored, *(_where(path, *found) for path, found in nested.items()))
    head = contents.parents[0] if contents.parents and not contents.unborn else None
    if request.inner and not (contents.changed or incomplete or nested or head != request.recorded):
        return None
    body = {
        "bead_id": request.bead_id,
        "reason": request.reason,
        "head_ref": found.head_ref,
        "refs": dict(contents.refs),
        "unborn": contents.unborn,
        "hung": contents.hung,
        "bare": contents.bare,
        "stashes": contents.stashes,
        "ignored": await _ignored(git),
        "notes": notes,
        "incomplete": incomplete,
        "staged": contents.staged,
        "conflicts": contents.conflicts,
        "state": dict(contents.state),
        "nested": {path: entry.ref for path, (_, entry) in nested.items()},
        "nested_shas": {path: entry.sha for path, (_, entry) in nested.items()},
        "nested_homes": {path: name_of_home(place, home) for path, (home, _) in nested.items()},
    }
    return await _write_entry(keeping, contents, body, request.date)


def _is_given(name: str) -> bool:
    """Whether a ref of the person's repository is one that clones are given."""
    return name.startswith(_GIVEN) and not name.startswith("refs/heads/at/")


async def _write_entry(
    keeping: _Keeping, contents: _Contents, body: Mapping[str, object], date: int | None
) -> AtticEntry:
    git = keeping.place.git
    bead_id = str(body["bead_id"])
    for entry in await entries_of(git, bead_id):
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
    return next(entry for entry in await entries_of(git, bead_id) if entry.ref == ref)


def _is_of(entry: AtticEntry, contents: _Contents, body: Mapping[str, object]) -> bool:
    """Whether all that the entry would give back is as the folder has it."""
    has = {name: getattr(entry, name) for name in body.keys() - _BESIDE}
    same = (entry.tree, entry.parents) == (contents.tree, contents.parents)
    return same and all(value == body[name] for name, value in has.items())


async def _contents(keeping: _Keeping) -> _Contents:
    """What the clone holds, with its objects brought over; what of it is damaged is left out."""
    if not keeping.found.usable:
        return await _files_alone(keeping, "the clone had no usable .git, its files are kept")
    history = await read_history(keeping.clone)
    with suppress(BadObjects, GitFailed):
        return await _whole(keeping, history)
    # The files have what is damaged, perhaps: they go before the history.
    await _snapshot_of_all(keeping)
    history = await each_alone(keeping.clone, history)
    with suppress(BadObjects, GitFailed):
        return await _whole(keeping, history)
    return await _files_anew(keeping, history)


async def _open_up(folder: Path, path: str) -> None:
    """Have all below be readable; raises `Unreadable`."""
    troubles = await to_thread.run_sync(nofollow.open_up, folder, path)
    if any(isinstance(trouble, PermissionError) for trouble in troubles):
        raise Unreadable(folder, [path])


async def _snapshot(keeping: _Keeping, git: Git, commit: str | None) -> Snapshot:
    """The folder's tree, with what was made unreadable opened for it."""
    folder, clone = keeping.folder, keeping.clone.folder
    found = await take_snapshot(git, folder, commit, clone=clone)
    if not (closed := await to_thread.run_sync(_closed, folder, found)):
        return found
    await to_thread.run_sync(nofollow.open_up, folder)
    found = await take_snapshot(git, folder, commit, clone=clone)
    if closed := await to_thread.run_sync(_closed, folder, found):
        raise Unreadable(folder, closed)
    return found


def _closed(folder: Path, found: Snapshot) -> list[str]:
    """What there may be work in; a pipe or a device has none, and no right is wanting where no path leads to."""
    return [path for path in found.unreadable if not nofollow.is_special(folder / path)]


async def _whole(keeping: _Keeping, history: History) -> _Contents:
    """All there is. Raises `BadObjects` or `GitFailed` if any of it is damaged."""
    seeing, clone = keeping.seeing, keeping.clone
    fresh = await independent(keeping.clone, history)
    base = history.head or await _empty_tree(keeping.git)
    snapshot = await _snapshot(keeping, seeing, base)
    tree = snapshot.tree or await seeing.text("rev-parse", f"{base}^{{tree}}")
    index = await _index(keeping, history.head, base, tree, bool(snapshot.unmerged))
    # A stand-in holds the new tree while it is packed together with the history.
    held = await _commit(seeing, tree, history.head)
    head, hung = ([sha] if sha else [] for sha in (history.head, history.hung))
    wanted = [*head, *fresh, *hung, *index.commits, held]
    await bring_objects(clone.git, clone.source, wanted, sorted(clone.known))
    return await _made(keeping, history, tree, fresh, index, snapshot)


async def _files_anew(keeping: _Keeping, history: History) -> _Contents:
    """All there is, with every file read anew: the history is brought already, and what it says of files is damaged."""
    fresh = await independent(keeping.clone, history)
    empty, snapshot = await _snapshot_of_all(keeping)
    tree = snapshot.tree or empty
    index = await _index(keeping, history.head, empty, tree, bool(snapshot.unmerged))
    clone = keeping.clone
    for error in (await bring_each(clone.git, clone.source, index.commits, sorted(clone.known))).values():
        if not error.lost:
            raise unkept(clone, "the index", error)
        index = _Index(lost=error.detail)
    return await _made(keeping, history, tree, fresh, index, snapshot)


async def _made(
    keeping: _Keeping, history: History, tree: str, fresh: list[str], index: _Index, snapshot: Snapshot
) -> _Contents:
    found = await repositories_inside(keeping.git, keeping.folder, snapshot.nested)
    marked = f"conflicts were not resolved in {', '.join(map(repr, snapshot.unmerged[:5]))}"
    patches = index.patches is not None
    lost = [
        *shortened(history.lost),
        *unfinished.lost(keeping.clone.folder, keeping.found, patches=patches),
    ]
    if snapshot.unmerged and index.conflicts is None:
        lost.append(f"{marked}: kept with their markers, as any other change")
    if index.lost is not None:
        lost.append(f"what was staged is not kept, but for what the files have ({index.lost})")
    head, hung = ([sha] if sha else [] for sha in (history.head, history.hung))
    return _Contents(
        tree=tree,
        parents=tuple(dict.fromkeys([*head, *fresh, *hung, *index.commits])),
        refs=history.refs | index.refs,
        incomplete=(*lost, *_unreadable(snapshot)),
        nested=found.nested,
        bare=found.bare,
        changed=bool(snapshot.tree or index.commits or fresh or hung),
        unborn=history.head is None,
        hung=history.hung,
        stashes=tuple(f"{sha} {said}" for sha, said in history.stashes.items()),
        staged=index.staged,
        conflicts=index.conflicts,
        state=await to_thread.run_sync(unfinished.read_state, keeping.clone.folder, keeping.found),
        told=(marked,) if index.conflicts else (),
    )


async def _snapshot_of_all(keeping: _Keeping) -> tuple[str, Snapshot]:
    """How the folder differs from the empty tree, whose name comes first."""
    assert keeping.git.index is not None
    keeping.git.index.unlink(missing_ok=True)
    empty = await _empty_tree(keeping.git)
    return empty, await _snapshot(keeping, keeping.git, empty)


async def _files_alone(keeping: _Keeping, note: str) -> _Contents:
    snapshot = await _snapshot(keeping, keeping.git, None)
    tree = snapshot.tree or await keeping.git.text("write-tree")
    found = await repositories_inside(keeping.git, keeping.folder, snapshot.nested)
    return _Contents(tree, (), {}, (note, *_unreadable(snapshot)), found.nested, True, found.bare)


async def _empty_tree(git: Git) -> str:
    made = await git.run("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"")
    return made.stdout.decode().strip()


async def _commit(git: Git, tree: str, parent: str | None) -> str:
    return await git.text("commit-tree", "-m", "kept", tree, *(("-p", parent) if parent else ()))


async def _index(keeping: _Keeping, head: str | None, base: str, tree: str, unmerged: bool) -> _Index:
    """What is staged (`FILES` where it is the tree of the files, None where it is that of `base`), and what is in conflict."""
    git = keeping.seeing
    assert git.index is not None
    index = git.index.with_name("staged")
    patches = await unfinished.patches_of(git, keeping.clone.folder, keeping.found)
    if patches is not None:
        patches = await _commit(git, patches, head)
    if await copy_index(git, keeping.clone.folder, index) is None:
        unread = "git cannot read the folder's index" if has_index(keeping.clone.folder) else None
        return _Index(patches=patches, lost=unread)
    conflicts = None
    own = git.having(index=index)
    try:
        if unmerged:
            conflicts = await _commit(git, await unfinished.conflicts_out_of(own), head)
        staged = await own.text("write-tree", limit=LONG)
    except GitFailed as error:
        # It cannot be read, or names what is not there: the files are kept all the same.
        return _Index(patches=patches, lost=error.message)
    if staged == await git.text("rev-parse", f"{base}^{{tree}}"):
        return _Index(None, conflicts, patches)
    return _Index(FILES if staged == tree else await _commit(git, staged, head), conflicts, patches)


async def _keep_nested(
    keeping: _Keeping, contents: _Contents, request: _Request
) -> dict[str, tuple[Place, AtticEntry]]:
    """Path to where it is kept, and its entry, of each repository inside that has something of its own."""
    kept = {}
    for number, each in enumerate(contents.nested):
        home = home_of_nested(keeping.place, each.path)
        scratch = request.scratch / str(number)
        scratch.mkdir()
        inner = replace(
            request,
            place=home,
            folder=keeping.folder / each.path,
            scratch=scratch,
            reason=f"{request.reason}{inside(each.path)}",
            inner=True,
            around=keeping.around,
            recorded=each.recorded,
        )
        entry = await _keep(inner)
        if entry is not None:
            kept[each.path] = (home, entry)
    return kept


def _git_dir(request: _Request) -> tuple[tuple[Path, ...], Path, Path]:
    """The folders around, with this one if it has a `.git` of its own; the folder to read that in; and where it is."""
    folder = request.folder
    if request.inner and (found := git_dir_of(folder, request.around)) is not None:
        owner, path = found
        copy = request.scratch / "clone"
        laid_out_as_clone(owner, path, copy)
        return request.around, copy, owner / path
    return (*request.around, folder), folder, folder / ".git"


def _of_inside(path: str, entry: AtticEntry) -> Iterator[str]:
    return (f"inside {path!r}: {note}" for note in entry.incomplete)


def _where(path: str, home: Place, entry: AtticEntry) -> str:
    return f"the repository inside {path!r} is kept on {entry.ref} of {str(home.top)!r}"


async def _ignored(git: Git) -> list[str]:
    arguments = ("-z", "--others", "--ignored", "--exclude-standard", "--directory")
    listed = (await git.run("ls-files", *arguments, limit=LONG)).stdout
    return [os.fsdecode(path) for path in listed.split(b"\0") if path][:MOST_IGNORED]


def _unreadable(snapshot: Snapshot) -> Iterator[str]:
    yield from (f"{path!r} could not be read and is not kept" for path in snapshot.unreadable)
    for path in snapshot.unencoded:
        yield f"{path!r} is not encoded as its attributes say: kept as it lies, but git converts it where it is put back"
