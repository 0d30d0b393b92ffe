"""`at send-back`: what is still wanted."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, message_option, verb
from at_cli.views.bead import one_line


@verb(example='at send-back 3f2a9c1e -m "Keep the old name as an alias"')
@click.argument("bead", type=BEAD)
@message_option(required=False)
@click.option(
    "--from-pr",
    is_flag=True,
    help="Also what others wrote on its pull request, and checks that failed there.",
)
def command(face: Face, bead: str, message: str | None, from_pr: bool) -> None:
    """Send a work item back from review: its agent goes on with TEXT and all your comments (at comment), each once."""
    text = "" if message is None else face.words(message, "the message")
    document = face.call("send_back", bead=bead, text=text, from_pr=from_pr)
    face.emit(document, one_line(document, face.style))
