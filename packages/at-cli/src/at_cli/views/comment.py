"""Comments on lines of a change: as a list, and under the lines themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from at_cli.style import Look
from at_cli.views.words import short

Document = dict[str, Any]


def comment_lines(comments: Iterable[Document], style: Look, indent: str = "") -> list[str]:
    """Each with its number, where its line is now, the line's text and the words."""
    lines: list[str] = []
    for comment in comments:
        who = f" {style.plain(comment['author'])}:" if comment["author"] else ""
        state = " (sent)" if comment["state"] == "sent" else ""
        lines.append(f"{indent}{comment['number']}  {style.plain(comment['place'])}{state}{who}")
        if comment["quote"].strip():
            lines.append(style.paint("dim", f"{indent}   | {style.plain(comment['quote'].strip())}"))
        lines += style.block(comment["text"].rstrip("\n"), f"{indent}   ")
    return lines


def made_lines(document: Document, style: Look) -> list[str]:
    """What `at comment` answers with: the line that was meant, so that a wrong one is noticed."""
    comment, name = document["comment"], short(document["bead"])
    quote = comment["quote"].strip()
    return [
        f"{name} comment {comment['number']} on {style.plain(comment['place'])}",
        *([style.paint("dim", f"  | {style.plain(quote)}")] if quote else []),
        f"  sent with: at send-back {name}",
    ]


def under_line(comment: Document, style: Look) -> list[str]:
    """In a patch, below the line that it is about."""
    who = f"{style.plain(comment['author'])}: " if comment["author"] else ""
    first, *rest = style.block(comment["text"].rstrip("\n"), "")
    head = f"  # comment {comment['number']}: "
    return [
        style.paint("yellow", line) for line in (f"{head}{who}{first}", *(f"  #   {each}" for each in rest))
    ]
