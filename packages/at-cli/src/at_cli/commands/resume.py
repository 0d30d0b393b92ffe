"""`at resume`: go on after a stop."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import AGENT, verb
from at_cli.views.agent import list_lines, one_line
from at_core.errors import UsageError


@verb(example="at resume --all")
@click.argument("agent", type=AGENT, required=False)
@click.option("--all", "everyone", is_flag=True, help="Every agent that was stopped or interrupted.")
def command(face: Face, agent: str | None, everyone: bool) -> None:
    """Start a stopped agent again, in its own session."""
    if (agent is None) != everyone:
        raise UsageError("name one agent, or say --all", "at resume --all")
    env = face.caller_environment()
    if agent is None:
        document = face.call("resume_all", env=env)
        agents = document["agents"]
        face.emit(document, list_lines(agents, face.style) if agents else ["nothing was stopped"])
    else:
        document = face.call("resume", agent=agent, env=env)
        face.emit(document, one_line(document["agent"], face.style))
