"""A product for each test; nothing of it may be left running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A fresh home, a repository with one commit on `main`; nothing of it may be left running."""
    with product_in(tmp_path) as made:
        yield made
