"""How a person names a thing by its id."""

from __future__ import annotations

import re

MIN_PREFIX = 4
"""Hexadecimal digits of an id that are taken as a prefix of it."""

_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},32}}")
_GROUPS = (8, 12, 16, 20)


def id_range(text: str) -> tuple[str, str] | None:
    """The bounds (low inclusive, high exclusive) of the stored ids that begin with `text`; None if it is no prefix.

    Case and dashes do not matter.
    """
    digits = text.lower().replace("-", "")
    if not _PREFIX.fullmatch(digits):
        return None
    low = "-".join(
        part
        for part in (digits[start:end] for start, end in zip((0, *_GROUPS), (*_GROUPS, 32), strict=True))
        if part
    )
    return low, low + "g"
