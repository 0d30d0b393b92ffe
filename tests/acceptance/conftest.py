"""A product for each test; nothing of it may be left running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in

FOLDER = Path(__file__).parent
TIMEOUT_SECONDS = 240
"""Each test starts a daemon and agents; on a busy machine that alone takes a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder more time than tests of parts have, unless they say how much they need."""
    for item in items:
        if FOLDER in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A fresh home, a repository with one commit on `main`; nothing of it may be left running."""
    with product_in(tmp_path) as made:
        yield made
