"""`at undo`: take back what took something away."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import ACT, verb
from at_cli.views.recovery import act_lines, undone_lines
from at_core.errors import UsageError


@verb(example="at undo 3f2a9c1e")
@click.argument("what", type=ACT, required=False)
@click.option("--list", "listed", is_flag=True, help="What can be taken back, newest first.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="With --list: at most N.")
def command(face: Face, what: str | None, listed: bool, limit: int | None) -> None:
    """Take back the newest act of this repository that took something away, or the one named WHAT.

    That is the removal of a work item (at rm), giving one up (at done --fail), or leaving its session (at retry --fresh).
    WHAT is an id of --list, or a work item. Its folder comes back as it was, with what was not committed; its agent
    stays stopped until at resume. A merge is taken back with git.
    """
    if listed and what is not None:
        raise UsageError("--list lists them all, and takes no name", "at undo --list")
    if listed:
        document = face.call("destructive_acts", path=face.folder, limit=limit)
        face.emit(document, act_lines(document["acts"], face.style))
        return
    document = face.call("undo", path=face.folder, act=what, env=face.caller_environment())
    face.emit(document, undone_lines(document, face.style))
