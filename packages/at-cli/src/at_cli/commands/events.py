"""`at events`: the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.verb import verb
from at_cli.views.words import clock_time, short

_PAGE = 500


@verb(example="at events -f --json | grep bead.landed")
@click.option("-f", "--follow", is_flag=True, help="Go on as events happen.")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Only events behind that one.")
@click.option("-n", "--last", type=click.IntRange(min=0), metavar="N", help="Begin with the last N.")
def command(face: Face, follow: bool, after: int | None, last: int | None) -> None:
    """Print everything that happened, oldest first; under --json one document a line.

    All of it, unless --after or --last is given; with -f alone, only what happens from now on.
    """
    for event in events(face, follow=follow, after=after, last=last):
        if face.json:
            face.line(event)
        else:
            face.text([_line(event, face.style)])


def events(face: Face, *, follow: bool, after: int | None, last: int | None) -> Iterator[Document]:
    """The events asked for; with `follow` without end."""
    if last is not None:
        newest = int(face.call("events", limit=1)["last_seq"])
        after = max(newest - last, after or 0)
    if follow:
        yield from face.daemon.stream_events(after)
        return
    seen = after or 0
    while page := face.call("events", after=seen, limit=_PAGE)["events"]:
        yield from page
        seen = int(page[-1]["seq"])


def _line(event: Document, style: Look) -> str:
    who = style.plain(event.get("actor") or "")
    about = " ".join(
        f"{kind} {short(event[key])}"
        for kind, key in (("bead", "bead_id"), ("agent", "agent_id"))
        if event.get(key)
    )
    payload = json.dumps(event.get("payload") or {}, ensure_ascii=False)
    more = "" if payload == "{}" else style.plain(payload)
    parts = (f"{event['seq']:>6}", clock_time(event.get("at")), style.plain(event["type"]), who, about, more)
    return style.fit("  ".join(part for part in parts if part), style.width)
