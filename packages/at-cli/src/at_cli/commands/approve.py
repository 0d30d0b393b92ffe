"""`at approve`: allow what agents asked for."""

from __future__ import annotations

import click

from at_cli.answers import KINDS, Meant, decide, meant_options, require_sense
from at_cli.face import Face
from at_cli.verb import ASK, verb
from at_core.errors import UsageError

WITHOUT_WORDS = tuple(kind for kind in KINDS if kind != "question")


@verb(example="at approve 8c11d2f0")
@click.argument("asks", metavar="ID...", type=ASK, nargs=-1)
@click.option(
    "--always", is_flag=True, help="And these exact argument lists from now on, in this repository."
)
@meant_options(WITHOUT_WORDS)
def command(
    face: Face,
    asks: tuple[str, ...],
    always: bool,
    everything: bool,
    kind: str | None,
    agent: str | None,
    yes: bool,
) -> int:
    """Allow what was asked under each ID (see at approvals), or all that is asked.

    --all shows what it is first, and asks; questions are not among it, they want words (at answer). What --always
    allows is listed, and can be taken back, by at rules.
    """
    meant = Meant(asks, everything, kind, agent, yes)
    require_sense(meant, "approve")
    if always and everything:
        raise UsageError("--always goes with ids: a rule is for one command", "at approve ID --always")
    return decide(face, meant, "approve", "approved", WITHOUT_WORDS, approve=True, always=always)
