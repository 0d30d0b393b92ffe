"""`at agents`: who is there."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import verb
from at_cli.views.agent import list_lines


@verb(example="at agents --json")
@click.option("--all", "everyone", is_flag=True, help="Also those whose work was over long ago.")
def command(face: Face, everyone: bool) -> None:
    """List agents: @ active, * idle, ! waits for you, ? unknown, x stopped."""
    document = face.call("agents", path=face.folder, all=1 if everyone else None)
    lines = list_lines(document["agents"], face.style)
    if document.get("not_shown"):
        lines.append(f"and {document['not_shown']} whose work is over: at agents --all")
    face.emit(document, lines)
