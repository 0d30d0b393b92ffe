"""`at attach`: an agent's terminal, or its live transcript."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.transcript import print_transcript
from at_cli.verb import AGENT, verb


@verb(example="at attach furiosa")
@click.argument("agent", type=AGENT)
def command(face: Face, agent: str) -> int | None:
    """Connect to an agent: its terminal, or, for one without a terminal, its live transcript."""
    name = face.argument(agent, "the agent")
    session = face.call("session", agent=name)
    face.note(f"at: {name} has no terminal; this is its transcript (Ctrl-C leaves, the agent goes on)")
    print_transcript(face, name, follow=bool(session.get("live")), after=None)
    return None
