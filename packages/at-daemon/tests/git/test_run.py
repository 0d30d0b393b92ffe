"""The hardened runner: environment, limits, errors."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from at_daemon.git.errors import GitFailed, GitTimedOut
from at_daemon.git.run import Git
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


def _fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "git"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_git_writes_is_on_the_disk_before_anything_else_is_done() -> None:
    env = Git().environment()
    names = {
        env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(env["GIT_CONFIG_COUNT"]))
    }
    assert names["core.fsync"] == "committed"


async def test_nothing_of_the_callers_git_environment_is_left(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GIT_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_CONFIG_PARAMETERS",
        "GIT_SSH_COMMAND",
        "PAGER",
        "LC_ALL",
    ):
        monkeypatch.setenv(name, "theirs")
    _fake_git(tmp_path, monkeypatch, "env")
    lines = (await Git(cwd=tmp_path).text("x")).split("\n")
    seen = dict(line.partition("=")[::2] for line in lines)
    assert "theirs" not in seen.values()
    assert (
        seen["GIT_TERMINAL_PROMPT"] == "0" and seen["GIT_ALLOW_PROTOCOL"] == "file" and seen["LC_ALL"] == "C"
    )
    assert "GIT_DIR" not in seen


async def test_a_slow_git_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "alive")
    # The child holds the FIFO open for writing as long as it lives; end of file says that it is gone.
    _fake_git(tmp_path, monkeypatch, f"sleep 1000 3>{tmp_path}/alive & wait")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(GitTimedOut, match="git fetch took longer than 0.3 s"):
        await Git(cwd=tmp_path).run("fetch", limit=0.3)
    await anyio.wait_readable(reader)
    assert os.read(reader, 1) == b""
    os.close(reader)


async def test_output_is_cut_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_git(tmp_path, monkeypatch, "yes")
    assert (await Git(cwd=tmp_path).run("log", most=10)).stdout == b"y\n" * 5


async def test_large_pipes_both_ways(rig: Repo) -> None:
    big = os.urandom(3 << 20)
    sha = (await Git(git_dir=rig.top / ".git").run("hash-object", "-w", "--stdin", stdin=big)).stdout
    back = await Git(git_dir=rig.top / ".git").run("cat-file", "blob", sha.decode().strip())
    assert back.stdout == big


async def test_a_git_that_does_not_read_its_input(rig: Repo) -> None:
    with pytest.raises(GitFailed):
        await Git(git_dir=rig.top / ".git").run("cat-file", "-e", "0" * 40, stdin=b"x" * (1 << 20))


async def test_the_error_is_one_line_with_gits_words(rig: Repo) -> None:
    with pytest.raises(GitFailed) as failed:
        await Git(git_dir=rig.top / ".git").run("rev-parse", "--verify", "nosuch")
    assert failed.value.message == "git rev-parse failed (128): fatal: Needed a single revision"


async def test_no_remote_is_ever_asked(rig: Repo) -> None:
    git = Git(git_dir=rig.top / ".git")
    for url in ("https://127.0.0.1:1/x", "ssh://127.0.0.1/x", "ext::sh -c true", "git://127.0.0.1/x"):
        with pytest.raises(GitFailed, match="not allowed"):
            await git.run("ls-remote", url)
