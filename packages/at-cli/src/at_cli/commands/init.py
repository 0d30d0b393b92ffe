"""`at init`: the repository becomes a rig."""

from __future__ import annotations

import os

import click

from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.verb import verb


@verb(example="at init")
@click.argument("path", required=False)
def command(face: Face, path: str | None) -> None:
    """Put the repository at PATH (here, if not given) under management (a rig). Nothing is written in it."""
    place = face.folder if path is None else os.path.join(face.folder, face.argument(path, "the path"))
    document = face.call("init", path=place)
    face.emit(document, _lines(document, face.style))


def _lines(document: Document, style: Look) -> list[str]:
    rig = document["rig"]
    name = rig.get("name", "") if isinstance(rig, dict) else rig
    gates = document.get("gates") or []
    lines = [f"{style.paint('bold', style.plain(name))} is under management; nothing was written in it"]
    lines += [f"  {'branch':<8}{style.plain(document.get('branch') or '-')}"]
    lines += [f"  {'base':<8}{style.plain(document.get('base') or '-')}"]
    lines += [f"  {'gate':<8}{_gate(gate, style)}" for gate in gates]
    lines += [f"  {'gates':<8}none found"] if not gates else []
    lines += [f"  {'note':<8}{style.plain(note)}" for note in document.get("notes") or []]
    return [*lines, f'  {"next":<8}at run "PROMPT"']


def _gate(gate: Document | str, style: Look) -> str:
    if isinstance(gate, dict):
        return f"{style.plain(gate.get('name', ''))}: {style.plain(gate.get('command', ''))}"
    return style.plain(gate)
