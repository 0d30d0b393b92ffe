"""What differs between two commits, and files as a commit has them. Reads only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from at_core.text import CUT_DIFF
from at_daemon.git.errors import RevisionMissing
from at_daemon.git.names import checked_path, checked_revision, checked_sha
from at_daemon.git.places import locate
from at_daemon.git.run import LONG, Git

MOST_DIFF_BYTES = 64 << 20

_PLAIN = ("--no-ext-diff", "--no-textconv")


@dataclass(frozen=True)
class DiffStat:
    """Counts and paths of a difference; a binary file counts as changed with no lines."""

    insertions: int
    deletions: int
    paths: tuple[str, ...]

    @property
    def files(self) -> int:
        """How many files differ."""
        return len(self.paths)


async def diff(
    rig: Path, base: str, head: str, *, stat: bool = False, color: bool = False, most: int = MOST_DIFF_BYTES
) -> bytes:
    """The difference as git prints it, with renames found; at most `most` bytes; if there is more, `is_cut`.

    It is text of agents: whoever shows it makes control characters visible.
    """
    form = "--stat" if stat else "--patch"
    shade = "--color=always" if color else "--color=never"
    ran = await locate(rig).git.run(
        "diff-tree",
        "-r",
        "-M",
        form,
        shade,
        *_PLAIN,
        checked_sha(base),
        checked_sha(head),
        limit=LONG,
        most=most,
    )
    if len(ran.stdout) < most:
        return ran.stdout
    return ran.stdout[: ran.stdout.rfind(b"\n") + 1] + CUT_DIFF


async def diffstat(rig: Path, base: str, head: str) -> DiffStat:
    """Insertions, deletions and changed paths, renames counted as one file gone and one new."""
    return await diffstat_in(locate(rig).git, base, head)


async def diffstat_in(git: Git, base: str, head: str) -> DiffStat:
    """`diffstat` on an opened repository."""
    arguments = ("-r", "-z", "--numstat", "--no-renames", *_PLAIN, checked_sha(base), checked_sha(head))
    listed = (await git.run("diff-tree", *arguments, limit=LONG)).stdout
    rows = [entry.split(b"\t", 2) for entry in listed.split(b"\0") if entry]
    return DiffStat(
        insertions=sum(int(row[0]) for row in rows if row[0] != b"-"),
        deletions=sum(int(row[1]) for row in rows if row[1] != b"-"),
        paths=tuple(os.fsdecode(row[2]) for row in rows),
    )


async def changed_between(rig: Path, a: str, b: str) -> list[str]:
    """Paths that differ between two commits or trees; both names of a renamed file."""
    arguments = ("-r", "-z", "--name-only", "--no-renames", checked_sha(a), checked_sha(b))
    listed = (await locate(rig).git.run("diff-tree", *arguments, limit=LONG)).stdout
    return [os.fsdecode(path) for path in listed.split(b"\0") if path]


async def read_file_at(rig: Path, ref: str, path: str) -> bytes | None:
    """The file as the commit `ref` has it, before any filter; None if the commit has no such file.

    Raises `RevisionMissing` if there is no such commit, so that a missing branch is never taken for a missing file.
    """
    place = locate(rig)
    asked = checked_revision(ref)
    (kind, _, _), (found, _, content) = await read_objects(
        place.git, f"{asked}^{{commit}}", f"{asked}:{checked_path(path)}"
    )
    if kind != "commit":
        raise RevisionMissing(place.top, ref)
    return content if found == "blob" else None


async def read_file_in(rig: Path, tree: str, path: str) -> bytes | None:
    """The file as a tree has it; None if it has no such file."""
    name = f"{checked_sha(tree)}:{checked_path(path)}"
    ((found, _, content),) = await read_objects(locate(rig).git, name)
    return content if found == "blob" else None


async def read_objects(git: Git, *names: str) -> list[tuple[str, str, bytes]]:
    """Type, sha and content of each object by one process; the type is "" where there is none. No name is an option."""
    asked = os.fsencode("".join(f"{name}\0" for name in names))
    rest = (await git.run("cat-file", "--batch", "-z", stdin=asked)).stdout
    found = []
    for _ in names:
        header, _, rest = rest.partition(b"\n")
        words = header.split(b" ")
        if len(words) == 3 and words[2].isdigit():
            size = int(words[2])
            found.append((words[1].decode(), words[0].decode(), rest[:size]))
            rest = rest[size + 1 :]
        else:
            found.append(("", "", b""))
    return found
