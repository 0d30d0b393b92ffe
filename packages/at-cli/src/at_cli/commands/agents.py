"""`at agents`: who is there."""

from __future__ import annotations

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.agent import list_lines


@verb(example="at agents --json")
def command(face: Face) -> None:
    """List agents: @ active, * idle, ! waits for you, ? unknown, x stopped."""
    document = face.call("agents", path=face.folder)
    face.emit(document, list_lines(document["agents"], face.style))
