"""What was taken away, as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.bead import one_line
from at_cli.views.words import clock_time, short

Document = dict[str, Any]
ACTS = {
    "rm": "removed",
    "fail": "given up",
    "fresh": "session left",
    "land": "merged",
}
UNDONE = {"rm": "the removal", "fail": "giving up", "fresh": "leaving the session"}


def act_lines(acts: list[Document], style: Look) -> list[str]:
    """The page of `at undo --list`."""
    if not acts:
        return ["Nothing was taken away here."]
    return style.table([_act_row(act, style) for act in acts])


def _act_row(act: Document, style: Look) -> list[TableCell]:
    why_not = act.get("why_not")
    state = (
        TableCell(style.plain(why_not), "dim")
        if why_not
        else TableCell(f"at undo {short(act['id'])}", "bold")
    )
    title = style.fit(style.plain(act["title"]), 40)
    return [
        TableCell(short(act["id"])),
        TableCell(clock_time(act["at"])),
        TableCell(ACTS.get(str(act["kind"]), str(act["kind"]))),
        TableCell(short(act["bead_id"])),
        TableCell(title),
        state,
    ]


def undone_lines(document: Document, style: Look) -> list[str]:
    """What was had back, how it stands now, and what lets it go on."""
    act = document["undone"]
    lines = [f"taken back: {UNDONE.get(str(act['kind']), str(act['kind']))}", *one_line(document, style)]
    hints = [want["hint"] for want in document.get("attention", []) if want.get("hint")]
    return [*lines, *(f"  next: {style.paint('bold', style.plain(hint))}" for hint in hints)]
