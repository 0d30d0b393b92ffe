"""A home folder of its own for every test, and an environment without settings of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("config", max_examples=30, deadline=None)
settings.load_profile("config")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, which does not exist yet."""
    for name in list(os.environ):
        if name.startswith("AT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(home: Path) -> Path:
    """Where the settings file may be made."""
    home.mkdir()
    return home / "config.toml"
