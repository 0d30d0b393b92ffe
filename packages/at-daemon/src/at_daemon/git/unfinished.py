"""A merge, cherry-pick or revert in the middle: kept with the attic's entry of a folder, and put back with it.

Conflicts are in no tree that git writes, so their versions are made one of ours: `1/<path>` is the common one, `2/<path>`
ours, `3/<path>` theirs, as the index numbers them. Of a rebase only that is kept, of a `git am` the patches: the list of what
is to be done may name commands, and nobody who restores an entry should come to run these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.head import peeled
from at_daemon.git.names import is_inside, is_sha
from at_daemon.git.private import Found
from at_daemon.git.run import LONG, Git

_COMMITS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_AUTOSTASH")
_WORDS = ("MERGE_MODE", "MERGE_MSG")
_MOST = 1 << 16
PATCHES = "refs/kept/patches"
"""Where a restored clone has the patches of a `git am`."""
_STAGES = (b"1", b"2", b"3")


def read_state(folder: Path, found: Found) -> dict[str, str]:
    """The files of the clone that say what is to be finished: name to content."""
    if found.operation not in ("merge", "cherry-pick", "revert"):
        return {}
    read = {name: nofollow.read(folder, f".git/{name}", _MOST) for name in (*_COMMITS, *_WORDS)}
    return {name: os.fsdecode(content) for name, content in read.items() if content is not None}


def lost(folder: Path, found: Found, *, patches: bool) -> Iterator[str]:
    """Sentences about what is not kept: which of several commits are still to come, where a search stood. `patches`: those of
    a `git am` are kept."""
    if found.operation == "am":
        if patches:
            yield f"a git am was under way: its patches are kept as the files of {PATCHES}, where it stood is not"
        else:
            yield "a git am was under way: neither its patches are kept nor where it stood"
    rows = ["rebase"] if found.operation == "rebase" else []
    if nofollow.is_directory(folder, ".git/sequencer"):
        to_come = nofollow.read(folder, ".git/sequencer/todo", len(b"revert")) or b""
        rows.append("revert" if to_come == b"revert" or found.operation == "revert" else "cherry-pick")
    for row in rows:
        yield f"a {row} was under way: its commits are kept, where it stood is not"
    if nofollow.read(folder, ".git/BISECT_START", 1) is not None:
        yield "a bisect was under way: what was found good and bad is kept, where it stood is not"


async def patches_of(git: Git, folder: Path, found: Found) -> str | None:
    """A tree of the patches of a `git am`; None if there are none."""
    names = filter(str.isdecimal, nofollow.names_in(folder, ".git/rebase-apply"))
    rows = []
    for name in sorted(names) if found.operation == "am" else ():
        patch = nofollow.read(folder, f".git/rebase-apply/{name}")
        if patch is not None:
            made = await git.run("hash-object", "-w", "--stdin", stdin=patch, limit=LONG)
            rows.append(b"100644 blob %s\t%s\0" % (made.stdout.strip(), os.fsencode(name)))
    if not rows:
        return None
    return (await git.run("mktree", "-z", stdin=b"".join(rows))).stdout.decode().strip()


async def conflicts_out_of(git: Git) -> str:
    """Take the conflicts out of the index of `git`; a tree of their versions. Raises `GitFailed`."""
    assert git.index is not None
    found = (await git.run("ls-files", "-z", "--unmerged", limit=LONG)).stdout
    rows = [row.partition(b"\t") for row in found.split(b"\0") if row]
    versions = git.having(index=git.index.with_name("versions"))
    await versions.run("read-tree", "--empty")
    entries = ((head.rpartition(b" "), path) for head, _, path in rows)
    feed = b"".join(b"%s\t%s/%s\0" % (blob, stage, path) for (blob, _, stage), path in entries)
    await versions.run("update-index", "-z", "--index-info", stdin=feed, limit=LONG)
    paths = b"".join(path + b"\0" for path in dict.fromkeys(path for _, _, path in rows))
    await git.run("update-index", "-z", "--force-remove", "--stdin", stdin=paths, limit=LONG)
    return await versions.text("write-tree", limit=LONG)


async def put_back(git: Git, folder: Path, conflicts: str | None, state: Mapping[str, str]) -> None:
    """Make the conflicts those of the index of `git`, and have `folder/.git` say again what is to be finished."""
    if conflicts is not None:
        listed = (await git.run("ls-tree", "-r", "-z", "--full-tree", conflicts, limit=LONG)).stdout
        feed = b"".join(_index_lines(listed))
        await git.run("update-index", "-z", "--index-info", stdin=feed, limit=LONG)
    named = {name: state[name].split() for name in _COMMITS if name in state}
    there = await peeled(git, filter(is_sha, (sha for shas in named.values() for sha in shas)))
    whole = [name for name, shas in named.items() if shas and all(sha in there for sha in shas)]
    for name in (*whole, *_WORDS) if whole else ():
        if name in state:
            await to_thread.run_sync((folder / ".git" / name).write_bytes, os.fsencode(state[name]))


def _index_lines(listed: bytes) -> Iterator[bytes]:
    """What `update-index` is told, from rows of `ls-tree`; first that nothing else is at these paths."""
    rows = []
    for row in filter(None, listed.split(b"\0")):
        head, _, name = row.partition(b"\t")
        mode, _, sha = head.split(b" ")
        stage, _, path = name.partition(b"/")
        if stage in _STAGES and is_inside(os.fsdecode(path)):
            rows.append((mode, sha, stage, path))
    yield from (b"0 %s\t%s\0" % (b"0" * len(sha), path) for _, sha, _, path in rows)
    yield from (b"%s %s %s\t%s\0" % row for row in rows)
