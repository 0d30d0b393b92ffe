"""Reading the attic: what lies on `refs/at/attic/…`, and how much of it is work. See `attic` for how it came there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from at_daemon.git.names import ATTIC, HIDDEN, checked_ref, is_inside, is_ref, is_sha
from at_daemon.git.places import locate
from at_daemon.git.run import LONG, Git

_FORMAT = "%(refname)%00%(objectname)%00%(tree)%00%(parent)%00%(creatordate:unix)%00%(contents)%00"
_BASES = f"{HIDDEN}base/"
_LAST_MOMENT = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
FILES = "files"
OURS = "Keep the folder of bead "
"""How the message of a folder's entry begins, and that of no other: see `collect`."""
_COUNTED = re.compile(r"(\d+) (file|insertion|deletion)")


@dataclass(frozen=True)
class AtticEntry:
    """One thing kept. `kept_at` is in seconds since 1970, 0 if unknown; `ignored` are files that were not kept (at most 1000).

    `whole`: a folder with its files; else only commits that a rewritten branch let go of. `nested`: path to the entry
    of a repository inside the folder; `nested_shas` and `nested_homes` say which commit that is, and where (see `nested`;
    older entries do not). `staged`: the parent whose tree was staged, `FILES` if all files were; else None.
    `conflicts`: the parent that has what was in conflict, `state` files of an operation; see `unfinished`.
    `incomplete`: those of the `notes` that say what cannot be had back. `unborn`: no commit was checked out.
    `hung`: the parent that has the tags, see `tags`; `stashes` are commits with what their reflog says, the oldest first;
    `bare` are paths of bare repositories.
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
    nested: Mapping[str, str]
    nested_shas: Mapping[str, str]
    nested_homes: Mapping[str, str]
    staged: str | None
    conflicts: str | None
    state: Mapping[str, str]
    incomplete: tuple[str, ...]
    unborn: bool
    hung: str | None
    stashes: tuple[str, ...]
    bare: tuple[str, ...]

    @property
    def checked_out(self) -> str | None:
        """The commit that was checked out."""
        if not self.whole:
            return self.sha
        return self.parents[0] if self.parents and not self.unborn else None

    @property
    def head(self) -> str:
        """The commit that was checked out; the entry's own if there was none."""
        return self.checked_out or self.sha


@dataclass(frozen=True)
class AtticSize:
    """How an entry differs from the base of its bead; nothing where that is unknown."""

    files: int
    insertions: int
    deletions: int


async def attic_entries(rig: Path, bead_id: str | None = None) -> list[AtticEntry]:
    """All entries of the attic, or those of one bead, by ref."""
    return await entries_of(locate(rig).git, bead_id)


async def entries_of(git: Git, bead_id: str | None = None) -> list[AtticEntry]:
    """The entries in the repository of `git`, as in `attic_entries`."""
    prefix = checked_ref(f"{ATTIC}{bead_id}") + "/" if bead_id else ATTIC
    listed = os.fsdecode((await git.run("for-each-ref", f"--format={_FORMAT}", prefix)).stdout)
    fields = listed.split("\0")
    rows = zip(*(fields[offset::6] for offset in range(6)), strict=False)
    return [_entry(*row) for row in rows]


def _entry(ref: str, sha: str, tree: str, parents: str, date: str, message: str) -> AtticEntry:
    ref = ref.lstrip("\n")
    body = _body(message)
    texts = {key: value for key, value in body.items() if isinstance(value, str)}
    lists = {key: tuple(map(str, value)) for key, value in body.items() if isinstance(value, list)}
    head_ref = texts.get("head_ref")
    return AtticEntry(
        ref=ref,
        sha=sha,
        bead_id=ref.removeprefix(ATTIC).rpartition("/")[0],
        reason=texts.get("reason", "its history was rewritten"),
        kept_at=_moment(date),
        tree=tree,
        parents=tuple(parents.split()),
        head_ref=head_ref if head_ref and is_ref(head_ref) else None,
        refs={name: sha for name, sha in _texts(body.get("refs")) if is_ref(name) and is_sha(sha)},
        ignored=lists.get("ignored", ()),
        notes=lists.get("notes", ()),
        whole=bool(body),
        nested={path: ref for path, ref in _texts(body.get("nested")) if is_inside(path) and is_ref(ref)},
        nested_shas=dict(_texts(body.get("nested_shas"))),
        nested_homes=dict(_texts(body.get("nested_homes"))),
        staged=staged if (staged := texts.get("staged")) in (FILES, *parents.split()) else None,
        conflicts=found if (found := texts.get("conflicts")) in parents.split() else None,
        state=dict(_texts(body.get("state"))),
        incomplete=lists.get("incomplete", ()),
        unborn=body.get("unborn") is True,
        hung=hung if (hung := texts.get("hung")) in parents.split() else None,
        stashes=lists.get("stashes", ()),
        bare=tuple(filter(is_inside, lists.get("bare", ()))),
    )


def _moment(date: str) -> int:
    """A date that a commit may have. An agent writes what it likes into its own."""
    found = int(date) if date.isdecimal() else 0
    return found if found <= _LAST_MOMENT else 0


def _texts(value: object) -> Iterable[tuple[str, str]]:
    return [(str(key), str(each)) for key, each in value.items()] if isinstance(value, dict) else []


def _body(message: str) -> dict[str, object]:
    """The record in an entry's message. Commits set aside by `collect` are the agent's own and have none.

    An agent that can write here may have put what looks like one, so nothing in it is used as a name before it was checked.
    """
    if not message.startswith(OURS):
        return {}
    try:
        found = json.loads(message.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def attic_sizes(rig: Path, entries: Iterable[AtticEntry]) -> dict[str, AtticSize]:
    """The size of each entry by its ref, with two processes however many there are."""
    wanted = list(entries)
    git = locate(rig).git
    bases = await base_trees(rig)
    feed = [(entry, bases.get(entry.bead_id[:8])) for entry in wanted]
    pairs = {(base, entry.tree) for entry, base in feed if base and base != entry.tree}
    counted: dict[tuple[str, str], AtticSize] = {}
    if pairs:
        lines = "".join(f"{base} {tree}\n" for base, tree in sorted(pairs))
        form = ("-r", "--no-renames", "--shortstat", "--no-ext-diff", "--no-textconv")
        ran = await git.run("diff-tree", "--stdin", *form, stdin=lines.encode(), limit=LONG)
        counted = _counted(os.fsdecode(ran.stdout))
    nothing = AtticSize(0, 0, 0)
    return {entry.ref: counted.get((base or "", entry.tree), nothing) for entry, base in feed}


async def base_trees(rig: Path) -> dict[str, str]:
    """The tree of each bead's base, by the first eight digits of its id."""
    listed = os.fsdecode(
        (await locate(rig).git.run("for-each-ref", "--format=%(refname) %(tree)", _BASES)).stdout
    )
    pairs = (line.rpartition(" ") for line in listed.split("\n"))
    return {name.removeprefix(_BASES)[:8]: tree for name, _, tree in pairs if tree}


def _counted(listed: str) -> dict[tuple[str, str], AtticSize]:
    """Sizes by pair of trees: git prints the pair, then the line of counts."""
    found: dict[tuple[str, str], AtticSize] = {}
    pair = ("", "")
    for line in filter(None, listed.splitlines()):
        words = line.split(" ")
        if len(words) == 2 and all(map(is_sha, words)):
            pair = (words[0], words[1])
            continue
        counts = {kind: int(number) for number, kind in _COUNTED.findall(line)}
        found[pair] = AtticSize(counts.get("file", 0), counts.get("insertion", 0), counts.get("deletion", 0))
    return found
