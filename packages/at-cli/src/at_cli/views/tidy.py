"""What is left over, as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import count, short, size

Document = dict[str, Any]
KINDS = {
    "branch": ("branch", "branches"),
    "ref": ("hidden ref", "hidden refs"),
    "folder": ("folder of a work item", "folders of work items"),
    "private": ("folder of an agent", "folders of agents"),
    "environment": ("environment of an agent", "environments of agents"),
    "journal": ("journal", "journals"),
    "warm_folder": ("folder for work to come", "folders for work to come"),
    "gate_folder": ("folder of a gate", "folders of gates"),
    "setup_log": ("log of a set-up", "logs of set-ups"),
    "gate_log": ("log of a gate", "logs of gates"),
}
NOTHING = "Nothing is left over."


def leftover_lines(document: Document, style: Look, *, asks: bool) -> list[str]:
    """The page of `at tidy`: all that may go, what that frees, and how."""
    rows = document["leftovers"]
    if not rows:
        return [NOTHING]
    lines = style.table([_row(row, style) for row in rows])
    lines.append(_total(document))
    return lines if asks else [*lines, f"next: {style.paint('bold', 'at tidy --yes')}"]


def tidied_lines(document: Document, style: Look) -> list[str]:
    """What went, kind by kind. How to have a branch back stands beside it."""
    rows = document["leftovers"]
    if not rows:
        return [] if document["left"] else [NOTHING]
    branches = [row for row in rows if row["kind"] == "branch"]
    lines = [f"removed {_total(document)}"]
    lines += [f"  {style.plain(_branch(row))} was {short(row['sha'])}" for row in branches]
    return lines


def _row(row: Document, style: Look) -> tuple[TableCell, ...]:
    name = row["path"] or (_branch(row) if row["kind"] == "branch" else row["ref"])
    return (
        TableCell(KINDS.get(row["kind"], (row["kind"],))[0]),
        TableCell(size(row["bytes"]) if row["path"] else "", "dim"),
        TableCell(style.plain(row["reason"])),
        TableCell(style.plain(name), "dim"),
    )


def _branch(row: Document) -> str:
    return str(row["ref"]).removeprefix("refs/heads/")


def _total(document: Document) -> str:
    """`2 branches, 5 journals: 3.1 MB`."""
    found: dict[str, int] = {}
    for row in document["leftovers"]:
        found[row["kind"]] = found.get(row["kind"], 0) + 1
    words = ", ".join(count(number, *KINDS.get(kind, (kind, kind))) for kind, number in found.items())
    return f"{words}: {size(document['bytes'])}" if document["bytes"] else words
