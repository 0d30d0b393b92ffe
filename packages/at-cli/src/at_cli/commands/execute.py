"""`at exec`: a command of the person's in a bead's folder."""

from __future__ import annotations

import os
import sys

import click

from at_cli.errors import CannotExecute
from at_cli.face import Face
from at_cli.verb import BEAD, verb
from at_core.agent_environment import inherited


@verb(example="at exec 3f2a9c1e -- make test")
@click.argument("bead", type=BEAD)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def command(face: Face, bead: str, argv: tuple[str, ...]) -> None:
    """Run a command in a work item's folder: your environment, and AT_BEAD, AT_AGENT, AT_SLOT and AT_PORT of its agent.

    The command takes this one's place, so its exit code is the command's (126, 127: it could not be executed). With
    --json nothing is run; the document says where and with which variables it would be.
    """
    document = face.call("folder", bead=bead)
    if face.json:
        face.line({**document, "argv": list(argv)})
        return
    environment = {**inherited(face.environ), **document["environment"], "PWD": document["path"]}
    sys.stdout.flush()
    try:
        os.chdir(document["path"])
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        found = not isinstance(error, FileNotFoundError)
        raise CannotExecute(argv[0], error.strerror or str(error), found=found) from None
