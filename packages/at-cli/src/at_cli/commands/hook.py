"""`at hook`, also `at assign`: a bead on an agent's hook, not started."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import AGENT, BEAD, cli_option, verb
from at_cli.views.bead import one_line


@verb(example='at hook "Cache the parsed schema" furiosa')
@click.argument("title", type=BEAD)
@click.argument("agent", type=AGENT)
@cli_option("Which agent program AGENT is, if it is new")
def command(face: Face, title: str, agent: str, cli: str | None) -> None:
    """Assign the work item TITLE (made if there is none of that title or id) to AGENT. Nothing is started."""
    document = face.call(
        "hook",
        path=face.folder,
        title=title,
        agent=agent,
        cli=cli,
    )
    face.emit(document, one_line(document, face.style))
