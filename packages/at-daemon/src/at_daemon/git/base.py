"""Where a bead begins when nobody says: the target, or the branch it follows where that is ahead of it.

No branch of the person is moved, nor what they see of their remotes: a fetch of ours goes to a hidden ref.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from at_daemon.git.errors import FetchFailed, GitFailed, GitTimedOut, RevisionMissing
from at_daemon.git.merge import is_ancestor
from at_daemon.git.names import HIDDEN
from at_daemon.git.network import reaching, telling
from at_daemon.git.places import Place, locate

_FORMAT = "%(refname) %(objectname) %(upstream) %(upstream:remotename) %(upstream:remoteref)"
_SETTINGS = {
    "fetch.writeCommitGraph": "false",
    "fetch.prune": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.output": "compact",
}
_WRITTEN = re.compile(rb"> (\d+) [-+]\d{4}(?:\t|$)", re.MULTILINE)
_LAST_LINE = 4096
_KEPT = f"{HIDDEN}upstream/"
_QUIETLY = (
    *("--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head", "--no-recurse-submodules"),
    *("--no-auto-maintenance", "--refmap="),
)


@dataclass(frozen=True)
class Upstream:
    """The branch of a remote that a branch of the person follows; `seen` is the ref that their own fetches move."""

    remote: str
    branch: str
    seen: str

    @property
    def name(self) -> str:
        """As people write it."""
        return self.seen.removeprefix("refs/remotes/")

    @property
    def kept(self) -> str:
        """The hidden ref that our own fetches move: of this branch of this remote, whatever follows it."""
        name = hashlib.sha256(f"{self.remote}\0{self.branch}".encode("utf-8", "surrogateescape"))
        return f"{_KEPT}{name.hexdigest()[:16]}"


@dataclass(frozen=True)
class Base:
    """A commit to begin at, by the name it was found under.

    `ahead` and `behind` count commits against the upstream as it was last fetched; `fetched` is when (seconds since
    1970), None where nothing tells. `target_behind`: so many of its commits the target lacks.
    """

    ref: str
    sha: str
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    target_behind: int = 0
    fetched: float | None = None


@dataclass(frozen=True)
class _Tips:
    target: str
    upstream: Upstream | None
    ours: str | None
    """Where our own fetches found the upstream, if there were some."""


async def upstream_of(rig: Path, target: str) -> Upstream | None:
    """What the target follows; None for nothing, or for a branch of the same repository."""
    return (await _tips(locate(rig), target)).upstream


async def fetch(rig: Path, upstream: Upstream, seconds: float, caller: Mapping[str, str]) -> None:
    """Bring the upstream's newest commit, with the `caller`'s credentials and without any question to them.

    Raises `FetchFailed` with git's own words, also after `seconds`.
    """
    git = reaching(locate(rig), caller, _SETTINGS)
    if not any(name in git.env for name in ("GIT_SSH", "GIT_SSH_COMMAND")):
        own = await git.text("config", "--get", "core.sshCommand", accept=(0, 1))
        # It has no terminal to ask at; ssh itself is told so, and gives up at once.
        git = git if own else git.having(env={**git.env, "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"})
    refspec = f"+{upstream.branch}:{upstream.kept}"
    try:
        await git.run("fetch", *_QUIETLY, "--", upstream.remote, refspec, limit=seconds)
    except GitTimedOut:
        raise FetchFailed(upstream.remote, f"it did not answer within {seconds:.0f} s") from None
    except GitFailed as error:
        raise FetchFailed(upstream.remote, telling(error)) from None


async def choose_base(rig: Path, target: str, ours: Callable[[Upstream], float | None] | None = None) -> Base:
    """The upstream's commit if the target has nothing that it lacks, else the target's own.

    With `ours` what we fetched counts as well: it gives the time of our last fetch (seconds since 1970), None if that is
    not known. Raises `RevisionMissing`.
    """
    place = locate(rig)
    tips = await _tips(place, target)
    if tips.upstream is None:
        return Base(target, tips.target)
    theirs, fetched = await _upstream_tip(place, tips.upstream, tips.ours if ours else None, ours)
    if theirs is None:
        return Base(target, tips.target)
    counts = await place.git.text("rev-list", "--left-right", "--count", f"{tips.target}...{theirs}")
    ahead, behind = map(int, counts.split())
    if behind and not ahead:
        return Base(tips.upstream.name, theirs, tips.upstream.name, 0, 0, behind, fetched)
    return Base(target, tips.target, tips.upstream.name, ahead, behind, 0, fetched)


async def _tips(place: Place, target: str) -> _Tips:
    mine = f"refs/heads/{target}"
    listed = await place.git.text("for-each-ref", f"--format={_FORMAT}", mine, _KEPT)
    rows = {row[0]: row[1:] for line in listed.split("\n") if (row := line.split(" "))}
    if mine not in rows:
        raise RevisionMissing(place.top, mine)
    sha, seen, remote, branch = rows[mine]
    if not (seen and branch and remote not in ("", ".")):
        return _Tips(sha, None, None)
    upstream = Upstream(remote, branch, seen)
    return _Tips(sha, upstream, rows[upstream.kept][0] if upstream.kept in rows else None)


async def _upstream_tip(
    place: Place, upstream: Upstream, ours: str | None, when: Callable[[Upstream], float | None] | None
) -> tuple[str | None, float | None]:
    """What is known of the upstream, by our fetches (`ours`) or the person's, and when that was fetched."""
    asked = ("rev-parse", "--verify", "--quiet", f"{upstream.seen}^{{commit}}")
    seen = await place.git.text(*asked, accept=(0, 1, 128)) or None
    theirs = _persons_fetch(place, upstream)
    fetched = when(upstream) if when else None
    if ours is None or (seen is not None and not await _is_newer(place, upstream, seen, ours, fetched)):
        return seen, theirs
    known = [fetched] if seen != ours else [fetched, theirs]
    return ours, max((each for each in known if each is not None), default=None)


async def _is_newer(place: Place, upstream: Upstream, seen: str, ours: str, fetched: float | None) -> bool:
    """Whether our own fetch tells more than the person's; where times do not tell, whether it holds theirs."""
    moved = _moved(place, upstream)
    if fetched is None or moved is None or moved <= fetched < moved + 1:
        return await is_ancestor(place.git, seen, ours)
    return fetched > moved


def _moved(place: Place, upstream: Upstream) -> int | None:
    """The second in which the person's own view of the upstream was moved, as git has noted it."""
    log = place.common_dir / "logs" / upstream.seen
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, os.stat(log).st_size - _LAST_LINE))
        found = _WRITTEN.findall(file.read())
        return int(found[-1]) if found else None
    return None


def _persons_fetch(place: Place, upstream: Upstream) -> float | None:
    """When the person last fetched: what git writes then, else when a clone or a push set the ref."""
    times = []
    for path in (place.git_dir / "FETCH_HEAD", place.common_dir / "FETCH_HEAD"):
        with suppress(FileNotFoundError):
            times.append(os.stat(path).st_mtime)
    with suppress(FileNotFoundError, NotADirectoryError):
        times.append(os.stat(place.common_dir / "logs" / upstream.seen).st_mtime)
    return max(times, default=None)
