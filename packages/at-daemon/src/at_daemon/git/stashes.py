"""The stashes of a clone: a reflog that nothing but its own ref names, taken down and written again as it was."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from at_daemon.git import nofollow
from at_daemon.git.names import is_sha

_REF = "refs/stash"
_WHO = "at <at@localhost> 1 +0000\tstash"
_REST = re.compile(r"[^<>\n]* <[^<>\n]*> [1-9]\d* [+-]\d{4}\t[^\n]*")


def read_stashes(folder: Path) -> dict[str, str]:
    """The stashes of the clone in `folder`, the oldest first: commit to what the reflog says of it."""
    log = nofollow.read(folder, f".git/logs/{_REF}") or b""
    rows = [line.split(" ", 2) for line in os.fsdecode(log).split("\n")]
    found = {row[1]: row[2] for row in rows if len(row) == 3 and is_sha(row[1])}
    newest = _newest(folder)
    return found | ({newest: _WHO} if newest and newest not in found else {})


def _newest(folder: Path) -> str | None:
    """What `refs/stash` names: that is no ref by the rules for all others."""
    loose = (nofollow.read(folder, f".git/{_REF}", 4096) or b"").decode("ascii", "replace").strip()
    if is_sha(loose):
        return loose
    packed = (nofollow.read(folder, ".git/packed-refs") or b"").split(b"\n")
    ending = f" {_REF}".encode()
    named = (row.removesuffix(ending).decode("ascii", "replace") for row in packed if row.endswith(ending))
    return next(filter(is_sha, named), None)


def write_stashes(dot_git: Path, stashes: Iterable[tuple[str, str]]) -> None:
    """Make these the stashes of a clone that has none."""
    before, lines = "", []
    for sha, said in stashes:
        rest = said if _REST.fullmatch(said) else _WHO
        lines.append(f"{before or '0' * len(sha)} {sha} {rest}\n")
        before = sha
    if lines:
        (dot_git / "logs/refs").mkdir(parents=True, exist_ok=True)
        (dot_git / "logs" / _REF).write_bytes(os.fsencode("".join(lines)))
        (dot_git / _REF).write_text(f"{before}\n")
