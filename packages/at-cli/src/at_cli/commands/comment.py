"""`at comment`: words about a line of a change, kept until `at send-back`."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, message_option, verb
from at_cli.views.comment import comment_lines, made_lines
from at_cli.views.words import short
from at_core.errors import UsageError


class FileLine(click.ParamType[tuple[str, int]]):
    """`FILE:LINE`, as the new side of a patch counts."""

    name = "place"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """File and line."""
        if isinstance(value, tuple):
            return value
        file, colon, line = value.rpartition(":")
        if not colon or not file or not line.isdecimal() or not int(line):
            self.fail(f"{value!r} is no FILE:LINE, such as src/clock.py:12", param, ctx)
        return file, int(line)


@verb(example='at comment 3f2a9c1e src/clock.py:12 -m "This is called twice a second"')
@click.argument("bead", type=BEAD)
@click.argument("place", type=FileLine(), metavar="[FILE:LINE]", required=False)
@message_option(required=False)
@click.option("--list", "listed", is_flag=True, help="What was said so far (as without FILE:LINE).")
@click.option("--remove", type=click.IntRange(min=1), metavar="N", help="Take back comment N.")
def command(
    face: Face,
    bead: str,
    place: tuple[str, int] | None,
    message: str | None,
    listed: bool,
    remove: int | None,
) -> None:
    """Comment on a line of a work item's change, as you last saw it (new side). at send-back sends all at once.

    Where later work moves the line, the comment goes along, and says so when the line is gone.
    """
    if (place is not None) + listed + (remove is not None) > 1:
        raise UsageError("FILE:LINE, --list and --remove exclude each other", "at comment --help")
    if (place is None) != (message is None):
        missing = "-m TEXT" if message is None else "FILE:LINE"
        raise UsageError(f"{missing} is missing", "at comment BEAD FILE:LINE -m TEXT")
    if remove is not None:
        document = face.call("remove_comment", bead=bead, number=str(remove))
        face.emit(document, [f"{short(document['bead'])} comment {remove} is removed"])
    elif place is None or message is None:
        document = face.call("comments", bead=bead, path=face.folder)
        face.emit(document, comment_lines(document["comments"], face.style) or ["No comments."])
    else:
        text = face.words(message, "the comment")
        file = face.argument(place[0], "the file")
        document = face.call("comment", bead=bead, path=face.folder, file=file, line=place[1], text=text)
        face.emit(document, made_lines(document, face.style))
