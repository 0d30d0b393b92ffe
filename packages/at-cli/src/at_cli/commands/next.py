"""`at next`: the decision that keeps most from going on."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.need import need_lines

WAIT_SECONDS = 30.0
"""So long one call of the daemon waits; there is another one after it."""


@verb(example="at next")
@click.option("--all", "everything", is_flag=True, help="All of it, in that order.")
@click.option("--wait", is_flag=True, help="Wait until something needs you.")
def command(face: Face, everything: bool, wait: bool) -> None:
    """Show what needs you most: what is asked, whole, and the commands that decide it.

    First comes what keeps most agents and work items from going on. Limits and other things that pass by themselves
    are not among them. The document of --json has all of it.
    """
    document = face.call("needs", path=face.folder, seconds=WAIT_SECONDS if wait else None)
    while wait and not document["needs"]:
        document = face.call("needs", path=face.folder, seconds=WAIT_SECONDS)
    face.emit(document, need_lines(document["needs"], face.style, most=None if everything else 1))
