"""`at completion`: what a shell needs to complete verbs, options and names."""

from __future__ import annotations

import click

from at_cli.completion_scripts import SCRIPTS
from at_cli.face import Face
from at_cli.verb import verb


@verb(example='eval "$(at completion bash)"')
@click.argument("shell", type=click.Choice(sorted(SCRIPTS)))
def command(face: Face, shell: str) -> None:
    """Print the completion script for SHELL.

    bash and zsh: eval "$(at completion bash)" in the start-up file. fish: at completion fish | source.
    """
    face.emit({"shell": shell, "script": SCRIPTS[shell]}, [SCRIPTS[shell].rstrip("\n")])
