"""`at status`, and `at` alone. `at_cli.fast` serves both while a daemon runs; this is for when none does."""

from __future__ import annotations

from at_cli import fast
from at_cli.face import Face
from at_cli.verb import verb


@verb(example="at status --json")
def command(face: Face) -> None:
    """Show what runs, what waits for you, and what today cost."""
    show_status(face)


def show_status(face: Face) -> None:
    """The status document, or the daemon's rendering of it."""
    if face.json:
        face.line(face.call("status", path=face.folder))
        return
    style = face.style
    text = face.call("status_text", path=face.folder, color=int(style.colour), width=fast.width())
    face.text([text.rstrip("\n")])


def status_or_welcome(face: Face) -> int:
    """`at` alone: the status; where nothing was ever made, what was found here and what to try."""
    if face.home.store_file.exists() or face.home.socket.exists():
        show_status(face)
        return 0
    from at_cli.welcome import look_around, welcome_lines

    found = look_around(face)
    face.emit(found, welcome_lines(found, face.style))
    return 0
