"""Folders that are made before a bead wants one: for whom, and when the machine has room for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from at_core.types import Bead, Rig

UNUSED = timedelta(days=1)
"""Nothing is made for a repository that nobody has used for so long."""
LEAST_FREE_BYTES = 10_000_000_000
LEAST_FREE_SHARE = 10
"""A disk with less than so many bytes free, and less than a tenth of it, is nearly full."""


def last_use(rig: Rig, beads: Iterable[Bead]) -> datetime:
    """When something last happened to a bead of the repository; when it was made known if it has none."""
    return max((bead.updated_at for bead in beads if bead.rig == str(rig.id)), default=rig.created_at)


def is_in_use(used: datetime, now: datetime) -> bool:
    """Whether folders are made for a repository that was last used then."""
    return now - used < UNUSED


def is_nearly_full(total: int, free: int) -> bool:
    """Whether a disk of `total` bytes has too few of them free."""
    return free < LEAST_FREE_BYTES and free * LEAST_FREE_SHARE < total
