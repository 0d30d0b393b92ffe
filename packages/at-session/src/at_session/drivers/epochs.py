"""Times as CLIs give them, in the one form in which they are told."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil

from at_session.drivers.jsonlines import number_of


def rfc3339(epoch: object) -> str | None:
    """An epoch time in seconds or milliseconds as RFC 3339 UTC, a part of a second rounded up; None if it is none.

    What waits for that time must not come too early.
    """
    number = number_of(epoch)
    if number is None or number <= 0:
        return None
    seconds = number / 1000 if number > 1e11 else number
    try:
        return datetime.fromtimestamp(ceil(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
