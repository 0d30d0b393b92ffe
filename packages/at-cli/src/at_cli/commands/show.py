"""`at show`: one bead with its evidence."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.bead import bead_lines


@verb(example="at show 3f2a9c1e")
@click.argument("bead", type=BEAD)
def command(face: Face, bead: str) -> None:
    """Show a work item: its state, what proves it, what it waits for, and what to do next."""
    document = face.call("show", bead=bead, path=face.folder)
    face.emit(document, bead_lines(document, face.style))
