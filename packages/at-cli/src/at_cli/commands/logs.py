"""`at logs`: the transcript of an agent, or the daemon's own log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.transcript import print_transcript
from at_cli.verb import EITHER, verb
from at_core.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_DAEMON = "daemon"


def _names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    own = [CompletionItem(_DAEMON, help="the daemon's own log")] if _DAEMON.startswith(incomplete) else []
    return (own if incomplete else []) + EITHER.shell_complete(ctx, parameter, incomplete)


@verb(example="at logs furiosa -f")
@click.argument("name", type=EITHER, shell_complete=_names)
@click.option("-f", "--follow", is_flag=True, help="Go on as it speaks and works.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Only what came behind that place.")
def command(face: Face, name: str, follow: bool, after: int | None) -> None:
    """Print what an agent was told, said and did; under --json one document a line.

    NAME is an agent, a work item, or the word daemon for the daemon's own log.
    """
    if name != _DAEMON:
        print_transcript(face, name, follow=follow, after=after)
        return
    if follow:
        raise UsageError("the daemon's log is not followed here", f"tail -f {_file(face)}")
    for line in _daemon_lines(face):
        if face.json:
            face.line(line)
        else:
            face.text(_shown(line, face.style))


def _file(face: Face) -> str:
    return str(face.home.logs / "at-daemon.jsonl")


def _daemon_lines(face: Face) -> Iterator[Document]:
    """What the daemon wrote since its log was last rotated. Asks no daemon: this is for when none answers."""
    try:
        with open(_file(face), encoding="utf-8", errors="replace") as log:
            for line in log:
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"message": line.rstrip("\n")}  # cut short by a full disk
    except FileNotFoundError:
        return


def _shown(line: Document, style: Look) -> list[str]:
    head = f"{line.get('time', '')} {line.get('level', '')} {line.get('message', '')}".strip()
    return [style.plain(head), *(style.block(str(line["exception"])) if line.get("exception") else [])]
