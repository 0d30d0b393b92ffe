"""What a bead waits for, and what waits for it."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import BEAD_COLOURS, short

Document = dict[str, Any]


def after_lines(document: Document, style: Look) -> list[str]:
    """Both lists under the bead's title; one that is empty says so."""
    bead = document["bead"]
    lines = [f"{style.paint('dim', short(bead['id']))} {style.paint('bold', style.plain(bead['title']))}"]
    lines += _list("waits for", document["after"], style) or ["  waits for nothing"]
    return lines + (_list("is waited for by", document["followers"], style) or ["  nothing waits for it"])


def _list(words: str, beads: list[Document], style: Look) -> list[str]:
    if not beads:
        return []
    return [f"  {words}", *(f"    {line}" for line in style.table([_row(bead, style) for bead in beads]))]


def _row(bead: Document, style: Look) -> tuple[TableCell, ...]:
    status = str(bead["status"])
    return (
        TableCell(short(bead["id"]), "dim"),
        TableCell(status, BEAD_COLOURS.get(status, "")),
        TableCell(style.plain(bead["title"] or ""), ""),
    )
