"""`at land`: let a bead merge."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb, wait_options
from at_cli.waiting import settle


@verb(example="at land 3f2a9c1e --wait")
@click.argument("bead", type=BEAD)
@wait_options
def command(face: Face, bead: str, wait: bool, timeout: float | None) -> int:
    """Merge a proved work item onto its target branch, after its gates passed on the merged tree."""
    document = face.call("land", bead=bead)
    return settle(face, document, wait=wait, timeout=timeout)
