"""Where work begins: among the target, what the person fetched of its upstream, and what was fetched for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.errors import FetchFailed, RevisionMissing
from at_daemon.git.network import reaching
from at_daemon.git.places import locate
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def origin(rig: Repo, tmp_path: Path) -> Repo:
    """A bare repository whose `main` the rig's follows, with a commit more than that knows of."""
    bare = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    rig.git("remote", "add", "origin", str(bare))
    rig.git("push", "-q", "-u", "origin", "main")
    return Repo(bare)


def newer(rig: Repo, origin: Repo, *options: str, message: str = "by somebody else") -> str:
    """A commit on the origin's branch that the rig knows nothing of."""
    made = rig.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message)
    rig.git("push", "-q", *options, str(origin.top), f"{made}:refs/heads/main")
    return made


async def _fetch(rig: Repo, seconds: float = 30) -> None:
    upstream = await git.upstream_of(rig.top, "main")
    assert upstream is not None and upstream.name == "origin/main"
    await git.fetch(rig.top, upstream, seconds, dict(os.environ))


def _unknown(_: git.Upstream) -> None:
    """When we fetched is not known: another daemon did."""


def _later(_: git.Upstream) -> float:
    """We fetched after all that the person did."""
    return 4e9


async def test_a_target_that_follows_nothing_is_its_own_base(rig: Repo) -> None:
    assert await git.choose_base(rig.top, "main", _unknown) == git.Base("main", rig.sha())
    rig.git("branch", "other")
    rig.git("branch", "-q", "--set-upstream-to=other")
    assert await git.upstream_of(rig.top, "main") is None
    with pytest.raises(RevisionMissing):
        await git.choose_base(rig.top, "nothing")


async def test_what_was_fetched_for_it_counts_until_the_person_has_more(rig: Repo, origin: Repo) -> None:
    first = newer(rig, origin)
    assert (await git.choose_base(rig.top, "main", _unknown)).sha == rig.sha()
    await _fetch(rig)
    assert rig.sha("origin/main") == rig.sha(), "their own view of the remote has not moved"
    for ours in (_later, _unknown):
        base = await git.choose_base(rig.top, "main", ours)
        assert (base.ref, base.sha, base.target_behind) == ("origin/main", first, 1)
    rig.git("merge", "-q", "--ff-only", first)
    second = newer(rig, origin)
    rig.git("fetch", "-q")
    base = await git.choose_base(rig.top, "main", _unknown)
    assert (base.sha, base.fetched is not None) == (second, True)


async def test_what_the_person_fetched_later_is_newer_and_so_is_its_time(rig: Repo, origin: Repo) -> None:
    newer(rig, origin)
    await _fetch(rig)
    second = newer(rig, origin, "--force", message="instead of it")
    rig.git("fetch", "-q")
    noted = rig.top / ".git/logs/refs/remotes/origin/main"
    last = int(rig.git("log", "-g", "-1", "--format=%gd", "--date=unix", "origin/main").split("{")[1][:-1])
    os.utime(rig.top / ".git/FETCH_HEAD", (last, last))
    os.utime(noted, (last, last))
    for earlier in (last - 100.0, None):
        base = await git.choose_base(rig.top, "main", lambda _, when=earlier: when)  # type: ignore[misc]
        assert (base.sha, base.fetched) == (second, last)
    assert (await git.choose_base(rig.top, "main", _later)).sha != second


async def test_what_was_fetched_counts_only_where_that_is_set(rig: Repo, origin: Repo) -> None:
    newer(rig, origin)
    await _fetch(rig)
    assert (await git.choose_base(rig.top, "main")).sha == rig.sha()
    base = await git.choose_base(rig.top, "main", _later)
    assert (base.target_behind, base.fetched) == (1, 4e9)


async def test_what_was_fetched_of_one_branch_is_not_another(rig: Repo, origin: Repo) -> None:
    rig.git("push", "-q", "origin", "main:rel")
    first = newer(rig, origin)
    await _fetch(rig)
    assert (await git.choose_base(rig.top, "main", _later)).sha == first
    rig.git("branch", "-q", "-u", "origin/rel", "main")
    for ours in (_later, _unknown):
        base = await git.choose_base(rig.top, "main", ours)
        assert (base.sha, base.upstream, base.target_behind) == (rig.sha(), "origin/rel", 0)
    upstream = await git.upstream_of(rig.top, "main")
    assert upstream is not None
    await git.fetch(rig.top, upstream, 30, dict(os.environ))
    assert (await git.choose_base(rig.top, "main", _later)).sha == rig.sha()


async def test_a_branch_that_was_rewritten_there_is_what_was_fetched_last(rig: Repo, origin: Repo) -> None:
    start = rig.sha()
    rig.commit("withdrawn later", new="1\n")
    rig.git("push", "-q")
    rig.git("reset", "-q", "--hard", start)
    rewritten = newer(rig, origin, "--force")
    await _fetch(rig)
    assert (await git.choose_base(rig.top, "main", _later)).sha == rewritten


async def test_a_fetch_brings_no_tag_and_runs_no_hook(rig: Repo, origin: Repo) -> None:
    made = newer(rig, origin)
    origin.git("tag", "theirs", made)
    hook = rig.write(".git/hooks/reference-transaction", "#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    await _fetch(rig)
    assert rig.git("tag") == "" and not (rig.top / "ran").exists()


async def test_a_remote_that_is_not_there_is_told_in_gits_words(rig: Repo, origin: Repo) -> None:
    rig.git("remote", "set-url", "origin", "/nowhere.git")
    with pytest.raises(FetchFailed, match=r"nowhere\.git"):
        await _fetch(rig)
    rig.git("remote", "set-url", "origin", "ext::sh -c 'touch ran'")
    with pytest.raises(FetchFailed, match="not allowed"):
        await _fetch(rig)
    assert not (rig.top / "ran").exists()


def test_only_a_push_may_ask_the_person(rig: Repo) -> None:
    caller = {"GIT_ASKPASS": "/usr/bin/ask", "SSH_ASKPASS": "/usr/bin/ask", "GIT_SSH_COMMAND": "ssh -i key"}
    asked = {asks: reaching(locate(rig.top), caller, {}, asks=asks).environment() for asks in (True, False)}
    assert (asked[True]["GIT_ASKPASS"], asked[False]["GIT_ASKPASS"]) == ("/usr/bin/ask", "")
    assert all("SSH_ASKPASS" not in each and each["GIT_TERMINAL_PROMPT"] == "0" for each in asked.values())
    assert asked[False]["GIT_SSH_COMMAND"] == "ssh -i key"
