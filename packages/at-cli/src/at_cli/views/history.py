"""What a person was wanted for, as lines: each with how it ended, and how many of them needed nobody."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import clock_time, count, duration, short
from at_core.need_words import WORDS

Document = dict[str, Any]
MOST_ROWS = 100
OUTCOMES = {"decided": "", "cleared": "done elsewhere", "withdrawn": "passed without you", None: "waits"}
_COLOURS = {"withdrawn": "yellow", None: "bold"}


def history_lines(document: Document, style: Look) -> list[str]:
    """The page of `at next --history`: the newest last."""
    found, counts, landed = document["interruptions"], document["counts"], document["landed"]
    since = f" since {clock_time(document['since'])}" if document.get("since") else ""
    if not found:
        return [f"Nobody was wanted for anything{since}."]
    lines = style.table([_row(each, style) for each in found[-MOST_ROWS:]])
    if len(found) > MOST_ROWS:
        lines.insert(0, f"({len(found) - MOST_ROWS} older: at next --history --json)")
    needless = f"{counts['withdrawn']} passed without you"
    ends = (
        f"{counts['decided']} decided, {counts['cleared']} done elsewhere, {needless}, {counts['open']} open"
    )
    lines.append(f"{count(counts['all'], 'interruption')}{since}: {ends}")
    if landed["beads"]:
        items = count(landed["beads"], "landed work item")
        lines.append(
            f"{items}: {count(landed['interruptions'], 'interruption')}, {landed['per_bead']:g} for each"
        )
    return lines


def _row(each: Document, style: Look) -> tuple[TableCell, ...]:
    outcome = OUTCOMES[each["outcome"]] or _act(each.get("act"))
    agent = f" ({style.plain(each['agent'])})" if each.get("agent") else ""
    return (
        TableCell(clock_time(each["opened_at"]), "dim"),
        TableCell(duration(each["seconds"])),
        TableCell(WORDS.get(str(each["kind"]), str(each["kind"]))),
        TableCell(outcome, _COLOURS.get(each["outcome"], "")),
        TableCell(f"{short(each['bead'])} {style.plain(each['title'])}{agent}"),
    )


def _act(act: object) -> str:
    """`approved`, or of an event its last word: `bead.sent_back` is `sent back`."""
    return str(act or "decided").rpartition(".")[2].replace("_", " ")
