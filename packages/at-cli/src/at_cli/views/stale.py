"""What nobody touched for a time, as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look
from at_cli.views.words import BEAD_COLOURS, count, duration, short

Document = dict[str, Any]


def stale_lines(document: Document, style: Look) -> list[str]:
    """The page of `at ls --stale`: each with its reason and the commands that end it."""
    if not document["stale"]:
        return [f"Nothing was left untouched for {whole_age(document['after_seconds'])}."]
    lines = [line for row in document["stale"] for line in _row(row, style)]
    left = document.get("not_shown") or 0
    return [*lines, f"({count(left, 'more work item')})"] if left else lines


def whole_age(seconds: int) -> str:
    """An age as it was asked for: `3 d`, `12 h`, `30 min`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _row(row: Document, style: Look) -> list[str]:
    agent = f" ({style.plain(row['agent'])})" if row.get("agent") else ""
    named = f"{short(row['bead'])} " if row.get("bead") else ""
    status = str(row.get("status") or row["kind"])
    state = style.paint(BEAD_COLOURS[status], status) if status in BEAD_COLOURS else status
    title = style.fit(style.plain(row["title"] or ""), 60)
    lines = [f"{named}{state}, untouched for {duration(row['seconds'])}: {title}{agent}"]
    lines += style.block(str(row["reason"]).rstrip("\n"), "    ")
    if row.get("path"):
        lines.append(f"    {style.plain(row['path'])}")
    return [*lines, *(f"  {style.paint('bold', style.plain(act))}" for act in row["acts"])]
