"""Taking over what an agent did, whatever it did to its clone. See `snapshot` and `transport` for what is trusted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from anyio import to_thread

from at_daemon.git import lfs, nofollow, private
from at_daemon.git.diff import DiffStat, diffstat_in
from at_daemon.git.entries import OURS
from at_daemon.git.head import Choice, choose_head
from at_daemon.git.merge import is_ancestor
from at_daemon.git.names import ATTIC, checked_branch, checked_ref, checked_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import folder_git, unknown_submodule_commits
from at_daemon.git.refs import Move, Ref, move_refs, next_attic_ref, read_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.scratch import scratch_folder
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.snapshot import Snapshot, has_sparse_set, take_snapshot
from at_daemon.git.together import together
from at_daemon.git.transport import blinded, bring_objects, objects_of


@dataclass(frozen=True)
class Collected:
    """What an agent did, now in the person's repository. `commits` are oldest first, `base` is what they build on.

    Paths are as on disk; bytes that are no UTF-8 are surrogates. `unmerged` are files with conflicts that the agent left
    unresolved; what lay uncommitted is then kept aside and not on the branch. `notes` are sentences for the person.
    """

    head: str
    tree: str
    base: str
    commits: tuple[str, ...]
    files: int
    insertions: int
    deletions: int
    changed_paths: tuple[str, ...]
    leftovers_committed: bool
    unmerged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Work:
    """One collection under way."""

    place: Place
    folder: Path
    branch: str
    ref: str
    settings: Settings
    refs: dict[str, Ref]
    found: private.Found
    git: Git

    @property
    def visible(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def shas(self) -> list[tuple[str, str]]:
        return [(name, ref.sha) for name, ref in self.refs.items()]

    @property
    def bead_id(self) -> str:
        return self.ref.rpartition("/")[2]

    @property
    def previous(self) -> str | None:
        return self.refs[self.ref].sha if self.ref in self.refs else None


async def collect(
    rig: Path,
    folder: Path,
    branch: str,
    ref: str,
    base_sha: str,
    message: str,
    *,
    targets: Sequence[str] = (),
    date: int | None = None,
) -> Collected:
    """Bring the work in `folder` into `rig` under `ref` (`refs/at/beads/<id>`) and the branch `branch`.

    Leftovers become one commit with `message` by the person's identity; with the same `date` (seconds since 1970)
    doing it again gives the same commit. `targets` are commits of the target that the agent was given since; the
    last one its work contains is the base. A history that does not contain what was collected before leaves that on
    `refs/at/attic/<id>/<n>`. Raises `BadObjects`, `RefMoved`, `NotARepository`.
    """
    place = locate(rig)
    refs: dict[str, Ref] = {}
    settings = Settings({})
    attic = f"{ATTIC}{checked_ref(ref).rpartition('/')[2]}/"

    async def look_at_refs() -> None:
        refs.update(await read_refs(place.git, "refs/heads/", ref, attic))

    async def look_at_settings() -> None:
        nonlocal settings
        settings = await read_settings(place.git)

    await together(look_at_refs, look_at_settings)
    visible = f"refs/heads/{checked_branch(branch)}"
    found = await to_thread.run_sync(private.read_clone, folder, visible)
    scratch = await to_thread.run_sync(scratch_folder, folder)
    try:
        git = folder_git(place, folder, settings, scratch / "index")
        work = _Work(place, folder, branch, ref, settings, refs, found, git)
        return await _collect(work, checked_sha(base_sha), message, targets, date)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)


async def _collect(
    work: _Work, base_sha: str, message: str, targets: Sequence[str], date: int | None
) -> Collected:
    known = {base_sha, *(sha for _, sha in work.shas)}
    seeing = blinded(work.git, objects_of(work.folder)) if work.found.usable else work.git
    ours = (work.ref, work.visible)
    foreign = {base_sha, *(sha for name, sha in work.shas if name not in ours and not name.startswith(ATTIC))}
    choice = await choose_head(seeing, work.found, work.visible, known, foreign, work.previous or base_sha)
    unseen = has_sparse_set(work.folder)
    if {choice.tip, choice.parent, *choice.merging} <= known and not unseen:
        # All written straight into the person's repository: there will be nothing to bring. Outside of a sparse set
        # what is staged lies in the clone's objects alone.
        seeing = work.git
    made = await _commit_leftovers(work, seeing, choice, message, date)
    wanted = {made.head, *made.set_aside} - known - made.own
    if wanted:
        await bring_objects(work.place.git, objects_of(work.folder), sorted(wanted), sorted(known))
    span = await _span(work.place.git, base_sha, made.head, targets)
    changes = DiffStat(0, 0, ())
    notes: tuple[str, ...] = ()

    async def count() -> None:
        nonlocal changes
        changes = await diffstat_in(work.place.git, span.base, made.head)

    async def move() -> None:
        nonlocal notes
        contents = await to_thread.run_sync(lfs.bring_contents, work.place, work.settings, work.folder)
        notes = (*choice.notes, *made.notes, *contents, *await _move(work, made, span))

    await together(count, move)
    notes += tuple(await unknown_submodule_commits(work.place, work.folder, made.head, changes.paths))
    if made.committed:
        await to_thread.run_sync(_advance, work, choice, made)
    return Collected(
        head=made.head,
        tree=span.tree,
        base=span.base,
        commits=span.commits,
        files=changes.files,
        insertions=changes.insertions,
        deletions=changes.deletions,
        changed_paths=changes.paths,
        leftovers_committed=made.committed,
        unmerged=made.unmerged,
        notes=notes,
    )


@dataclass(frozen=True)
class _Made:
    """The head after leftovers were committed. `own` are commits that are in the person's repository already."""

    head: str
    committed: bool
    set_aside: tuple[str, ...]
    own: frozenset[str]
    unmerged: tuple[str, ...]
    seed: bytes | None
    notes: tuple[str, ...]


async def _commit_leftovers(work: _Work, git: Git, choice: Choice, message: str, date: int | None) -> _Made:
    sparse = bool(work.settings.sparse)
    snapshot = await take_snapshot(git, work.folder, choice.parent, sparse=sparse, merging=choice.merging)
    notes = _snapshot_notes(snapshot)
    made = _Made(choice.tip, False, choice.set_aside, frozenset(), snapshot.unmerged, snapshot.seed, notes)
    tree = snapshot.tree
    merging = () if snapshot.unmerged else choice.merging
    if tree is None and merging:
        tree = await git.text("rev-parse", f"{choice.parent}^{{tree}}")
    if tree is None:
        return made
    writer = git.having(env=(work.settings.identity or FALLBACK).environment(date))
    leftovers = await _commit(writer, tree, (choice.parent, *merging), message)
    if snapshot.unmerged:
        # A commit on the branch would make the conflict look resolved to the agent and to everyone after it.
        return replace(made, set_aside=(*made.set_aside, leftovers))
    if choice.parent != choice.tip:
        moved = await _transplant(writer, leftovers, choice, message)
        if moved is None:
            note = "uncommitted changes do not fit the branch, they are in the attic"
            return replace(made, set_aside=(*made.set_aside, leftovers), notes=(*notes, note))
        leftovers = moved
    own = frozenset() if git.alternates else frozenset({leftovers})
    return replace(made, head=leftovers, committed=True, own=own)


async def _commit(git: Git, tree: str, parents: Sequence[str], message: str) -> str:
    named = [word for parent in parents for word in ("-p", parent)]
    return (
        await git.run("commit-tree", tree, *named, stdin=message.encode("utf-8", "replace"))
    ).stdout.decode()[:-1]


async def _transplant(git: Git, leftovers: str, choice: Choice, message: str) -> str | None:
    """Changes made on `choice.parent`, as a commit on `choice.tip`; None if they conflict.

    `merge-tree` finds its base by history, so the tip's tree is given a stand-in commit on the parent.
    """
    tree = await git.text("rev-parse", f"{choice.tip}^{{tree}}")
    stand_in = await _commit(git, tree, (choice.parent,), "stand-in")
    merged = await git.run(
        "merge-tree", "--write-tree", "-z", "--no-messages", stand_in, leftovers, accept=(0, 1)
    )
    if merged.returncode:
        return None
    return await _commit(git, merged.stdout.decode().rstrip("\0\n"), (choice.tip,), message)


def _snapshot_notes(snapshot: Snapshot) -> tuple[str, ...]:
    kinds = {
        "conflicts are not resolved in": snapshot.unmerged,
        "a repository inside the folder is left out:": snapshot.nested,
        "cannot be read and is left out:": snapshot.unreadable,
        "not encoded as its attributes say, and taken as it lies:": snapshot.unencoded,
    }
    return tuple(f"{text} {', '.join(map(repr, paths[:5]))}" for text, paths in kinds.items() if paths)


@dataclass(frozen=True)
class _Span:
    base: str
    tree: str
    commits: tuple[str, ...]


async def _span(git: Git, base_sha: str, head: str, targets: Sequence[str]) -> _Span:
    """From the base to the head, read without the clone's objects, so that nothing in it can lie about history."""
    base = base_sha
    for target in reversed(targets):
        if await is_ancestor(git, checked_sha(target), head):
            base = target
            break
    tree, commits, joined = await _commits(git, base, head)
    if not joined and (common := await git.text("merge-base", base, head, accept=(0, 1))):
        base = common
        tree, commits, _ = await _commits(git, base, head)
    return _Span(base, tree, commits)


async def _commits(git: Git, base: str, head: str) -> tuple[str, tuple[str, ...], bool]:
    """Tree of the head, commits after the base (oldest first), and whether the head contains the base."""
    if base == head:
        return await git.text("rev-parse", f"{head}^{{tree}}"), (), True
    form = ("--no-commit-header", "--format=%m %H %T")
    listed = await git.text("rev-list", "--topo-order", "--boundary", *form, head, f"^{base}", limit=LONG)
    rows = [line.split(" ") for line in filter(None, listed.split("\n"))]
    commits = [row[1] for row in rows if row[0] != "-"]
    if not commits:
        return await git.text("rev-parse", f"{head}^{{tree}}"), (), False
    return rows[0][2], tuple(reversed(commits)), ["-", base] in [row[:2] for row in rows]


async def _move(work: _Work, made: _Made, span: _Span) -> tuple[str, ...]:
    """Move the hidden ref, the visible branch where nobody else uses it, and set aside what would be let go."""
    git, refs = work.place.git, work.refs
    inside = {made.head, span.base, *span.commits}
    aside = list(made.set_aside)
    if work.previous and work.previous not in inside and not await is_ancestor(git, work.previous, made.head):
        aside.append(work.previous)
    moves: list[Move] = []
    kept = {ref.sha for name, ref in refs.items() if name.startswith(ATTIC)}
    names = dict(refs)
    shown = [await _as_no_entry(work, sha) for sha in dict.fromkeys(aside)]
    for sha in (sha for sha in shown if sha not in kept):
        name = next_attic_ref(work.bead_id, names)
        names[name] = Ref(name, sha, None)
        moves.append(Move(name, sha, ""))
    if work.previous != made.head:
        moves.append(Move(work.ref, made.head, work.previous or ""))
    move, note = await _visible_move(work, made.head, inside)
    await move_refs(git, [*moves, *move], "at: collect")
    return note


async def _as_no_entry(work: _Work, sha: str) -> str:
    """The commit, or, if the agent gave it the words by which a folder's entry is known, one of ours on top of it."""
    git = work.place.git
    if OURS.encode() not in (await git.run("cat-file", "commit", sha)).stdout:
        return sha
    tree = await git.text("rev-parse", f"{sha}^{{tree}}")
    # With one date, doing it again gives the same commit.
    writer = git.having(env=(work.settings.identity or FALLBACK).environment(0), reads_only=False)
    return await _commit(writer, tree, (sha,), "Set aside, as its history was rewritten\n")


async def _visible_move(work: _Work, head: str, inside: set[str]) -> tuple[list[Move], tuple[str, ...]]:
    current = work.refs.get(work.visible)
    if current is None:
        if "refs/heads/at" in work.refs:
            return [], ("the branch is not shown: your branch 'at' is in the way of its name",)
        return [Move(work.visible, head, "")], ()
    if current.sha == head:
        return [], ()
    if current.worktree is not None:
        return [], (f"branch {work.branch} stays: it is checked out at {str(current.worktree)!r}",)
    ours = current.sha in inside or current.sha == work.previous
    if ours or await is_ancestor(work.place.git, current.sha, head):
        return [Move(work.visible, head, current.sha)], ()
    return [], (f"branch {work.branch} stays: it has commits that are not the agent's",)


def _advance(work: _Work, choice: Choice, made: _Made) -> None:
    """Let the clone stand on the commit of its leftovers, so that the agent goes on from there.

    Only where its HEAD was the parent. Killed between the two files, the clone shows the difference as staged, and
    the next collection finds nothing new.
    """
    found = work.found
    place = f".git/{found.head_ref}" if found.head_ref else ".git/HEAD"
    for path in (".git/index", place):
        nofollow.release(work.folder, path)
    if (
        not found.usable
        or found.head != choice.parent
        or choice.parent != choice.tip
        or work.git.index is None
    ):
        return
    modified = os.stat(work.git.index).st_mtime_ns
    index = work.git.index.read_bytes()
    indexed = nofollow.replace(work.folder, ".git/index", index, made.seed, modified)
    if indexed and nofollow.replace(work.folder, place, f"{made.head}\n".encode()):
        nofollow.unlink(work.folder, ".git/MERGE_HEAD")
