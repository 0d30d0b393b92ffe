"""Real repositories of a person and their agents, each test with a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon.git import run
from at_daemon.git.testing import Repo

# Nothing here has to survive a power cut, and fsync is most of what small repositories cost.
_GITCONFIG = """\
[user]
name = Ada
email = ada@example.org
[init]
defaultBranch = main
[protocol "file"]
allow = always
[core]
fsync = none
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an identity; no variable of whoever runs the tests is left."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text(_GITCONFIG)
    for name in [*os.environ]:
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("EMAIL", raising=False)
    monkeypatch.setitem(run._SETTINGS, "core.fsync", "none")
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One repository with one commit, copied for each test."""
    top = tmp_path_factory.mktemp("template")
    for name, text in {"a.txt": "a\nb\nc\n", "gone.txt": "bye\n", "d/inner.txt": "inner\n"}.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for command in (
        ("init", "-q", "--template=", "-b", "main"),
        ("add", "-A"),
        (*identity, "commit", "-q", "-m", "first"),
    ):
        subprocess.run(["git", *command], cwd=top, check=True)
    return top


@pytest.fixture
def make_repo(home: Path, tmp_path: Path, template: Path) -> Callable[[str], Repo]:
    """Makes a repository with one commit, on `main`."""

    def make(name: str) -> Repo:
        shutil.copytree(template, tmp_path / name)
        repo = Repo(tmp_path / name)
        repo.git("update-index", "-q", "--refresh")
        return repo

    return make


@pytest.fixture
def rig(make_repo: Callable[[str], Repo]) -> Repo:
    """The person's repository: `a.txt`, `d/inner.txt`, `gone.txt`, checked out on `main`."""
    return make_repo("rig")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an agent's folder goes."""
    return tmp_path / "state" / "worktrees" / "one"
