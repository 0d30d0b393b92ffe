"""`at adopt`: take over a session that the person began with a CLI."""

from __future__ import annotations

import os.path
from pathlib import Path

import click

from at_cli.face import Face
from at_cli.verb import MODES, cli_option, message_option, verb, wait_options
from at_cli.waiting import settle


@verb(example='at adopt 6b0e1c1e-9c55-4c0e-8a53-2f8f6f2f1f1a -m "now the tests"')
@click.argument("session", metavar="CLI-SESSION-ID")
@cli_option("Whose session it is, if that is not plain")
@click.option(
    "--folder", metavar="PATH", help="The checkout that it is about, if not the one it was begun in."
)
@click.option("--title", metavar="T", help="Title of the work item.")
@message_option(required=False)
@click.option("--model", metavar="MODEL", help="The model, as that program names it.")
@click.option("--allow", type=click.Choice(MODES), help="What the agent may do without asking.")
@click.option("--land/--no-land", default=None, help="Merge by itself once it is proved.")
@wait_options
def command(
    face: Face,
    session: str,
    folder: str | None,
    title: str | None,
    message: str | None,
    wait: bool,
    timeout: float | None,
    **order: object,
) -> int:
    """Take over a session that you have with claude or codex, by its own id, as a work item.

    A fresh agent goes on in that session, in a clone that begins as your checkout is, with what you did not commit. Your
    checkout is only read: nothing in it is changed, committed or removed. End the CLI there first. Without -m the agent is told to
    go on.
    """
    document = face.call(
        "adopt",
        path=face.folder,
        session=face.argument(session, "the session"),
        folder=None if folder is None else _absolute(face, folder),
        title=None if title is None else face.argument(title, "the title"),
        text="" if message is None else face.words(message, "the message"),
        order={**order, "env": face.caller_environment()},
    )
    return settle(face, document, wait=wait or timeout is not None, timeout=timeout)


def _absolute(face: Face, folder: str) -> str:
    place = Path(face.argument(folder, "the folder")).expanduser()
    return os.path.normpath(Path(face.folder or "/") / place)
