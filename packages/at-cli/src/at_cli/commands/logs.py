"""`at logs`: the transcript of an agent."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.transcript import print_transcript
from at_cli.verb import AGENT, verb


@verb(example="at logs furiosa -f")
@click.argument("name", type=AGENT)
@click.option("-f", "--follow", is_flag=True, help="Go on as it speaks and works.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Only what came behind that place.")
def command(face: Face, name: str, follow: bool, after: int | None) -> None:
    """Print what an agent was told, said and did; under --json one document a line."""
    print_transcript(face, face.argument(name, "the name"), follow=follow, after=after)
