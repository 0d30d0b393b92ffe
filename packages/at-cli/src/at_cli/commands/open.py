"""`at open`: where a bead's folder is."""

from __future__ import annotations

import os

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb


@verb(example='cd "$(at open 3f2a9c1e)"')
@click.argument("bead", type=BEAD)
def command(face: Face, bead: str) -> None:
    """Print the path of a work item's folder."""
    document = face.call("folder", bead=bead)
    if face.json or face.streams.terminal:
        face.emit(document, [face.style.plain(document["path"])])
    else:
        face.raw(os.fsencode(document["path"]) + b"\n")
