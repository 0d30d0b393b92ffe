"""A private clone: laid out by hand, and read back as data, since its agent may have put anything in it.

Laid out: one `.git` folder with the person's object store as alternate, their branches and tags as packed refs, a
configuration of our own and no remote. `git clone --shared` needs several processes for the same, copies no
tags' `info/exclude`, and leaves a remote to push to. Read back: by parsing files without following links. No git
process ever takes this folder as its GIT_DIR.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from at_daemon.git import nofollow
from at_daemon.git.names import HIDDEN, is_ref, is_sha
from at_daemon.git.run import c_quoted
from at_daemon.git.settings import Identity

TARGET_REF = "refs/at/target"
_DEPTH = 5
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Layout:
    """What a new private clone is made of. `head` is a full ref or a sha; `refs` maps full names to shas."""

    objects: Path
    head: str
    refs: Mapping[str, str]
    peeled: Mapping[str, str]
    identity: Identity
    carried: Mapping[str, str]
    sha256: bool = False
    exclude: bytes = b""
    shallow: bytes = b""
    sparse: bytes = b""


def lay_out(folder: Path, layout: Layout) -> None:
    """Write `folder/.git`. The folder exists and has no `.git`."""
    dot_git = folder / ".git"
    for part in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (dot_git / part).mkdir(parents=True)
    head = layout.head if is_sha(layout.head) else f"ref: {layout.head}"
    _write(dot_git / "HEAD", f"{head}\n")
    _write(dot_git / "config", _configuration(layout))
    _write(dot_git / "objects/info/alternates", alternates_line(layout.objects))
    _write(dot_git / "packed-refs", _packed(layout.refs, layout.peeled))
    (dot_git / "info/exclude").write_bytes(layout.exclude)
    if layout.sparse:
        (dot_git / "info/sparse-checkout").write_bytes(layout.sparse)
    if layout.shallow:
        (dot_git / "shallow").write_bytes(layout.shallow)


def alternates_line(objects: Path) -> str:
    """The one line of `objects/info/alternates`."""
    return f"{c_quoted(str(objects))}\n"


def _write(path: Path, text: str) -> None:
    path.write_bytes(os.fsencode(text))


def _configuration(layout: Layout) -> str:
    """No remote, nothing to push, and no signing with a key that the agent must not reach."""
    settings: dict[str, dict[str, str]] = {
        "core": {
            "repositoryformatversion": "1" if layout.sha256 else "0",
            "bare": "false",
            "logallrefupdates": "true",
        },
        "user": {"name": layout.identity.name, "email": layout.identity.email},
        "commit": {"gpgsign": "false"},
        "tag": {"gpgsign": "false"},
        "push": {"default": "nothing"},
        "gc": {"auto": "0"},
        "maintenance": {"auto": "false"},
    }
    if layout.sha256:
        settings["extensions"] = {"objectformat": "sha256"}
    for key, value in layout.carried.items():
        section, _, name = key.partition(".")
        settings.setdefault(section, {})[name] = value
    lines: list[str] = []
    for section, entries in settings.items():
        lines.append(f"[{section}]")
        lines += [f"\t{name} = {_value(value)}" for name, value in entries.items()]
    return "\n".join(lines) + "\n"


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _packed(refs: Mapping[str, str], peeled: Mapping[str, str]) -> str:
    lines = ["# pack-refs with: peeled fully-peeled sorted "]
    for name in sorted(refs, key=os.fsencode):
        lines.append(f"{refs[name]} {name}")
        if name in peeled:
            lines.append(f"^{peeled[name]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Found:
    """What a private clone's files say. A sha is only a claim until its object is seen.

    `head_ref` is None when detached. `usable` is False when there is no `.git` folder to read. `merging` are the other
    parents of a merge that is under way.
    """

    usable: bool
    head_ref: str | None
    head: str | None
    refs: Mapping[str, str]
    operation: str | None
    merging: tuple[str, ...] = ()


_OPERATIONS = {"rebase-merge": "rebase", "rebase-apply/applying": "am", "rebase-apply": "rebase"}
_OPERATIONS |= {"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert"}


def read_clone(folder: Path, *wanted: str) -> Found:
    """HEAD and the `wanted` refs (full names) of the clone in `folder`."""
    if not _is_clone(folder):
        return Found(False, None, None, {}, None)
    packed = packed_refs(folder)
    head_ref, head = _head(folder, packed)
    found = {name: resolve(folder, name, packed) for name in wanted}
    return Found(
        usable=True,
        head_ref=head_ref if head_ref is not None and is_ref(head_ref) else None,
        head=head,
        refs={name: sha for name, sha in found.items() if sha is not None},
        operation=next((word for name, word in _OPERATIONS.items() if _exists(folder, name)), None),
        merging=_shas_in(folder, ".git/MERGE_HEAD"),
    )


def head_of(folder: Path) -> str | None:
    """The commit that the clone in `folder` has checked out; None if it names none. Reads less than `read_clone`."""
    return _head(folder, _PackedRefs(folder))[1] if _is_clone(folder) else None


def _is_clone(folder: Path) -> bool:
    return nofollow.is_directory(folder, ".git") and nofollow.is_directory(folder, ".git/objects")


def _head(folder: Path, packed: _Refs) -> tuple[str | None, str | None]:
    """What HEAD names, if it is not detached, and its commit."""
    raw = _line_in(folder, ".git/HEAD") or ""
    if raw.startswith("ref: "):
        name = raw.removeprefix("ref: ").strip(" ")
        return name, resolve(folder, name, packed)
    return None, raw if is_sha(raw) else None


def _line_in(folder: Path, path: str) -> str | None:
    """The text of a file, without white space of ASCII at its ends: any other may be part of a name."""
    content = nofollow.read(folder, path, 4096)
    return None if content is None else content.strip().decode("utf-8", "surrogateescape")


def _exists(folder: Path, name: str) -> bool:
    return (
        nofollow.is_directory(folder, f".git/{name}") or nofollow.read(folder, f".git/{name}", 1) is not None
    )


class _Refs(Protocol):
    """Refs by their full names."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True)
class _PackedRefs:
    """A clone's packed refs, searched for the one that is wanted: to take in thousands is dear."""

    folder: Path

    def get(self, name: str, /) -> str | None:
        content = b"\n%s\n" % _packed_refs_file(self.folder)
        end = content.rfind(b" %s\n" % name.encode("utf-8", "surrogateescape"))
        if end < 0:
            return None
        found = _packed_ref(content[content.rfind(b"\n", 0, end) + 1 :].partition(b"\n")[0])
        return found[1] if found else None


def _packed_refs_file(folder: Path) -> bytes:
    return nofollow.read(folder, ".git/packed-refs") or b""


def _packed_ref(line: bytes) -> tuple[str, str] | None:
    """Name and sha that a line gives; None if it is a comment, a peeled tag or damaged."""
    sha, _, name = line.decode("utf-8", "surrogateescape").partition(" ")
    return (name, sha) if is_sha(sha) and is_ref(name) else None


def resolve(folder: Path, name: str, packed: _Refs) -> str | None:
    """The sha that a ref of the clone stands for, through symbolic refs; None if it names nothing."""
    for _ in range(_DEPTH):
        if not is_ref(name):
            return None
        text = _line_in(folder, f".git/{name}")
        if text is None:
            return packed.get(name)
        if not text.startswith("ref: "):
            return text if is_sha(text) else packed.get(name)
        name = text.removeprefix("ref: ").strip(" ")
    return None


def packed_refs(folder: Path) -> dict[str, str]:
    """The clone's packed refs: full name to sha."""
    # At newlines alone: a name may have any other character that ends a line of text.
    return dict(filter(None, map(_packed_ref, _packed_refs_file(folder).split(b"\n"))))


def all_refs(folder: Path) -> dict[str, str]:
    """Every ref of the clone but the hidden ones: full name to sha."""
    packed = packed_refs(folder)
    loose = [f"refs/{path}" for path in nofollow.names_below(folder, ".git/refs") if is_ref(f"refs/{path}")]
    # Thousands of packed refs are no files: only those that are need to be opened.
    found = packed | {name: resolve(folder, name, packed) for name in loose}
    return {name: sha for name, sha in found.items() if sha is not None and not name.startswith(HIDDEN)}


_OF_REBASE = tuple(
    f"rebase-{way}/{name}" for way in ("merge", "apply") for name in ("orig-head", "autostash")
)
_NAMING = (
    *("HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_AUTOSTASH"),
    *_OF_REBASE,
    "FETCH_HEAD",
)
"""Files beside the refs that name commits; an autostash is named nowhere else."""
_TO_COME = ("sequencer/todo", "rebase-merge/git-rebase-todo")
_NAMED_TO_COME = re.compile(
    r"^(?:pick|revert|reword|edit|squash|fixup|drop|merge|[presfdm])(?: -[cC])? ([0-9a-f]{7,64})\b",
    re.MULTILINE | re.ASCII,
)
"""A line of what is to be done: git shortens the names of commits there."""


def remembered(folder: Path, most: int = 10_000) -> list[str]:
    """Commits that the clone or a linked worktree of its own names by no ref: what an operation that is under way will
    need (some by short names) and what was fetched, then what reflogs (stashes too) have, newest first."""
    linked = {path.partition("/")[0] for path in nofollow.names_below(folder, ".git/worktrees")}
    places = [".git", *(f".git/worktrees/{name}" for name in sorted(linked))]
    found = [sha for place in places for name in _NAMING for sha in _shas_in(folder, f"{place}/{name}")]
    lists = (_text(folder, f"{place}/{name}") for place in places for name in _TO_COME)
    short = dict.fromkeys(name for text in lists for name in _NAMED_TO_COME.findall(text))
    for place in places:
        for path in nofollow.names_below(folder, f"{place}/logs"):
            log = nofollow.read(folder, f"{place}/logs/{path}") or b""
            lines = log.decode("utf-8", "surrogateescape").split("\n")
            found += [word for line in reversed(lines) for word in line.split(" ", 2)[:2] if is_sha(word)]
    whole = [sha for sha in dict.fromkeys(found) if set(sha) != {"0"}]
    return [*(name for name in short if not any(sha.startswith(name) for sha in whole)), *whole][:most]


def _shas_in(folder: Path, path: str) -> tuple[str, ...]:
    return tuple(filter(is_sha, _text(folder, path).split()))


def _text(folder: Path, path: str) -> str:
    return (nofollow.read(folder, path, _LONGEST) or b"").decode("ascii", "replace")
