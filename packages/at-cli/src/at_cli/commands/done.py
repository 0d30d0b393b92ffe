"""`at done`: hand in for checking."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.bead import one_line


@verb(example="at done 3f2a9c1e")
@click.argument("bead", type=BEAD)
@click.option("--fail", is_flag=True, help="Hand in that it cannot be done.")
@click.option("--by-me", is_flag=True, help="Record your own word in place of proof.")
def command(face: Face, bead: str, fail: bool, by_me: bool) -> None:
    """Hand a work item in for checking. That is never the verdict: evidence is gathered first."""
    document = face.call("done", bead=bead, fail=fail, by_me=by_me)
    face.emit(document, one_line(document, face.style))
