"""`at stop`: an agent rests."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import AGENT, message_option, verb
from at_cli.views.agent import one_line


@verb(example="at stop furiosa")
@click.argument("agent", type=AGENT)
@message_option(required=False)
def command(face: Face, agent: str, message: str | None) -> None:
    """Stop an agent. Its work item and its work stay, and at resume starts it again where it was."""
    text = "" if message is None else face.words(message, "the message")
    document = face.call("stop", agent=agent, text=text)
    face.emit(document, one_line(document["agent"], face.style))
