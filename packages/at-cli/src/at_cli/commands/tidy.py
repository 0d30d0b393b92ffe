"""`at tidy`: what is left over, and removing it."""

from __future__ import annotations

import click

from at_cli.errors import NotTidied
from at_cli.face import Document, Face
from at_cli.verb import verb
from at_cli.views.tidy import leftover_lines, tidied_lines


@verb(example="at tidy --yes")
@click.option(
    "-y", "--yes", is_flag=True, help="Remove what is listed; on a terminal you are asked without it."
)
def command(face: Face, yes: bool) -> None:
    """List what is left over and what it takes, and remove it.

    That is: branches of work that is merged, what agents whose work is done kept for themselves, journals, logs and folders that
    nothing will look for again, once they are general.tidy_days old. What may hold the only copy of work is never among it, and
    nothing in the attic is.
    """
    shown = face.call("leftovers", path=face.folder)
    asks = face.streams.interactive and not face.json and not yes and shown["leftovers"]
    if not yes:
        _emit(face, {**shown, "removed": False, "left": []}, asks=bool(asks))
        if not asks:
            return
        if not face.agrees("Remove all of it?"):
            face.text(["nothing was removed"])
            return
    keys = [row["key"] for row in shown["leftovers"]]
    done = face.call("tidy", path=face.folder, keys=keys) if keys else {**shown, "left": []}
    face.emit({**done, "removed": True}, tidied_lines(done, face.style))
    if done["left"]:
        first = done["left"][0]
        raise NotTidied(str(first["path"] or first["ref"]), str(first["error"]), len(done["left"]))


def _emit(face: Face, document: Document, *, asks: bool) -> None:
    face.emit(document, leftover_lines(document, face.style, asks=asks))
