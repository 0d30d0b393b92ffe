"""`at run`: a prompt for a fresh polecat in a folder of its own."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import after_option, lane_option, order_options, verb, wait_options
from at_cli.waiting import settle


@verb(example='at run "Fix the flaky test in tests/test_clock.py" --cli claude --wait')
@click.argument("prompt")
@click.option("--title", metavar="T", help="Title of the work item, else the prompt's first line.")
@lane_option()
@after_option
@order_options
@wait_options
def command(
    face: Face,
    prompt: str,
    title: str | None,
    lane: str | None,
    after: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    **order: object,
) -> int:
    """Give PROMPT to a fresh agent in a folder and on a branch of its own. PROMPT - reads standard input."""
    document = face.call(
        "run",
        path=face.folder,
        prompt=face.words(prompt, "the prompt"),
        title=None if title is None else face.argument(title, "the title"),
        lane=lane,
        after=list(after),
        order={**order, "env": face.caller_environment()},
    )
    return settle(face, document, wait=wait or timeout is not None, timeout=timeout)
