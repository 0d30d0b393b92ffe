"""`at deny`: refuse what an agent asked for."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import ASK, message_option, verb
from at_cli.views.ask import decided_lines


@verb(example='at deny 8c11d2f0 -m "Use the staging database"')
@click.argument("ask", metavar="ID", type=ASK)
@message_option(required=False)
def command(face: Face, ask: str, message: str | None) -> None:
    """Refuse what was asked under ID; the agent is told TEXT."""
    text = "" if message is None else face.words(message, "the message")
    document = face.call("decide", ask=ask, approve=False, text=text)
    face.emit(document, decided_lines(document["approval"], "denied", face.style))
