"""`at show`: one bead with its evidence and its story."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.bead import bead_lines
from at_cli.views.story import brief_lines, whole_lines


@verb(example="at show 3f2a9c1e --story")
@click.argument("bead", type=BEAD)
@click.option(
    "--story",
    "whole",
    is_flag=True,
    help="The whole story: every prompt, word, command, result and decision.",
)
def command(face: Face, bead: str, whole: bool) -> None:
    """Show a work item: its state, what proves it, what happened so far, what it waits for, and what to do next."""
    document = face.call("show", bead=bead, path=face.folder)
    name = document["bead"]["id"]
    story = face.call("story", bead=name, whole=whole or None)["story"]
    if whole:
        face.emit({**document, "story": story}, whole_lines(story, face.style))
    else:
        face.emit(
            {**document, "story": story},
            bead_lines(document, face.style, brief_lines(story, face.style, "    ")),
        )
