"""Load every module of a package by name: `python tools/load_all.py at_core`; fails at the first that cannot be loaded."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Final

SCRIPTS: Final = {"__main__", "migrations"}
"""Programs, and what Alembic runs."""


def modules(package: str) -> Iterator[str]:
    """Names of the package and all modules below it, without those that do something when they are loaded."""
    yield package
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not SCRIPTS & set(found.name.split(".")):
            yield found.name


def main(package: str) -> int:
    """Load them and print how many there were."""
    names = list(modules(package))
    for name in names:
        importlib.import_module(name)
    print(f"{package}: {len(names)} modules loaded")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
