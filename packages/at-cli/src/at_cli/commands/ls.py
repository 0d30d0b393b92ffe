"""`at ls`: beads."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.bead import list_lines
from at_cli.views.words import BEAD_STATUSES


@verb(example="at ls --status review")
@click.option("--status", type=click.Choice(BEAD_STATUSES), help="Only those.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most N.")
def command(face: Face, status: str | None, limit: int | None) -> None:
    """List the work items (beads) of this repository, or of all of them outside one."""
    document = face.call("beads", path=face.folder, status=status, limit=limit)
    face.emit(document, list_lines(document["beads"], face.style))
