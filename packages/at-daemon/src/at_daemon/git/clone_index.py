"""The index of a private clone, copied out of it to be read."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import GitFailed
from at_daemon.git.run import LONG, Git

_MOST = 1 << 31
_SHARED = re.compile(r"sharedindex\.([0-9a-f]{40}|[0-9a-f]{64})")


@dataclass(frozen=True)
class _Copied:
    """`shared`: name and content of the part that the index builds on, if it is split."""

    content: bytes
    times: tuple[int, int]
    shared: tuple[str, bytes] | None


async def copy_index(git: Git, folder: Path, target: Path) -> bytes | None:
    """Copy the clone's index (given back as found; None if there is none) with its times: git tells a file changed within
    the same tick by them. What cannot be read is copied all the same."""
    copied = await to_thread.run_sync(_copy, folder, target)
    if copied is None:
        return None
    if copied.shared is not None:
        with suppress(GitFailed):
            await _join(git, target, copied.shared)
        os.utime(target, ns=copied.times)
    return copied.content


def has_index(folder: Path) -> bool:
    """Whether anything is there by the name of the clone's index."""
    return os.path.lexists(folder / ".git/index")


def _copy(folder: Path, target: Path) -> _Copied | None:
    content = nofollow.read(folder, ".git/index", _MOST)
    if content is None:
        return None
    status = os.stat(folder / ".git/index", follow_symlinks=False)
    times = (status.st_atime_ns, status.st_mtime_ns)
    target.write_bytes(content)
    os.utime(target, ns=times)
    return _Copied(content, times, _shared(folder, content))


def _shared(folder: Path, content: bytes) -> tuple[str, bytes] | None:
    for name in nofollow.names_in(folder, ".git"):
        found = _SHARED.fullmatch(name)
        if found and bytes.fromhex(found[1]) in content:
            part = nofollow.read(folder, f".git/{name}", _MOST)
            return None if part is None else (name, part)
    return None


async def _join(git: Git, target: Path, shared: tuple[str, bytes]) -> None:
    """Make the split index at `target` whole, in a repository of its own: git looks for the other part in GIT_DIR."""
    name, part = shared
    aside = target.with_name(f"{target.name}-parts")
    own = git.having(git_dir=aside, work_tree=None, index=None, alternates=(), cwd=target.parent)
    kind = "sha1" if len(name.partition(".")[2]) == 40 else "sha256"
    await own.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
    await to_thread.run_sync((aside / name).write_bytes, part)
    # Without the files: which of them are in doubt stays as it was.
    files = aside / "files"
    files.mkdir(exist_ok=True)
    await own.having(work_tree=files, index=target).run("update-index", "--no-split-index", limit=LONG)
