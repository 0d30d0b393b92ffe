"""Entries of the attic as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import clock_time, count

Document = dict[str, Any]
MOST_NAMED = 5
"""Files that were not kept and are named."""


def list_lines(document: Document, style: Look) -> list[str]:
    """The page of `at attic`."""
    if not document["entries"]:
        return ["Nothing was removed here."]
    lines = style.table([_row(entry, style) for entry in document["entries"]])
    if left := document.get("not_shown"):
        lines.append(f"({count(left, 'older entry', 'older entries')}: at attic -n N)")
    return lines


def _row(entry: Document, style: Look) -> list[TableCell]:
    return [
        TableCell(style.plain(entry["entry"]), "bold"),
        TableCell(clock_time(entry["kept_at"])),
        TableCell(count(entry["files"], "file")),
        TableCell(style.fit(style.plain(entry["reason"]), 24), "dim"),
        TableCell(_not_kept(entry), "dim"),
        TableCell(style.plain(entry["title"])),
    ]


def _not_kept(entry: Document) -> str:
    ignored = len(entry["not_kept"])
    return f"without {count(ignored, 'ignored path')}" if ignored else ""


def entry_lines(entry: Document, style: Look) -> list[str]:
    """The head of the page of `at attic show`."""
    gone = "" if entry["bead_there"] else ", which is no more"
    fields = {
        "bead": f"{entry['bead_id']}{gone}",
        "kept": f"{clock_time(entry['kept_at'])}, {style.plain(entry['reason'])}",
        "branch": style.plain(entry.get("branch") or ""),
        "ref": style.plain(entry["ref"]),
        "change": f"{count(entry['files'], 'file')}, +{entry['insertions']} -{entry['deletions']}",
        "not kept": _named(entry["not_kept"], style),
    }
    lines = [style.paint("bold", style.plain(entry["title"] or entry["entry"]))]
    lines += [f"  {name:<10}{text}" for name, text in fields.items() if text]
    return [*lines, *(f"  {'note':<10}{style.plain(note)}" for note in entry["notes"]), ""]


def _named(paths: list[str], style: Look) -> str:
    shown = ", ".join(style.plain(path) for path in paths[:MOST_NAMED])
    return (
        f"{shown} and {len(paths) - MOST_NAMED} more, which git ignores" if len(paths) > MOST_NAMED else shown
    )


def restored_lines(document: Document, style: Look) -> list[str]:
    """Where an entry was put."""
    where = document.get("folder") or f"branch {document.get('branch')}"
    lines = [f"{style.plain(document['entry']['entry'])} is restored: {style.plain(where)}"]
    lines += [f"  {style.plain(note)}" for note in document.get("notes", [])]
    if document.get("folder"):
        lines.append("  it shares history with its repository: keep that, or push from here")
    return lines
