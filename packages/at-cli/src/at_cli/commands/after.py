"""`at after`: what has to land before a bead begins."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.after import after_lines


@verb(example="at after 3f2a9c1e 81bb04d2")
@click.argument("bead", type=BEAD)
@click.argument("first", type=BEAD, nargs=-1, metavar="[FIRST]...")
@click.option("--remove", type=BEAD, multiple=True, metavar="BEAD", help="No longer wait for that one.")
def command(face: Face, bead: str, first: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Have a work item wait until each FIRST has landed. Without FIRST: show what it waits for, and what waits for it.

    It begins by itself once nothing is left to wait for. Circles are refused.
    """
    document = face.call("after", bead=bead, add=list(first), remove=list(remove))
    face.emit(document, after_lines(document, face.style))
