"""`at budget`: what a bead may use."""

from __future__ import annotations

import click

from at_cli.amounts import AMOUNT, together
from at_cli.face import Face
from at_cli.verb import BEAD, verb, wait_options
from at_cli.waiting import settle


@verb(example="at budget 3f2a9c1e 5.00")
@click.argument("bead", type=BEAD)
@click.argument("amount", type=AMOUNT, nargs=-1, required=True)
@wait_options
def command(
    face: Face, bead: str, amount: tuple[dict[str, float], ...], wait: bool, timeout: float | None
) -> int:
    """Set what a work item may use in all: 2.50 (USD), 200000tokens, both, or none for no limit.

    A work item that waits for its budget goes on at once if the new one has room.
    """
    document = face.call("budget", bead=bead, budget=together(amount))
    return settle(face, document, wait=wait or timeout is not None, timeout=timeout)
