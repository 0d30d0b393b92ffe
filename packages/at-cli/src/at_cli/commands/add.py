"""`at add`: a bead in the backlog."""

from __future__ import annotations

import click

from at_cli.amounts import budget_option
from at_cli.face import Face
from at_cli.verb import after_option, lane_option, verb
from at_cli.views.bead import one_line


@verb(example='at add "Cache the parsed schema" -l critical -d "See docs/perf.md"')
@click.argument("title")
@click.option("-d", "--description", metavar="TEXT", help="More about it; - reads standard input.")
@lane_option()
@click.option("-p", "--priority", type=int, default=0, metavar="N", help="Higher comes first in its lane.")
@after_option
@budget_option()
def command(
    face: Face,
    title: str,
    description: str | None,
    lane: str | None,
    priority: int,
    after: tuple[str, ...],
    budget: dict[str, float] | None,
) -> None:
    """Note a work item (bead) in the backlog. Nothing is started."""
    document = face.call(
        "add",
        path=face.folder,
        title=face.argument(title, "the title"),
        description=None if description is None else face.words(description, "the description"),
        lane=lane,
        priority=priority,
        after=list(after),
        budget=budget,
    )
    face.emit(document, one_line(document, face.style))
