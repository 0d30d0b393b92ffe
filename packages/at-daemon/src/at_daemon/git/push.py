"""Bringing a bead's branch to a remote, because the person said so in this very call."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from at_daemon.git.errors import GitFailed, PushRefused, RemoteMissing
from at_daemon.git.merge import is_ancestor
from at_daemon.git.names import checked_branch, checked_sha
from at_daemon.git.network import reaching, telling, without_credentials
from at_daemon.git.places import Place, locate
from at_daemon.git.run import LONG, Git
from at_daemon.git.settings import read_settings

_SETTINGS = {"push.recurseSubmodules": "no", "push.followTags": "false"}


@dataclass(frozen=True)
class Remote:
    """A remote of the repository by its name; `url` is where pushes go, without credentials."""

    name: str
    url: str


@dataclass(frozen=True)
class Pushed:
    """The remote's branch is at the head now. `before`: where it was; `already`: it was there."""

    before: str | None
    already: bool
    notes: tuple[str, ...] = ()


async def remote_of(rig: Path, target: str, wanted: str | None) -> Remote:
    """The remote named `wanted`, else that of the target's upstream, else origin. Raises `RemoteMissing`."""
    git = locate(rig).git
    settings = (await read_settings(git)).values
    known = (await git.text("remote")).split("\n")
    upstream = settings.get(f"branch.{target}.pushremote") or settings.get(f"branch.{target}.remote", "")
    name = wanted if wanted is not None else upstream if upstream in known else "origin"
    if not name or name not in known:
        raise RemoteMissing(name, [each for each in known if each])
    url = await git.text("remote", "get-url", "--push", "--", name)
    return Remote(name, without_credentials(url.split("\n")[0]))


async def push(
    rig: Path, remote: str, branch: str, head: str, ours: Collection[str], caller: Mapping[str, str]
) -> Pushed:
    """Bring the commit `head` to the remote as `branch`, with the credentials of the `caller`'s environment.

    What is there already is replaced only if it is one of `ours`, or if `head` contains it: work of others is never
    overwritten. Doing it again finds it done. Raises `PushRefused` with git's own words.
    """
    place = locate(rig)
    git = reaching(place, caller, _SETTINGS, asks=True)
    ref = f"refs/heads/{checked_branch(branch)}"
    try:
        before = await _there(git, remote, ref)
        if before == checked_sha(head):
            return Pushed(before, True)
        if before and before not in ours and not await _contains(place.git, head, before):
            raise PushRefused(remote, f"{branch} has commits there that were not pushed from here")
        lease = f"--force-with-lease={ref}:{before or ''}"
        await git.run("push", "--porcelain", lease, "--", remote, f"{head}:{ref}", limit=LONG)
    except GitFailed as error:
        raise PushRefused(remote, telling(error)) from None
    return Pushed(before, False, await _skipped_hook(place))


async def _there(git: Git, remote: str, ref: str) -> str | None:
    """What the remote's branch is at, None if it has none of that name."""
    listed = await git.text("ls-remote", "--refs", "--", remote, ref, limit=LONG)
    for line in listed.split("\n"):
        sha, _, name = line.partition("\t")
        if name == ref:
            return sha
    return None


async def _contains(git: Git, head: str, other: str) -> bool:
    known = await git.run("cat-file", "-e", f"{checked_sha(other)}^{{commit}}", accept=(0, 1, 128))
    return known.returncode == 0 and await is_ancestor(git, other, head)


async def _skipped_hook(place: Place) -> tuple[str, ...]:
    """A hook is not run, and that is said."""
    *persons, _ours = (await place.git.text("config", "--get-all", "core.hooksPath")).split("\n")
    folder = place.top / Path(persons[-1]).expanduser() if persons else place.common_dir / "hooks"
    hook = folder / "pre-push"
    return (f"the pre-push hook {str(hook)!r} was not run",) if os.access(hook, os.X_OK) else ()
