"""A pull request as lines: its state, its checks, and what was written that its agent does not know yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from at_cli.style import Look
from at_cli.views.comment import comment_lines
from at_cli.views.words import short

_COLOURS = {"passed": "green", "failed": "red", "running": "yellow"}


def pull_request_lines(document: Mapping[str, Any], style: Look) -> Iterator[str]:
    """The page of `at pr`."""
    seen, name = document["pull_request"], short(document["bead"])
    yield f"{name} #{seen['number']} {style.plain(seen['summary'])}: {style.plain(seen['url'])}"
    for check in seen["checks"]:
        verdict = style.paint(_COLOURS.get(check["verdict"], ""), f"{check['verdict']:<8}")
        yield f"  {verdict} {style.plain(check['name'])}"
    if document["comments"]:
        yield "  not told to its agent yet:"
        yield from comment_lines(document["comments"], style, "    ")
        if document["status"] == "review":
            yield f"  tell it: at send-back {name} --from-pr"
    if seen["state"] == "MERGED" and document["status"] == "review":
        if document["head"] in (seen["head"], seen["pushed"]):
            yield "  merged: it is done once your target branch has it (git pull)"
        else:
            yield f"  merged, without the newest work: at pr {name} opens another one for that"
