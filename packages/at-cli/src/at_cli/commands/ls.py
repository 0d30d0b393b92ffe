"""`at ls`: beads."""

from __future__ import annotations

import click

from at_cli.age import AGE
from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.bead import list_lines
from at_cli.views.stale import stale_lines
from at_cli.views.words import BEAD_STATUSES

_AS_CONFIGURED = -1


@verb(example="at ls --stale 7d")
@click.option("--status", type=click.Choice(BEAD_STATUSES), help="Only those.")
@click.option(
    "--stale",
    type=AGE,
    is_flag=False,
    flag_value=_AS_CONFIGURED,
    metavar="[AGE]",
    help="Only what stands still and nobody touched for so long (7d, 12h; default: general.stale_days), with the reason and the "
    "commands that end it.",
)
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most N.")
def command(face: Face, status: str | None, stale: int | None, limit: int | None) -> None:
    """List the work items (beads) of this repository, or of all of them outside one."""
    if stale is None:
        document = face.call("beads", path=face.folder, status=status, limit=limit)
        face.emit(document, list_lines(document["beads"], face.style))
        return
    seconds = None if stale == _AS_CONFIGURED else stale
    document = face.call("stale", path=face.folder, status=status, seconds=seconds)
    rows = document["stale"] if limit is None else document["stale"][:limit]
    document = {**document, "stale": rows, "not_shown": len(document["stale"]) - len(rows)}
    face.emit(document, stale_lines(document, face.style))
