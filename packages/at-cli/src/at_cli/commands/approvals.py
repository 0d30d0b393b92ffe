"""`at approvals`: one queue of what all agents ask."""

from __future__ import annotations

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.ask import queue_lines


@verb(example="at approvals")
def command(face: Face) -> None:
    """List what agents ask you for: the exact command, edit, tool call or question."""
    document = face.call("approvals")
    face.emit(document, queue_lines(document["approvals"], face.style))
