"""`at down`: agents and the daemon."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.shutdown import stop_daemon
from at_cli.verb import verb


@verb(example="at down --keep-agents")
@click.option("--keep-agents", is_flag=True, help="End the daemon only; agents go on and are found again.")
def command(face: Face, keep_agents: bool) -> None:
    """Stop all agents in a way that can be resumed, then the daemon. At most 30 s; asks nothing."""
    document = stop_daemon(face, keep_agents=keep_agents)
    stopped = [face.style.plain(name) for name in document.get("stopped", [])]
    lines = [f"stopped {name}" for name in stopped]
    end = "the daemon has ended" if document["was_running"] else "no daemon was running"
    more = ["  next: at resume --all starts them again"] if stopped else []
    face.emit(document, [*lines, end, *more])
