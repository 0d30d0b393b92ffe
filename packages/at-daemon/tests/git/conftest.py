"""Real repositories of a person and their agents, each test with a home of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon.git.testing import Repo


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an identity; no variable of whoever runs the tests is left."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text(
        '[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[protocol "file"]\nallow = always\n'
    )
    for name in [*os.environ]:
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("EMAIL", raising=False)
    return folder


@pytest.fixture
def make_repo(home: Path, tmp_path: Path) -> Callable[..., Repo]:
    """Makes a repository with one commit, on `main`."""

    def make(name: str = "rig", *, empty: bool = False) -> Repo:
        repo = Repo(tmp_path / name)
        repo.top.mkdir(parents=True)
        repo.git("init", "--quiet")
        if not empty:
            repo.write("d/inner.txt", "inner\n")
            repo.commit("first", **{"a.txt": "a\nb\nc\n", "gone.txt": "bye\n"})
        return repo

    return make


@pytest.fixture
def rig(make_repo: Callable[..., Repo]) -> Repo:
    """The person's repository: `a.txt`, `d/inner.txt`, `gone.txt`, checked out on `main`."""
    return make_repo()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an agent's folder goes."""
    return tmp_path / "state" / "worktrees" / "one"
