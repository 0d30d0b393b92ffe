"""Shared by the tests of at-session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

STREAMS = Path(__file__).with_name("streams")


@dataclass(frozen=True)
class Recording:
    """What a real program wrote to a terminal of `rows` × `cols`."""

    name: str
    rows: int
    cols: int
    data: bytes


def _load(path: Path) -> Recording:
    name, _, size = path.stem.rpartition("-")
    rows, cols = map(int, size.split("x"))
    return Recording(name, rows, cols, path.read_bytes())


@pytest.fixture(params=sorted(STREAMS.glob("*.bin")), ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Every recorded stream in turn."""
    return _load(request.param)


@pytest.fixture
def anyio_backend() -> str:
    """Sessions are written against anyio's API and run on asyncio."""
    return "asyncio"
