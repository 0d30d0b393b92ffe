"""Stores of their own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from at_core.store import Store

settings.register_profile("store", max_examples=20, deadline=None)
settings.load_profile("store")


@pytest.fixture
def anyio_backend() -> str:
    """The store's `write` is asyncio's."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store's file may be made."""
    return tmp_path / "home" / "cache.db"


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    """A store, once as a file and once in memory."""
    with Store.open(path if request.param == "file" else None) as opened:
        yield opened
