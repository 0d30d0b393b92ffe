"""`at uninstall`: everything the product keeps, listed and removed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from at_cli import leftovers
from at_cli.errors import NotRemoved
from at_cli.face import Document, Face
from at_cli.shutdown import stop_daemon
from at_cli.style import Look, TableCell
from at_cli.verb import verb
from at_cli.views.words import size


@verb(example="at uninstall --yes")
@click.option("-y", "--yes", is_flag=True, help="Stop everything and remove what is listed.")
def command(face: Face, yes: bool) -> None:
    """List everything the tool keeps, and with --yes stop the daemon and remove it.

    Landed work is in your repositories and stays. Work in folders of beads that was not collected goes.
    """
    home = face.home
    leftovers.require_removable(home, face.environ)
    if yes:
        stop_daemon(face, keep_agents=False)
    found = leftovers.entries(home, face.environ)
    document: Document = {
        "home": str(home.root),
        "entries": [_entry(entry) for entry in found],
        "elsewhere": [asdict(place) for place in leftovers.elsewhere(home, face.environ)],
        "removed": yes,
    }
    if yes and (left := leftovers.remove(home, found)):
        raise NotRemoved(str(left[0]), len(left))
    face.emit(document, _lines(document, face.style))


def _entry(entry: leftovers.Entry) -> dict[str, Any]:
    return {"path": str(entry.path), "about": entry.about, "bytes": entry.size, "ours": entry.known}


def _lines(document: Document, style: Look) -> list[str]:
    ours = [entry for entry in document["entries"] if entry["ours"]]
    others = [entry for entry in document["entries"] if not entry["ours"]]
    done = document["removed"]
    head = f"{'removed from' if done else 'kept in'} {style.plain(document['home'])}"
    lines = [head if ours else f"nothing is kept in {style.plain(document['home'])}"]
    lines += [f"  {line}" for line in style.table([_row(entry, document["home"], style) for entry in ours])]
    if others:
        lines += [
            "not made by the tool, left alone",
            *(f"  {style.plain(entry['path'])}" for entry in others),
        ]
    lines += ["elsewhere, not ours to remove"]
    lines += [
        f"  {place['owner']:<9} {style.plain(place['path'])}\n{'':<12}{place['about']}"
        for place in document["elsewhere"]
    ]
    end = (
        "the program itself: pip uninstall at-cli (or pipx, uv tool)" if done else "next: at uninstall --yes"
    )
    return [*lines, end]


def _row(entry: Document, home: str, style: Look) -> tuple[TableCell, ...]:
    name = str(entry["path"]).removeprefix(f"{home}/")
    return (TableCell(style.plain(name)), TableCell(size(entry["bytes"]), "dim"), TableCell(entry["about"]))
