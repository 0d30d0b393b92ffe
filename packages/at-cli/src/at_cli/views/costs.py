"""Costs as lines: a table, its total, dollars per landed bead, budgets, and what nobody tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import clock_time, count, short

Document = dict[str, Any]
MOST_ROWS = 40
NARROW = (("requests", 72), ("cached", 62), ("turns", 52), ("out", 44))
"""Columns that are left out on a terminal of fewer columns than this."""


def cost_lines(document: Document, style: Look) -> list[str]:
    """The page of `at costs`."""
    since = f" since {clock_time(document['since'])}" if document.get("since") else ""
    if not document["rows"]:
        return [f"Nothing was spent{since}.", *_budget_lines(document, style)]
    return [
        *_table(document, style),
        *_landed_lines(document),
        *_budget_lines(document, style),
        *_untold_lines(document, style),
    ]


def dollars(cost: float | None, estimated: bool = False, partial: bool = False) -> str:
    """`$0.42`, `$0.0042`, `~$0.42` for an estimate, `$0.42+` if a part has no price, `-` where nobody knows."""
    if cost is None:
        return "-"
    digits = 2 if cost >= 0.1 or cost == 0 else 4
    return f"{'~' if estimated else ''}${cost:,.{digits}f}{'+' if partial else ''}"


def brief_dollars(cost: float | None, estimated: bool = False) -> str:
    """The same in seven columns, up to $9,999: to the cent, from $100 on to the dollar; `<$0.01` for less than a cent."""
    if cost is None or cost == 0 or 0.1 <= cost < 100:
        return dollars(cost, estimated)
    sign = "~" if estimated else ""
    return f"{sign}<$0.01" if cost < 0.01 else f"{sign}${cost:,.{0 if cost >= 100 else 2}f}"


def tokens(number: float) -> str:
    """`950`, `12.3k`, `4.56M`."""
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.2f}M"


def _table(document: Document, style: Look) -> list[str]:
    rows, total = document["rows"], document["total"]
    left_out = {name for name, width in NARROW if style.width < width}
    heads = ["cost", "turns", "in", "cached", "out", "requests"]
    shown = [_figures(row) for row in (*rows[:MOST_ROWS], total)]
    names = [_name(document["by"], row, style) for row in rows[:MOST_ROWS]]
    columns = [head for head in heads if head not in left_out]
    widths = {head: max(len(head), *(len(figures[head]) for figures in shown)) for head in columns}
    lines: list[tuple[TableCell, ...]] = [
        tuple(TableCell(head.rjust(widths[head]), "dim") for head in columns)
        + (TableCell(document["by"], "dim"),)
    ]
    for figures, name in zip(shown, [*names, "total"], strict=True):
        colour = "bold" if figures is shown[-1] else ""
        cells = tuple(TableCell(figures[head].rjust(widths[head]), colour) for head in columns)
        lines.append((*cells, TableCell(name, colour)))
    made = style.table(lines)
    if len(rows) > MOST_ROWS:
        made.insert(-1, f"and {len(rows) - MOST_ROWS} more: at costs --json")
    return made


def _figures(row: Document) -> dict[str, str]:
    return {
        "cost": dollars(row["cost_usd"], row["cost_estimated"], bool(row["unpriced_tokens"])),
        "turns": f"{row['turns']:,}",
        "in": tokens(row["input_tokens"]),
        "cached": tokens(row["cached_tokens"]),
        "out": tokens(row["output_tokens"]),
        "requests": "-" if row["requests"] is None else f"{row['requests']:,}",
    }


def _name(by: str, row: Document, style: Look) -> str:
    name = style.plain(row["name"])
    return f"{short(row['key'])} {name}" if by == "bead" and row["key"] else name


def _landed_lines(document: Document) -> Iterator[str]:
    landed, total = document["landed"], document["total"]
    if not landed["beads"] or landed["usd_per_bead_all_in"] is None:
        return
    all_in = dollars(landed["usd_per_bead_all_in"], total["cost_estimated"], bool(total["unpriced_tokens"]))
    silent = landed["beads"] - landed["priced"]
    yield ", ".join(
        [
            f"landed: {count(landed['beads'], 'bead')}",
            *_own_words(landed),
            *(
                [f"{silent} of {landed['beads']} {'has' if silent == 1 else 'have'} no price"]
                if silent
                else []
            ),
            f"{all_in} each with all that was spent",
        ]
    )


def _own_words(landed: Document) -> Iterator[str]:
    if landed["usd_per_bead"] is None:
        return
    own = dollars(landed["usd_per_bead"], landed["cost_estimated"], bool(landed["partly_priced"]))
    yield f"{own} each"


def _budget_lines(document: Document, style: Look) -> Iterator[str]:
    for budget in document["budgets"]:
        whose = {
            "day": "the day",
            "cli": f"{budget['cli']}, the day",
            "bead": f"{short(budget['bead'])} {style.plain(budget['title'])}",
        }[budget["scope"]]
        anew = f", anew at {clock_time(budget['passes_at'])}" if budget.get("passes_at") else ""
        yield style.fit(f"budget: {budget_words(budget)}{anew}, for {whose}", style.width)


def budget_words(budget: Document) -> str:
    """`$1.20 of $2.50 left`."""
    return " of ".join(_amount(budget[name], budget["unit"]) for name in ("left", "limit")) + " left"


def _amount(value: float, unit: str) -> str:
    return dollars(value) if unit == "usd" else f"{value:,.0f} tokens"


def _untold_lines(document: Document, style: Look) -> Iterator[str]:
    total = document["total"]
    if total["cost_estimated"]:
        yield "~ estimated from a price list"
    if total["unpriced_tokens"]:
        uncounted = any(budget["unit"] == "usd" for budget in document["budgets"])
        yield (
            f"{'+ ' if total['cost_usd'] is not None else ''}"
            f"no price is known for {tokens(total['unpriced_tokens'])} tokens"
            f"{', which count for nothing in budgets of dollars' if uncounted else ''}"
        )
    for cli, names in document["unreported"].items():
        if names:
            yield style.fit(f"{cli} does not report: {', '.join(names)}", style.width)
