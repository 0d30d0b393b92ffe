"""The state of a person's own checkout, put on a hidden ref, so that a clone can begin with it. The checkout is only read.

It is read as their own `git add --all` would read it, in a copy of their index: with their filters, their sparse set, and
without what they hid from git. So nothing comes into a commit that theirs would not have.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from at_core.errors import Refused
from at_daemon.git import nofollow
from at_daemon.git.clone import base_ref
from at_daemon.git.entries import OURS
from at_daemon.git.errors import GitFailed
from at_daemon.git.filters import named
from at_daemon.git.inspect import commit_of
from at_daemon.git.names import checked_branch
from at_daemon.git.places import Place, locate
from at_daemon.git.refs import Move, move_refs, next_attic_ref, read_refs
from at_daemon.git.run import LONG, Git
from at_daemon.git.scratch import scratch_folder
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.snapshot import CHANGED, CLOSED, listed, take_in


@dataclass(frozen=True)
class ForBead:
    """Whose first state it is to be: `branch` is its own, `target` the one that it lands on."""

    id: str
    branch: str
    target: str


@dataclass(frozen=True)
class Carried:
    """`commit` is an entry for the attic, from which `restore` makes the clone; see `hold`.

    `base`: where the checkout's HEAD left the target, `ahead` so many commits before it. `notes` are sentences about
    what comes along and what does not.
    """

    commit: str
    base: str
    ahead: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    """The trees of the files and of what is staged."""

    files: str
    staged: str
    notes: tuple[str, ...]


async def carry(checkout: Path, bead: ForBead, beside: Path, caller: Mapping[str, str]) -> Carried:
    """Make a commit of what lies in `checkout`, as the bead's first state; no ref is moved.

    In it the bead's branch is at the checkout's HEAD, and what is not committed there is not committed either; what git
    ignores does not come along. `beside` is a place for scratch files; the person's filters get the environment of the
    `caller`. Raises `NotARepository`, `NoCommits`, `Refused`.
    """
    place = locate(checkout)
    head = await commit_of(place.git, checkout, "HEAD")
    # Their own configuration: a filter that only that names has to be run, too.
    settings = await read_settings(place.git.having(caller=caller or None))
    scratch = await to_thread.run_sync(scratch_folder, beside)
    try:
        state = await _look(_git_of(place, settings, scratch / "index", caller), place)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(nofollow.remove_tree, scratch)
    base, ahead = await _left_target(place.git, head, bead.target)
    notes = list(state.notes)
    if ahead:
        commits = f"{ahead} {'commit' if ahead == 1 else 'commits'}"
        notes.insert(
            0, f"HEAD was {commits} ahead of {bead.target}: they count as its work, and land with it"
        )
    if settings.sparse:
        notes.append("your checkout has a sparse set; its folder has all files")
    writer = place.git.having(env=(settings.identity or FALLBACK).environment(), reads_only=False)
    staged = None
    if state.staged != await place.git.text("rev-parse", f"{head}^{{tree}}"):
        staged = await writer.text("commit-tree", "-m", "staged", "-p", head, state.staged)
    parents = [word for sha in (head, staged) if sha for word in ("-p", sha)]
    visible = f"refs/heads/{checked_branch(bead.branch)}"
    body = {
        "bead_id": bead.id,
        "reason": f"adopted from {checkout}",
        "head_ref": visible,
        "refs": {visible: head},
        "ignored": [],
        "notes": notes,
        "staged": staged,
        "nested": {},
    }
    message = f"{OURS}{bead.id}\n\n{json.dumps(body)}\n"
    made = await writer.run("commit-tree", state.files, *parents, stdin=message.encode())
    return Carried(made.stdout.decode().strip(), base, ahead, tuple(notes))


async def hold(rig: Path, bead: ForBead, carried: Carried) -> str:
    """Put it on a ref of the attic of the repository at `rig`, and its base on one; gives the first."""
    git = locate(rig).git
    ref = next_attic_ref(bead.id, await read_refs(git, f"refs/at/attic/{bead.id}/"))
    moves = [Move(ref, carried.commit, ""), Move(base_ref(bead.branch), carried.base, None)]
    await move_refs(git, moves, "at: adopt")
    return ref


def _git_of(place: Place, settings: Settings, index: Path, caller: Mapping[str, str]) -> Git:
    """Git as the person has it there, but for an index of our own."""
    return Git(
        git_dir=place.git_dir,
        work_tree=place.top,
        index=index,
        config=settings.strict_filters(),
        cwd=place.top,
        reads_only=False,
        caller=caller or None,
    )


async def _look(git: Git, place: Place) -> _State:
    assert git.index is not None
    see = f"git -C {shlex.quote(str(place.top))}"
    try:
        # With its times: git tells a file changed within the same tick by them.
        await to_thread.run_sync(shutil.copy2, place.git_dir / "index", git.index)
    except FileNotFoundError:
        raise Refused(f"nothing is checked out in {place.top}: it has no index", f"{see} reset") from None
    unmerged = (await git.run("ls-files", "-z", "--unmerged", limit=LONG)).stdout
    if unmerged:
        paths = dict.fromkeys(os.fsdecode(entry.partition(b"\t")[2]) for entry in unmerged.split(b"\0")[:-1])
        raise Refused(
            f"{place.top} has conflicts that nobody has resolved: {named(list(paths))}", f"{see} status"
        )
    try:
        staged = await git.text("write-tree", limit=LONG)
        tagged = await listed(git, "--cached")
        taken = await take_in(git, place.top, [path for tag, path in tagged if tag in CHANGED])
    except GitFailed as error:
        raise Refused(
            f"git cannot read {place.top} as it would for a commit: {error.message}",
            f"{see} add --all --dry-run",
        ) from None
    hidden = [path for tag, path in tagged if tag.islower() or tag == b"S"]
    there = await to_thread.run_sync(lambda: [path for path in hidden if os.path.lexists(place.top / path)])
    closed = [path for tag, path in tagged if tag == CLOSED]
    notes = [
        f"{path!r} could not be read and does not come along"
        for path in dict.fromkeys([*taken.unreadable, *closed])
    ]
    notes += [f"{path!r} is a repository of its own and does not come along" for path in taken.nested]
    notes += [f"{path!r} is not encoded as its attributes say: taken as it lies" for path in taken.unencoded]
    if there:
        notes.append(f"hidden from git in your checkout, and here as in your index: {named(there)}")
    return _State(taken.tree or staged, staged, tuple(notes))


async def _left_target(git: Git, head: str, target: str) -> tuple[str, int]:
    """The newest commit that HEAD has in common with the target, HEAD itself where there is none, and how far it lies back."""
    base = await git.text("merge-base", head, f"refs/heads/{target}", accept=(0, 1, 128))
    if not base:
        return head, 0
    return base, int(await git.text("rev-list", "--count", f"{base}..{head}"))
