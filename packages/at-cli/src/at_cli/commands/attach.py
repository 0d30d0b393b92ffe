"""`at attach`: an agent's terminal, or its live transcript."""

from __future__ import annotations

from pathlib import Path

import click

from at_cli.errors import NotAttached, TerminalTaken
from at_cli.face import Document, Face
from at_cli.terminal_title import of_work, title_of
from at_cli.transcript import print_transcript
from at_cli.verb import AGENT, verb
from at_core.errors import UsageError


@verb(example="at attach furiosa")
@click.argument("agent", type=AGENT)
@click.option("--steal", is_flag=True, help="Take the keyboard from whoever is attached now.")
def command(face: Face, agent: str, steal: bool) -> None:
    """Connect to an agent: its terminal, or, for one without a terminal, its live transcript.

    Ctrl-\\ leaves a terminal, Ctrl-C a transcript; the agent goes on.
    """
    session = face.call("session", agent=agent)
    if session["transport"] == "pty" and session["live"] and not face.json:
        _terminal(face, agent, session, steal)
        return
    if session["transport"] == "pty":
        face.note(f"at: {agent} is not running; this is its transcript")
    else:
        face.note(f"at: {agent} has no terminal; this is its transcript (Ctrl-C leaves, the agent goes on)")
    print_transcript(face, agent, follow=bool(session["live"]), after=None)


def _terminal(face: Face, name: str, session: Document, steal: bool) -> None:
    """Hand this terminal to the agent. Talks to the holder itself, so a restart of the daemon goes unnoticed."""
    from at_session.attach import Detached, attach
    from at_session.errors import LeaseHeld, SessionError

    if not face.streams.interactive:
        raise UsageError("a terminal is wanted for this", f"at logs {name} -f")
    face.note(f"at: attached to {name}; Ctrl-\\ leaves, the agent goes on")
    try:
        with title_of(face) as show_title:
            show_title(of_work({"agent": name, **session}))
            end = attach(
                session["session"],
                run_dir=Path(session["run_dir"]),
                journal_dir=Path(session["journal_dir"]),
                owner="at attach",
                steal=steal,
            )
    except LeaseHeld as error:
        raise TerminalTaken(name, str(error)) from error
    except (SessionError, OSError) as error:
        raise NotAttached(name, str(error)) from error
    face.note(f"at: left {name}, it goes on" if isinstance(end, Detached) else f"at: {name} has ended")
