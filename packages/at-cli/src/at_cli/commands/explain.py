"""`at explain`: the facts behind a label."""

from __future__ import annotations

import json

import click

from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.verb import EITHER, verb
from at_cli.views.words import clock_time


@verb(example="at explain furiosa")
@click.argument("name", type=EITHER)
def command(face: Face, name: str) -> None:
    """Say why an agent or a work item is called what it is: each fact, who saw it, and when."""
    document = face.call("explain", name=name)
    face.emit(document, _lines(document, face.style))


def _lines(document: Document, style: Look) -> list[str]:
    label, status = document.get("label"), document.get("status")
    head = str(label) if label == status or not status else f"{label} ({status})"
    facts = [
        f"  {clock_time(fact.get('at'))}  {style.plain(fact.get('source', '')):<8}  "
        f"{style.plain(fact['fact'])}{_value(fact, style)}"
        for fact in document.get("facts", [])
    ]
    reasons = [f"  because {style.plain(reason)}" for reason in document.get("reasons", [])]
    return [style.paint("bold", style.plain(head)), *reasons, *facts]


def _value(fact: Document, style: Look) -> str:
    value = fact.get("value")
    if value is None or value == {}:
        return ""
    return f" = {style.plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
