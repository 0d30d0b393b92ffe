"""`at retry`: begin again after a failure."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, message_option, verb, wait_options
from at_cli.waiting import settle


@verb(example='at retry 3f2a9c1e -m "The fixture is in tests/data"')
@click.argument("bead", type=BEAD)
@message_option(required=False)
@click.option(
    "--fresh", is_flag=True, help="In a new session of the CLI, which knows nothing of the last one."
)
@wait_options
def command(
    face: Face, bead: str, message: str | None, fresh: bool, wait: bool, timeout: float | None
) -> int:
    """Begin a failed or escalated work item again, in its folder; TEXT is added to what the agent is told."""
    text = "" if message is None else face.words(message, "the message")
    document = face.call("retry", bead=bead, text=text, fresh=fresh, env=face.caller_environment())
    return settle(face, document, wait=wait or timeout is not None, timeout=timeout)
