"""What this daemon fetched of the branches that targets follow. A new daemon fetches anew."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from at_core.types import Rig
from at_daemon.clock import Clock
from at_daemon.git.base import Upstream


@dataclass(frozen=True, slots=True)
class Fetched:
    """The last fetch of a branch: when, and what went wrong; `good`: when the last one that went well was begun."""

    awake: float
    trouble: str | None
    good: datetime | None


@dataclass(frozen=True, slots=True)
class Fetches:
    """The last fetch of each branch of a repository's remotes; one at a time for each repository, by its path."""

    _last: dict[tuple[str, str, str], Fetched] = field(default_factory=dict)
    locks: defaultdict[str, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))

    def last(self, rig: Rig, upstream: Upstream) -> Fetched | None:
        """None if this daemon has fetched nothing of it."""
        return self._last.get((rig.path, upstream.remote, upstream.branch))

    def note(
        self, rig: Rig, upstream: Upstream, begun: datetime, trouble: str | None, clock: Clock
    ) -> Fetched:
        """Remember a fetch that has just ended."""
        before = self.last(rig, upstream)
        good = begun if trouble is None else before.good if before else None
        fetched = Fetched(clock.awake().seconds, trouble, good)
        self._last[rig.path, upstream.remote, upstream.branch] = fetched
        return fetched
