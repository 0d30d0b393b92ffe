"""The clock of the command line: awake seconds for waiting, wall time for ages."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def monotonic() -> float:
    """Seconds that only grow."""
    return time.monotonic()


def now() -> datetime:
    """Wall time, aware, UTC."""
    return datetime.now(UTC)
