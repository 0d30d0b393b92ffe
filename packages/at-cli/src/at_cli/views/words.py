"""Small phrases that several views share: ids, counts, ages, colours of states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from at_cli.clock import now

SHORT_ID = 8
"""Characters of an id in lists: enough to type back, the daemon takes any unique prefix of at least four."""

# The words of the wire as they are: at_core.types has them as enums, and costs more to load than the whole of click.
BEAD_STATUSES = ("backlog", "hooked", "slung", "review", "done", "failed", "escalated")
BEAD_COLOURS = {
    "slung": "cyan",
    "review": "yellow",
    "done": "green",
    "failed": "red",
    "escalated": "red",
}
GLYPHS = {"active": "@", "idle": "*", "pending": "!", "unknown": "?", "stopped": "x"}
AGENT_COLOURS = {"active": "green", "pending": "yellow", "stopped": "dim", "unknown": "red"}
TAKEN_RECEIPTS = ("accepted", "started", "answered")


def short(identity: object) -> str:
    """The beginning of an id."""
    return str(identity)[:SHORT_ID]


def count(number: int, thing: str, plural: str = "") -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {thing if number == 1 else plural or thing + 's'}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h 5 min`, `4 d`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} d"


def size(amount: float) -> str:
    """Bytes in the unit that reads best."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def clock_time(text: str | None) -> str:
    """A time of a document in the person's own zone: `14:05:09`, with the date if it is not today's."""
    if not text:
        return "-"
    moment = datetime.fromisoformat(text).astimezone()
    today = now().astimezone(moment.tzinfo).date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


def agent_glyph(agent: dict[str, Any]) -> str:
    """The one-character sign of an agent's status."""
    return GLYPHS.get(str(agent.get("status")), GLYPHS["unknown"])


def agent_colour(agent: dict[str, Any]) -> str:
    """The colour that goes with the sign."""
    return AGENT_COLOURS.get(str(agent.get("status")), "")
