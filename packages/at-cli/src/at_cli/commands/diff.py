"""`at diff`: the change of a bead."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.patch import patch_lines


@verb(example="at diff 3f2a9c1e | git apply --check")
@click.argument("bead", type=BEAD)
@click.option("--since-seen", is_flag=True, help="Only what changed since you last looked.")
@click.option("--stat", is_flag=True, help="Files and line counts in place of the patch.")
def command(face: Face, bead: str, since_seen: bool, stat: bool) -> None:
    """Show a work item's change against its base. Off a terminal it is the patch, byte for byte."""
    if face.json:
        bead = face.call("show", bead=bead, path=face.folder)["bead"]["id"]
    patch: bytes = face.call(
        "diff", bead=bead, path=face.folder, since_seen=since_seen or None, stat=stat or None
    )
    if face.json:
        face.line({"bead": bead, "patch": patch.decode("utf-8", "replace")})
    elif not face.streams.terminal:
        face.raw(patch)
    elif patch:
        face.text(patch_lines(patch, face.style))
    else:
        face.note("at: no change")
