"""`at rules`: what agents may do without asking, as learned from `at approve --always`."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.verb import RULE, verb
from at_cli.views.rule import removed_lines, rule_lines
from at_core.errors import UsageError


@verb(example="at rules remove 5d0c77e1")
@click.argument("act", type=click.Choice(["remove"]), required=False, metavar="[remove")
@click.argument("rules", type=RULE, nargs=-1, metavar="ID...]")
def command(face: Face, act: str | None, rules: tuple[str, ...]) -> None:
    """List the rules that at approve --always made, or remove some of them.

    A rule allows exactly one argument list in one repository. Once it is removed, agents ask for that again; what was
    allowed before stays as it is.
    """
    if act is None:
        document = face.call("rules")
        face.emit(document, rule_lines(document["rules"], face.style))
        return
    if not rules:
        raise UsageError("name the rules that are to go", "at rules")
    removed = face.call("remove_rules", rules=list(dict.fromkeys(rules)))
    face.emit(removed, removed_lines(removed["removed"], face.style))
