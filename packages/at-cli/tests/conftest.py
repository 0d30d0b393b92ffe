"""Every test gets a home folder, a working folder and, if it asks, a daemon of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from at_cli.testing import At, FakeDaemon
from at_core.paths import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home folder that does not exist yet."""
    return Home(tmp_path / "home")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `at` is called."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def at(home: Home, place: Path) -> At:
    """Calls in an environment of their own."""
    return At(
        home, {"AT_HOME": str(home.root), "HOME": str(place), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    )


@pytest.fixture
def daemon(home: Home) -> Iterator[FakeDaemon]:
    """A daemon that answers with the documents above."""
    fake = FakeDaemon(home)
    yield fake
    fake.close()
