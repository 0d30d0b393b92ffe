"""A branch brought to a remote: with the caller's credentials, doing it again, and never over the work of others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.errors import PushRefused, RemoteMissing
from at_daemon.git.testing import BRANCH, Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def remote(rig: Repo, tmp_path: Path) -> Repo:
    """A bare repository that is the rig's `origin`."""
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    rig.git("remote", "add", "origin", str(bare))
    return Repo(bare)


async def _push(rig: Repo, head: str, *ours: str) -> git.Pushed:
    return await git.push(rig.top, "origin", BRANCH, head, ours, dict(os.environ))


async def test_it_is_there_and_again_it_is_there_already(rig: Repo, remote: Repo) -> None:
    head = rig.commit("work", new="1\n")
    assert await _push(rig, head) == git.Pushed(None, False)
    assert remote.git("for-each-ref", "--format=%(objectname) %(refname)") == f"{head} refs/heads/{BRANCH}"
    assert await _push(rig, head) == git.Pushed(head, True)


async def test_a_rewritten_branch_replaces_what_we_pushed(rig: Repo, remote: Repo) -> None:
    first = rig.commit("work", new="1\n")
    await _push(rig, first)
    rig.git("commit", "-q", "--amend", "-m", "again")
    with pytest.raises(PushRefused, match="not pushed from here"):
        await _push(rig, rig.sha())
    assert await _push(rig, rig.sha(), first) == git.Pushed(first, False)
    assert remote.sha(f"refs/heads/{BRANCH}") == rig.sha()


async def test_what_the_work_contains_may_be_replaced(rig: Repo, remote: Repo) -> None:
    first = rig.commit("work", new="1\n")
    rig.git("push", "-q", "origin", f"{first}:refs/heads/{BRANCH}")
    assert (await _push(rig, rig.commit("more", new="2\n"))).before == first


async def test_what_a_hook_there_says_is_told_and_one_here_is_not_run(rig: Repo, remote: Repo) -> None:
    head = rig.commit("work", new="1\n")
    hook = rig.write(".git/hooks/pre-push", "#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    refusing = remote.write("hooks/pre-receive", "#!/bin/sh\necho too late in the day >&2\nexit 1\n")
    refusing.chmod(0o755)
    with pytest.raises(PushRefused, match="too late in the day"):
        await _push(rig, head)
    refusing.unlink()
    assert (await _push(rig, head)).notes == (f"the pre-push hook {str(hook)!r} was not run",)
    assert not list(rig.top.rglob("ran"))


async def test_the_callers_way_to_the_remote_is_taken_and_nothing_else_of_git(
    rig: Repo, remote: Repo, tmp_path: Path
) -> None:
    rig.git("remote", "set-url", "origin", "ssh://git@example.invalid/x.git")
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nenv > "{tmp_path}/seen"\necho no such host >&2\nexit 255\n')
    ssh.chmod(0o755)
    caller = dict(os.environ) | {
        "GIT_SSH_COMMAND": str(ssh),
        "SSH_AUTH_SOCK": "/run/agent",
        "GIT_DIR": "/nowhere",
        "GIT_EXTERNAL_DIFF": "false",
    }
    with pytest.raises(PushRefused, match="no such host"):
        await git.push(rig.top, "origin", BRANCH, rig.sha(), (), caller)
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert (seen["SSH_AUTH_SOCK"], seen["GIT_TERMINAL_PROMPT"]) == ("/run/agent", "0")
    assert seen.get("GIT_DIR") != "/nowhere" and "GIT_EXTERNAL_DIFF" not in seen


@pytest.mark.parametrize(
    ("settings", "wanted", "name"),
    [
        ({}, None, "origin"),
        ({"branch.main.remote": "mine"}, None, "mine"),
        ({"branch.main.remote": "."}, None, "origin"),
        ({"branch.main.remote": "mine", "branch.main.pushRemote": "origin"}, None, "origin"),
        ({"branch.main.remote": "mine"}, "origin", "origin"),
    ],
)
async def test_which_remote_is_meant(
    rig: Repo, remote: Repo, settings: dict[str, str], wanted: str | None, name: str
) -> None:
    rig.git("remote", "add", "mine", "https://me:secret@example.invalid/x.git")
    for key, value in settings.items():
        rig.git("config", key, value)
    found = await git.remote_of(rig.top, "main", wanted)
    assert found.name == name
    assert found.url == (str(remote.top) if name == "origin" else "https://example.invalid/x.git")


@pytest.mark.parametrize("wanted", ["nosuch", "", "--upload-pack=x", "https://example.invalid/x.git"])
async def test_only_a_remote_of_the_repository_is_taken(rig: Repo, remote: Repo, wanted: str) -> None:
    with pytest.raises(RemoteMissing, match="it has origin"):
        await git.remote_of(rig.top, "main", wanted)
