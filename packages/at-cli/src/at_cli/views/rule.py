"""Standing answers as lines: the exact command whole, for a person decided on exactly that."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look
from at_cli.views.words import clock_time, short

Document = dict[str, Any]


def rule_lines(rules: list[Document], style: Look) -> list[str]:
    """The page of `at rules`, repository by repository."""
    if not rules:
        return ["There are no rules. at approve ID --always makes one."]
    lines: list[str] = []
    for place in dict.fromkeys(rule["repository"] for rule in rules):
        lines.append(style.paint("bold", style.plain(place or "a repository that is gone")))
        for rule in rules:
            if rule["repository"] == place:
                lines += _rule(rule, style)
    return [*lines, style.paint("dim", "at rules remove ID: agents ask again")]


def removed_lines(rules: list[Document], style: Look) -> list[str]:
    """What `at rules remove` answers with."""
    return [
        f"{short(rule['id'])} removed: {style.fit(style.plain(rule['what']), style.width - 20)}"
        for rule in rules
    ]


def _rule(rule: Document, style: Look) -> list[str]:
    learned = f"learned {clock_time(rule['created_at'])}"
    source = f" from {short(rule['ask'])}" if rule["ask"] else ""
    agent = f" of {style.plain(rule['agent'])}" if rule["agent"] else ""
    head = f"  {style.paint('bold', short(rule['id']))}  {rule['kind']}, {learned}{source}{agent}"
    return [head, *style.block(rule["what"], "      ")]
