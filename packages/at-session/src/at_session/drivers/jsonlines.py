"""From a stream's bytes to JSON objects, for every protocol of one object per line.

What is left of an unfinished line lives in the driver's state as text with one character per byte, so that the state
survives JSON at every byte boundary. A line that is no JSON object is a fact, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from at_session.vocabulary import DriverState, Unparsed

LINE_LIMIT = 64 << 20
EXCERPT_LIMIT = 500
COUNT_LIMIT = 1 << 53
"""Whole numbers above lose digits in many JSON readers, and nothing that is counted here comes near."""

Object = dict[str, Any]


def split_lines(state: DriverState, stream: str, data: bytes) -> Iterator[bytes]:
    """Complete lines without their line end. Of a line beyond LINE_LIMIT only the beginning is given."""
    partials: dict[str, list[str]] = state.values.setdefault("partial", {})
    sizes: dict[str, int] = state.values.setdefault("partial_size", {})
    pieces = data.split(b"\n")
    for index, piece in enumerate(pieces):
        kept = partials.setdefault(stream, [])
        sizes[stream] = sizes.get(stream, 0) + len(piece)
        if piece and sizes[stream] <= LINE_LIMIT:
            kept.append(piece.decode("latin-1"))
        if index < len(pieces) - 1:
            line = "".join(kept).encode("latin-1")
            partials[stream] = []
            oversized, sizes[stream] = sizes[stream] > LINE_LIMIT, 0
            yield line[:EXCERPT_LIMIT] if oversized else line.rstrip(b"\r")


def parse(line: bytes, stream: str = "stdout") -> Object | Unparsed | None:
    """The object of a line, the line as a fact if it is none, or None for an empty line."""
    if not line.strip():
        return None
    text = line.decode("utf-8", "replace")
    try:
        value = json.loads(text)
        # JSON may escape half a character; such a string could not be stored or shown.
        whole = _whole(value) if "\\ud" in text.lower() else value
    except (ValueError, RecursionError):
        return unparsed(text, stream)
    return whole if isinstance(whole, dict) else unparsed(text, stream)


def unparsed(text: str, stream: str = "stdout") -> Unparsed:
    """A line as a fact, shortened."""
    return Unparsed(text[:EXCERPT_LIMIT], stream)


def encode(value: Object) -> bytes:
    """One line of a protocol."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def text_of(value: object) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def optional_text(value: object) -> str | None:
    """The value if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def object_of(value: object) -> Object:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[Object]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count_of(value: object) -> int:
    """The value if it is a believable whole number of something, else 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value <= COUNT_LIMIT else 0


def number_of(value: object) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value
