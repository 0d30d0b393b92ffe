"""`at deny`: refuse what agents asked for."""

from __future__ import annotations

import click

from at_cli.answers import KINDS, Meant, decide, meant_options, require_sense
from at_cli.face import Face
from at_cli.verb import ASK, message_option, verb


@verb(example='at deny 8c11d2f0 -m "Use the staging database"')
@click.argument("asks", metavar="ID...", type=ASK, nargs=-1)
@message_option(required=False)
@meant_options(KINDS)
def command(
    face: Face,
    asks: tuple[str, ...],
    message: str | None,
    everything: bool,
    kind: str | None,
    agent: str | None,
    yes: bool,
) -> int:
    """Refuse what was asked under each ID, or all that is asked; the agents are told TEXT."""
    meant = Meant(asks, everything, kind, agent, yes)
    require_sense(meant, "deny")
    text = "" if message is None else face.words(message, "the message")
    return decide(face, meant, "deny", "denied", KINDS, approve=False, text=text)
