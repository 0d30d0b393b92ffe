"""`at next`: the decision that keeps most from going on."""

from __future__ import annotations

import click

from at_cli.face import Document, Face
from at_cli.verb import verb
from at_cli.views.need import need_lines
from at_core.errors import UsageError

WAIT_SECONDS = 30.0
"""So long one call of the daemon waits; there is another one after it."""


@verb(example="at next")
@click.option("--all", "everything", is_flag=True, help="All of it, in that order.")
@click.option("--wait", is_flag=True, help="Wait until something needs you.")
@click.option("--history", is_flag=True, help="What you were wanted for so far, and how it ended.")
@click.option("--since", metavar="DATE|Nd", help="With --history: from a day, or the last N days (7d).")
def command(face: Face, everything: bool, wait: bool, history: bool, since: str | None) -> None:
    """Show what needs you most: what is asked, whole, and the commands that decide it.

    First comes what keeps most agents and work items from going on. Limits and other things that pass by themselves
    are not among them. The document of --json has all of it. With --wait the terminal notifies you, unless the setting
    ui.notify says otherwise.
    """
    if history:
        _show_history(face, since, alone=not (everything or wait))
        return
    if since is not None:
        raise UsageError("--since goes with --history", "at next --history --since 7d")
    document = face.call("needs", path=face.folder)
    if wait and not document["needs"]:
        document = _wait(face)
    face.emit(document, need_lines(document["needs"], face.style, most=None if everything else 1))


def _wait(face: Face) -> Document:
    """The queue as soon as there is anything in it; the terminal tells the person, who may be elsewhere by then."""
    document: Document = {"needs": []}
    while not document["needs"]:
        document = face.call("needs", path=face.folder, seconds=WAIT_SECONDS)
    if face.streams.terminal and not face.json and _by_terminal(face):
        from at_cli.terminal_notice import of_need

        face.raw(face.streams.encode(of_need(document["needs"][0], face.environ)))
    return document


def _by_terminal(face: Face) -> bool:
    from at_core.config import Config

    return Config.load(face.environ).ui.notify in ("auto", "terminal")


def _show_history(face: Face, since: str | None, alone: bool) -> None:
    """Of all repositories, as costs are: one person is wanted by all of them."""
    from at_cli.views.history import history_lines

    if not alone:
        raise UsageError("--history goes with neither --all nor --wait", "at next --history --since 7d")
    document = face.call("interruptions", since=since)
    face.emit(document, history_lines(document, face.style))
