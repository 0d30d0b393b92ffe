"""What is to land, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from at_cli.style import Look
from at_cli.views.words import count, short

Document = dict[str, Any]

_COLOURS = {"landed": "green", "back": "red", "refused": "red", "waits": "yellow", "left": "yellow"}
_WORDS = {
    "landed": "landed",
    "allowed": "may land",
    "back": "did not land",
    "waits": "waits",
    "refused": "not let land",
    "left": "left",
}
_ORDER = (1, 3, 4, 75)
"""Of several exit codes the one that says most."""


def intention_lines(beads: Sequence[Document], style: Look) -> list[str]:
    """What will land, before it does, in its order."""
    if not beads:
        return []
    lines = [f"{count(len(beads), 'work item')} may land now, in this order as each is ready:"]
    for bead in beads:
        size = f"{count(bead['files'], 'file')}, +{bead['insertions']} -{bead['deletions']}"
        unread = " (not read)" if bead["unread"] else ""
        lines.append(f"  {short(bead['id'])} {style.fit(style.plain(bead['title']), 60)}: {size}{unread}")
    return lines


def landing_lines(landings: Sequence[Document], style: Look) -> list[str]:
    """One line for each, and for what was left the way to read it."""
    if not landings:
        return ["Nothing waits to land."]
    lines = [_line(each, style) for each in landings]
    if left := [each for each in landings if each["result"] == "left"]:
        acts = [f"at diff {short(each['bead'])}" for each in left]
        lines.append(f"To look at: {', '.join(acts)}")
    return lines


def _line(landing: Document, style: Look) -> str:
    result = landing["result"]
    words = style.paint(_COLOURS.get(result, "dim"), _WORDS[result])
    merge = f" as {short(landing['merge'])}" if landing["merge"] and result == "landed" else ""
    title = f": {style.fit(style.plain(landing['title']), 60)}" if landing["title"] else ""
    reason = f" ({style.plain(landing['reason'])})" if landing["reason"] else ""
    return f"{short(landing['bead'])} {words}{merge}{title}{reason}"


def worst(codes: Sequence[int]) -> int:
    """The exit code of several."""
    found = [code for code in codes if code]
    known = [code for code in _ORDER if code in found]
    return known[0] if known else (found[0] if found else 0)
