"""`at rename`: another title for a bead."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.bead import one_line


@verb(example='at rename 3f2a9c1e "Cache the parsed schema"')
@click.argument("bead", type=BEAD)
@click.argument("title")
def command(face: Face, bead: str, title: str) -> None:
    """Give a work item another title. Its id, branch and folder keep their names; its merge commit gets the new one."""
    document = face.call("rename", bead=bead, title=face.argument(title, "the title"))
    face.emit(document, one_line(document, face.style))
