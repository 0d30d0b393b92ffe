"""`at trust`: the repository's settings file, accepted by its hash after it was shown."""

from __future__ import annotations

import click

from at_cli.errors import NotConfirmed, NoTrustFile
from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.verb import verb
from at_cli.views.words import short


@verb(example="at trust --show")
@click.option("--show", is_flag=True, help="Only show it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(face: Face, show: bool, yes: bool) -> None:
    """Show this repository's .auto-tundra.toml as it stands on the target branch, and accept exactly that content.

    On a terminal you are asked first. Any later change of the file has to be accepted again.
    """
    shown = face.call("trust", path=face.folder)
    if not shown.get("hash"):
        raise NoTrustFile(str(shown.get("file") or face.folder))
    if show:
        face.emit(shown, _file_lines(shown, face.style))
        return
    if not shown.get("trusted"):
        if not face.json:
            face.text(_file_lines(shown, face.style))
        if face.streams.interactive and not face.json and not yes:
            face.confirm("Accept this content?", NotConfirmed("the file", "at trust --yes"))
        shown = face.call("trust", path=face.folder, hash=shown["hash"])
    face.emit(shown, [f"trusted: {face.style.plain(shown.get('file', ''))} ({short(shown['hash'])})"])


def _file_lines(document: Document, style: Look) -> list[str]:
    state = "trusted" if document.get("trusted") else "not trusted yet"
    return [
        f"{style.plain(document.get('file', ''))} ({short(document['hash'])}, {state})",
        *style.block(str(document.get("content", "")).rstrip("\n"), "    "),
    ]
