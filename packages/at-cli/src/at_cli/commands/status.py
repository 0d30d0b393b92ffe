"""`at status`, and `at` alone. `at_cli.fast` serves both while a daemon runs; this is for when none does."""

from __future__ import annotations

import click

from at_cli import fast
from at_cli.face import Face
from at_cli.verb import verb
from at_core.errors import AtError, UsageError

NOBODY = {"needs": 0, "working": 0, "waiting": 0, "text": ""}
"""What a prompt is told where no daemon answers at once."""


@verb(example="at status --json")
@click.option("--short", is_flag=True, help="One line for a prompt: 3! wait for you, 5@ work, 1~ wait.")
@click.option("--tmux", is_flag=True, help="With --short: colours as tmux writes them.")
def command(face: Face, short: bool, tmux: bool) -> None:
    """Show what runs, what waits for you, and what today cost.

    --short starts no daemon and prints nothing where none answers at once, or where there is nothing to say. It counts
    in the repository of the current folder, or in all of them outside of any.
    """
    if tmux and not short:
        raise UsageError("--tmux goes with --short", "at status --short --tmux")
    if short:
        show_short(face, tmux)
    else:
        show_status(face)


def show_short(face: Face, tmux: bool) -> None:
    """What `at_cli.fast` prints for a prompt, for calls that are spelled otherwise."""
    try:
        if face.json:
            face.line(
                face.daemon.call_running("short", timeout_seconds=fast.PROMPT_SECONDS, path=face.folder)
            )
            return
        text = face.daemon.call_running(
            "short_text", timeout_seconds=fast.PROMPT_SECONDS, path=face.folder, tmux=int(tmux)
        )
    except AtError:
        if face.json:
            face.line(NOBODY)
        return
    if text:
        face.text([text])


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
