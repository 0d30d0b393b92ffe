"""`at answer`: answer an agent's question."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import ASK, verb
from at_cli.views.ask import decided_lines


@verb(example='at answer 8c11d2f0 "PostgreSQL 16"')
@click.argument("ask", metavar="ID", type=ASK)
@click.argument("text")
def command(face: Face, ask: str, text: str) -> None:
    """Answer the question ID with TEXT. TEXT - reads standard input.

    What asks for leave and not for words is refused here: at approve, or at deny, which takes words along.
    """
    document = face.call("decide", ask=ask, approve=True, text=face.words(text, "the answer"))
    face.emit(document, decided_lines(document["approval"], "answered", face.style))
