"""What needs a person as lines. What is to be decided is shown whole."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look
from at_cli.views.words import clock_time, count, short
from at_core.need_words import WORDS

Document = dict[str, Any]


def need_lines(needs: list[Document], style: Look, most: int | None) -> list[str]:
    """The page of `at next`: the first `most` of them (None: all)."""
    if not needs:
        return ["Nothing needs you."]
    lines: list[str] = []
    for need in needs[:most]:
        lines += _need_lines(need, style)
    left = 0 if most is None else len(needs) - most
    return [*lines, f"({count(left, 'more decision')}: at next --all)"] if left > 0 else lines


def _need_lines(need: Document, style: Look) -> list[str]:
    agent = f" ({style.plain(need['agent'])})" if need.get("agent") else ""
    blocks = need.get("blocks") or 0
    stands = f", {blocks} {'stands' if blocks == 1 else 'stand'} still" if blocks else ""
    what = f"{short(need['bead'])} {style.fit(style.plain(need['title']), 60)}{agent}"
    head = f"{what} {style.paint('yellow', WORDS.get(str(need['kind']), str(need['kind'])))}"
    return [
        f"{head} since {clock_time(need.get('since'))}{stands}",
        *style.block(str(need["reason"]).rstrip("\n"), "    "),
        *(f"  {style.paint('bold', act)}" for act in need.get("acts", [])),
    ]
