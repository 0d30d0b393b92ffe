"""`at rm`: remove a bead; its work stays on a hidden ref."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_cli.views.words import short


@verb(example="at rm 3f2a9c1e")
@click.argument("bead", type=BEAD)
def command(face: Face, bead: str) -> None:
    """Remove a work item and its folder. Its work is first put on a hidden ref; at undo brings all of it back."""
    document = face.call("remove", bead=bead)
    style = face.style
    kept = document.get("attic")
    refs = [kept] if isinstance(kept, str) else list(kept or [])
    lines = [f"removed {style.plain(document.get('removed', bead))}"]
    lines += [f"  kept on {style.plain(ref)}" for ref in refs] or ["  there was no work to keep"]
    if act := document.get("act"):
        lines.append(f"  {style.paint('bold', f'at undo {short(act)}')} brings it back")
    face.emit(document, lines)
