"""Answers to several asks: which are meant, shown before anything is decided, and each decided on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from at_cli.errors import NotConfirmed
from at_cli.face import Document, Face
from at_cli.verb import AGENT
from at_cli.views.ask import answers_lines, decided_lines, queue_lines
from at_cli.views.words import count
from at_core.errors import AtError, UsageError

KINDS = ("command", "edit", "tool", "question")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a person typed in place of a single id."""

    ids: tuple[str, ...]
    everything: bool = False
    kind: str | None = None
    agent: str | None = None
    yes: bool = False

    @property
    def is_one(self) -> bool:
        """Whether one ask is named, which is answered with its document alone."""
        return len(self.ids) == 1 and not self.everything


def meant_options(kinds: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The arguments of `Meant`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(
            (
                click.option(
                    "--all", "everything", is_flag=True, help="All that is asked, after showing it."
                ),
                click.option("--kind", type=click.Choice(kinds), help="With --all: only asks of this kind."),
                click.option("--agent", type=AGENT, metavar="A", help="With --all: only of this agent."),
                click.option("-y", "--yes", is_flag=True, help="With --all: show it, but do not ask."),
            )
        ):
            function = each(function)
        return function

    return decorate


def require_sense(meant: Meant, verb: str) -> None:
    """Raise `UsageError` unless it names asks, or all of them, and not both."""
    if meant.everything == bool(meant.ids):
        raise UsageError("name asks by their ids, or give --all", "at approvals")
    if not meant.everything and (meant.kind or meant.agent or meant.yes):
        raise UsageError("--kind, --agent and --yes go with --all", f"at {verb} --all")


def chosen(face: Face, meant: Meant, verb: str, kinds: Sequence[str]) -> list[str]:
    """The ids of what is meant. Of `--all` they are those that were shown, whatever is asked meanwhile.

    Raises `NotConfirmed`, and `NotFound` for an agent that is not there.
    """
    if not meant.everything:
        return list(dict.fromkeys(meant.ids))
    asks = [ask for ask in face.call("approvals", agent=meant.agent)["approvals"] if _fits(ask, meant, kinds)]
    if not asks:
        return []
    for line in queue_lines(asks, face.style):
        face.note(line)
    if not meant.yes:
        again = NotConfirmed(count(len(asks), "answer"), f"at approvals, then at {verb} --all --yes")
        if face.json or not face.streams.interactive:
            raise again
        face.confirm(f"{verb.capitalize()} all {count(len(asks), 'of these', 'of these')}?", again)
    return [ask["id"] for ask in asks]


def decide(face: Face, meant: Meant, verb: str, said: str, kinds: Sequence[str], **decision: Any) -> int:
    """Decide what is meant, and print what became of it in the word `said`; the exit code."""
    if meant.is_one:
        document = face.call("decide", ask=meant.ids[0], **decision)
        face.emit(document, decided_lines(document["approval"], said, face.style))
        return 0
    document, code = decide_each(face, chosen(face, meant, verb, kinds), **decision)
    face.emit(document, answers_lines(document, said, face.style))
    return code


def decide_each(face: Face, ids: Sequence[str], **decision: Any) -> tuple[Document, int]:
    """{approvals, failed: [{id, error}]} and the exit code of the first that could not be decided."""
    decided, failed, code = [], [], 0
    for identity in ids:
        try:
            decided.append(face.call("decide", ask=identity, **decision)["approval"])
        except AtError as error:
            code = code or error.exit_code
            told = {"code": error.code, "message": error.message, "hint": error.hint}
            failed.append({"id": identity, "error": told})
    return {"approvals": decided, "failed": failed}, code


def _fits(ask: Document, meant: Meant, kinds: Sequence[str]) -> bool:
    return ask["kind"] in kinds and meant.kind in (None, ask["kind"])
