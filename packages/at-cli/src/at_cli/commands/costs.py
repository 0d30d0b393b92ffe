"""`at costs`: what was spent."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.costs import cost_lines

BY = ("bead", "agent", "cli", "model", "day")


@verb(example="at costs --by day --since 7d")
@click.option("--by", type=click.Choice(BY), default="bead", show_default=True, help="What is summed up.")
@click.option("--since", metavar="DATE|Nd", help="From a day (2026-11-01), or the last N days (7d).")
def command(face: Face, by: str, since: str | None) -> None:
    """Show tokens and dollars of all repositories, dollars per landed work item, and what is left of budgets.

    ~ marks dollars that are estimated from a price list because the agent program does not tell them.
    """
    document = face.call("costs", by=by, since=since)
    face.emit(document, cost_lines(document, face.style))
