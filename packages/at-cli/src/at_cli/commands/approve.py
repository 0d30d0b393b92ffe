"""`at approve`: allow what an agent asked for."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import ASK, verb
from at_cli.views.ask import decided_lines


@verb(example="at approve 8c11d2f0")
@click.argument("ask", metavar="ID", type=ASK)
@click.option("--always", is_flag=True, help="And this exact argument list from now on, in this repository.")
def command(face: Face, ask: str, always: bool) -> None:
    """Allow what was asked under ID (see at approvals)."""
    document = face.call("decide", ask=ask, approve=True, always=always)
    face.emit(document, decided_lines(document["approval"], "approved", face.style))
