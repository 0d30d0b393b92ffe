"""Refs of a clone that stand for no commit by themselves: annotated tags, and tags of files and folders.

A commit's parents are commits, so what an entry of the attic keeps of these hangs on one of ours: its tree has the tags as
they are written, in one file, and the files and folders that tags are of.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from at_daemon.git.errors import GitFailed
from at_daemon.git.head import looked_up
from at_daemon.git.names import is_sha
from at_daemon.git.run import LONG, Git
from at_daemon.git.transport import says_lost

_FILE = "tags"
_MODES = {"blob": "100644", "tree": "040000"}


@dataclass(frozen=True)
class Tags:
    """`written` maps tag objects to their content, `objects` files and folders that tags or refs stand for to their type."""

    written: Mapping[str, bytes] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)

    def end(self, sha: str) -> str:
        """What the tag stands for in the end; anything else stands for itself."""
        for _ in self.written:
            if sha not in self.written:
                break
            sha = _object_of(self.written[sha])
        return sha


async def read_tags(git: Git, shas: Iterable[str]) -> Tags:
    """Those of the objects that are tags, with all that these stand for but commits; what is damaged is left out."""
    written: dict[str, bytes] = {}
    objects: dict[str, str] = {}
    asked = list(dict.fromkeys(shas))
    while asked:
        found = {there for there in await looked_up(git, asked) if there is not None}
        objects |= {sha: kind for sha, kind in found if kind in _MODES}
        new = await _contents(git, [sha for sha, kind in sorted(found) if kind == "tag"])
        written |= new
        asked = [sha for sha in dict.fromkeys(map(_object_of, new.values())) if sha not in written]
    return Tags(written, objects)


async def _contents(git: Git, tags: list[str]) -> dict[str, bytes]:
    if not tags:
        return {}
    feed = "".join(f"{sha}\n" for sha in tags).encode()
    command = ("cat-file", "--batch")
    ran = await git.run(*command, stdin=feed, accept=(0, 128), limit=LONG)
    if ran.returncode and not says_lost(ran.stderr.decode("utf-8", "replace")):
        raise GitFailed(command, ran.returncode, ran.stderr)
    if ran.returncode and len(tags) == 1:
        return {}
    if ran.returncode:
        half = len(tags) // 2
        return await _contents(git, tags[:half]) | await _contents(git, tags[half:])
    found, rest = {}, ran.stdout
    for sha in tags:
        head, _, rest = rest.partition(b"\n")
        size = int(head.rpartition(b" ")[2])
        found[sha], rest = rest[:size], rest[size + 1 :]
    return found


async def hung_up(git: Git, tags: Tags) -> str | None:
    """A commit that has all of them; None if there are none. `git` can make commits, and sees what they stand for."""
    if not (tags.written or tags.objects):
        return None
    texts = {sha: os.fsdecode(content) for sha, content in sorted(tags.written.items())}
    made = await git.run("hash-object", "-w", "--stdin", stdin=json.dumps(texts).encode())
    rows = [(_FILE, "blob", made.stdout.decode().strip())]
    rows += [(f"{kind}-{sha}", kind, sha) for sha, kind in tags.objects.items()]
    feed = "".join(f"{_MODES[kind]} {kind} {sha}\t{name}\0" for name, kind, sha in rows)
    tree = (await git.run("mktree", "-z", stdin=feed.encode())).stdout.decode().strip()
    return await git.text("commit-tree", "-m", "kept", tree)


async def tags_of(git: Git, commit: str | None) -> Tags:
    """The tags that hang on a commit of ours; only those that are what they are called."""
    if commit is None:
        return Tags()
    ran = await git.run("cat-file", "blob", f"{commit}:{_FILE}", accept=(0, 128))
    try:
        texts = json.loads(ran.stdout)
    except (ValueError, RecursionError):
        return Tags()
    if not isinstance(texts, dict):
        return Tags()
    contents = {sha: os.fsencode(text) for sha, text in texts.items() if isinstance(text, str)}
    return Tags({sha: content for sha, content in contents.items() if _name_of(sha, content) == sha})


def write_tags(objects: Path, tags: Tags) -> None:
    """Put the tags into a folder of objects that has none of them."""
    for sha, content in tags.written.items():
        path = objects / sha[:2] / sha[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(_whole(content)))


def _whole(content: bytes) -> bytes:
    return b"tag %d\0%s" % (len(content), content)


def _name_of(sha: str, content: bytes) -> str:
    kind = hashlib.sha256 if len(sha) == 64 else hashlib.sha1
    return kind(_whole(content)).hexdigest()


def _object_of(content: bytes) -> str:
    """What the tag is of; empty if it does not say."""
    said = content.partition(b"\n")[0].removeprefix(b"object ").decode("ascii", "replace")
    return said if is_sha(said) else ""
