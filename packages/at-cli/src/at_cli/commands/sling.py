"""`at sling`: a bead onto an agent's hook, and started."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import AGENT, BEAD, lane_option, order_options, verb, wait_options
from at_cli.waiting import settle


@verb(example="at sling 3f2a9c1e furiosa --cli codex")
@click.argument("bead", type=BEAD)
@click.argument("agent", type=AGENT)
@lane_option()
@order_options
@wait_options
def command(
    face: Face,
    bead: str,
    agent: str,
    lane: str | None,
    wait: bool,
    timeout: float | None,
    **order: object,
) -> int:
    """Assign BEAD to AGENT and start it. An unknown AGENT is made; without -l the lane stays."""
    document = face.call(
        "sling",
        path=face.folder,
        bead=bead,
        agent=agent,
        lane=lane,
        order={**order, "env": face.caller_environment()},
    )
    return settle(face, document, wait=wait or timeout is not None, timeout=timeout)
