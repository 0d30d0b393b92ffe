"""`at land`: let a bead merge."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, timeout_option, verb
from at_cli.waiting import landed, settle


@verb(example="at land 3f2a9c1e")
@click.argument("bead", type=BEAD)
@click.option("--wait/--no-wait", default=True, help="Stay until it is merged or cannot be (the default).")
@timeout_option()
def command(face: Face, bead: str, wait: bool, timeout: float | None) -> int:
    """Merge a work item onto its target branch, once it is proved and its gates passed on the merged tree.

    Exit code 0: it is merged. 1: it was sent back or failed. 3: something of yours is in the way.
    """
    document = face.call("land", bead=bead)
    return settle(face, document, wait=wait, timeout=timeout, verdict=landed)
