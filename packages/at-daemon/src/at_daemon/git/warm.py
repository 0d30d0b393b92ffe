"""Warm folders: the files of a commit, written before a bead wants them.

A warm folder has the files, their index and a mark in `.git`, and nothing else there: what a clone needs besides is
written when it is taken, as for any other, so that nothing in it is older than the bead. The mark names the commit and
what else the files depend on; where that is no longer so, nobody takes the folder. It is made beside its place and
renamed into it, brought to another commit away from its place, and taken by a rename, of which one alone succeeds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from at_daemon.failpoints import failpoint
from at_daemon.git import nofollow
from at_daemon.git.errors import GitError, GitFailed, NotARepository
from at_daemon.git.filters import fill_pointers
from at_daemon.git.folders import set_aside_folder
from at_daemon.git.names import is_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.plant import CloneSource, folder_git, look, write_files
from at_daemon.git.run import Git
from at_daemon.git.scratch import move_into_place, scratch_folder

MOST_CHANGED: Final = 5_000
"""With more paths that differ, writing them is no less than beginning with nothing."""
_NO_FILE = ("000000", "160000")
"""The modes of what is gone, and of a submodule."""
_MARK = ".git/warm.json"
_VERSION = 1
_NO_PART = ("branch.", "remote.", "user.", "alias.")
"""Settings that change often and that no file depends on."""
_MOVES = ("packed-refs", "reftable/tables.list", "FETCH_HEAD")
"""Files beside a branch's own that change where refs do."""
_OF_SYSTEM = Path("/etc/gitattributes")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Warm:
    """Warm folders that a bead's may be made of. `boot`: which start of the machine this is; what was made before may
    have been cut off with it."""

    folders: Sequence[Path]
    boot: str


@dataclass(frozen=True)
class Aim:
    """What a warm folder is to be."""

    place: Place
    source: CloneSource
    boot: str

    @property
    def mark(self) -> Mark:
        """As it is noted in the folder."""
        return Mark(self.source.commit, _inputs(self.place, self.source, self.boot))


@dataclass(frozen=True)
class Mark:
    """What a warm folder is: a commit, and all else that its files depend on, as one hash."""

    commit: str
    inputs: str


async def aim(rig: Path, revision: str, boot: str) -> Aim:
    """What a warm folder at `revision` is. Raises `NotARepository`, `BadName`, `RevisionMissing`."""
    place = locate(rig)
    return Aim(place, await look(place, revision), boot)


def target_sign(rig: Path, target: str) -> tuple[object, ...]:
    """What is another value once the target, or what was fetched of its remote, has moved; no process is started."""
    try:
        common = locate(rig).common_dir
    except NotARepository:
        return ()
    return tuple(map(_sign, (common / name for name in (f"refs/heads/{target}", *_MOVES))))


def _sign(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_at(folder: Path, wanted: Aim) -> bool:
    """Whether the folder is there and as it is wanted."""
    return _read_mark(folder) == wanted.mark


async def renewal_size(folder: Path, wanted: Aim) -> int | None:
    """Bytes that are written to bring the folder that is there to what is wanted; None where one is made from nothing."""
    changed = await _renewal(folder, wanted)
    if not changed:
        return None if changed is None else 0
    asked = "".join(f"{blob}\n" for blob in changed).encode()
    found = await wanted.place.git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked)
    return sum(int(line) for line in found.stdout.splitlines() if line.isdigit())


async def _renewal(folder: Path, wanted: Aim) -> list[str] | None:
    mark, there = wanted.mark, await to_thread.run_sync(_read_mark, folder)
    if there is None or there.inputs != mark.inputs:
        return None
    return await _changed(wanted.place.git, there.commit, mark.commit)


async def warm_up(folder: Path, wanted: Aim) -> None:
    """Make the warm folder, or bring it to what is wanted, at low priority. Raises `GitError`, `OSError`."""
    mark = wanted.mark  # before a file is written by it
    renewed = await _renewal(folder, wanted) is not None
    if not renewed:
        await set_aside_folder(folder, folder.parent)
    scratch = await to_thread.run_sync(scratch_folder, folder)
    try:
        renewed = renewed and await to_thread.run_sync(_renamed, folder, scratch)
        failpoint("warm.after-aside")
        if not renewed:
            (scratch / ".git").mkdir()
        await write_files(_writer(wanted.place, scratch, wanted.source).having(patient=True), wanted.source)
        (scratch / _MARK).write_text(json.dumps(asdict(mark)))
        failpoint("warm.before-place")
        await to_thread.run_sync(move_into_place, scratch, folder)
    finally:
        with anyio.CancelScope(shield=True), suppress(OSError):
            await to_thread.run_sync(nofollow.remove_tree, scratch)


async def take(place: Place, source: CloneSource, scratch: Path, warm: Warm) -> bool:
    """Put a warm folder in the place of the empty `scratch`, at `source.commit`, with its index alone in `.git`.

    False if there is none that fits, and `scratch` is empty.
    """
    inputs = await to_thread.run_sync(_inputs, place, source, warm.boot)
    found = await to_thread.run_sync(lambda: [(folder, _read_mark(folder)) for folder in warm.folders])
    fitting = [(folder, mark) for folder, mark in found if mark is not None and mark.inputs == inputs]
    far: set[str] = set()
    for folder, mark in sorted(fitting, key=lambda each: each[1].commit != source.commit):
        if mark.commit in far or await _changed(place.git, mark.commit, source.commit) is None:
            far.add(mark.commit)
        elif await to_thread.run_sync(_renamed, folder, scratch):
            failpoint("warm.after-take")
            try:
                await _finish(place, source, scratch, mark)
                return True
            except (GitError, OSError):  # whatever is wrong with it, one from nothing is right
                await to_thread.run_sync(nofollow.remove_tree, scratch)
                scratch.mkdir(mode=0o700)
    return False


async def _finish(place: Place, source: CloneSource, folder: Path, mark: Mark) -> None:
    if await to_thread.run_sync(_read_mark, folder) != mark:
        raise OSError("it was brought to another commit meanwhile")
    git = _writer(place, folder, source)
    if mark.commit != source.commit:
        await write_files(git, source)
    await fill_pointers(git, folder, source.settings)
    (folder / _MARK).unlink()


def _writer(place: Place, folder: Path, source: CloneSource) -> Git:
    return folder_git(place, folder, source.settings, folder / ".git/index")


async def _changed(git: Git, there: str, wanted: str) -> list[str] | None:
    """The contents to be written where few files differ, and none that says how others are written; else None."""
    if there == wanted:
        return []
    try:
        listed = await git.run("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", there, wanted)
    except GitFailed:  # no branch has its commit any more, and it was cleared away
        return None
    told = listed.stdout.split(b"\0")
    paths = told[1::2]
    if len(paths) > MOST_CHANGED or any(os.path.basename(path) == b".gitattributes" for path in paths):
        return None
    entries = (entry.decode().split() for entry in told[:-1:2])
    return [blob for _, mode, _, blob, _ in entries if mode not in _NO_FILE]


def _renamed(folder: Path, scratch: Path) -> bool:
    """Whether the folder could be put in the place of an empty one; not if somebody else was faster."""
    try:
        os.rename(folder, scratch)
    except OSError:
        return False
    scratch.chmod(0o700)
    return True


def _read_mark(folder: Path) -> Mark | None:
    try:
        mark = Mark(**json.loads(nofollow.read(folder, _MARK, 4096) or b""))
        return mark if is_sha(mark.commit) else None
    except (ValueError, TypeError, RecursionError):  # whoever can write there may have put anything
        return None


def _inputs(place: Place, source: CloneSource, boot: str) -> str:
    """All that files depend on besides the commit, as a hash."""
    settings = {key: value for key, value in source.settings.values.items() if not key.startswith(_NO_PART)}
    parts = [
        *(_VERSION, boot, str(place.git_dir), _umask(), sorted(settings.items())),
        *(sorted(source.settings.trusted_filters), source.sparse.hex()),
        *(_content(path).hex() for path in _attributes(place, source)),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _attributes(place: Place, source: CloneSource) -> Iterator[Path]:
    """Files that say how files are written, and are in no commit."""
    yield place.common_dir / "info/attributes"
    yield _OF_SYSTEM
    own = source.settings.values.get("core.attributesfile")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    yield Path(os.path.expanduser(own)) if own else Path(config, "git/attributes")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _umask() -> str:
    """That of this process, where the system tells: it can be asked for only by setting it."""
    with suppress(OSError):
        for line in _STATUS.read_text("utf-8", "replace").splitlines():
            if line.startswith("Umask:"):
                return line
    return ""
