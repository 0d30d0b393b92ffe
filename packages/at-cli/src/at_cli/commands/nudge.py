"""`at nudge`: a message, and how far it is proved to have come."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import AGENT, message_option, verb
from at_cli.views.words import TAKEN_RECEIPTS


@verb(example='at nudge furiosa -m "The tests run with make check"')
@click.argument("agent", type=AGENT)
@message_option()
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=600),
    default=15.0,
    show_default=True,
    metavar="S",
    help="How long to wait for proof that it was taken.",
)
def command(face: Face, agent: str, message: str, timeout: float) -> int:
    """Say something to an agent and print the receipt.

    Exit code 0: the agent took it (accepted, started or answered). 75: on its way, not proved yet. 1: it failed.
    """
    document = face.call(
        "nudge",
        agent=agent,
        text=face.words(message, "the message"),
        wait_seconds=timeout,
        env=face.caller_environment(),
        timeout_seconds=timeout + 60,
    )
    receipt = str(document["message"]["receipt"])
    face.emit(document, [f"{face.style.plain(receipt)} ({face.style.plain(document['message']['id'])})"])
    return exit_code(receipt)


def exit_code(receipt: str) -> int:
    """0 where the agent's own event proves the message, 1 where it failed, 75 in between."""
    if receipt in TAKEN_RECEIPTS:
        return 0
    return 1 if receipt == "failed" else 75
