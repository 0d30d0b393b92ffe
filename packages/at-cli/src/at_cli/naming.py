"""Names that complete: beads by id and title, agents, open questions. From a running daemon only."""

from __future__ import annotations

import os

from click.shell_completion import CompletionItem

from at_cli.face import Document, Face
from at_cli.views.words import short
from at_core.errors import AtError

_PATIENCE_SECONDS = 1.0
_TITLE = "title"
"""The type of candidates that are too many to offer before something is typed."""


def candidates(face: Face, kind: str, incomplete: str) -> list[CompletionItem]:
    """What `kind` (bead, agent, name for either, ask, rule, act, entry) may be; nothing where no daemon answers at once."""
    sources = {
        "bead": (_beads,),
        "agent": (_agents,),
        "name": (_agents, _beads),
        "ask": (_asks,),
        "rule": (_rules,),
        "act": (_acts,),
        "entry": (_entries,),
    }[kind]
    try:
        found = [item for source in sources for item in source(face)]
    except (AtError, OSError):
        return []
    by_title = kind in ("bead", "name") and incomplete != ""
    return [item for item in found if item.value.startswith(incomplete) and (by_title or item.type != _TITLE)]


def _beads(face: Face) -> list[CompletionItem]:
    """By id, with the title as help, and by title where that can be typed and shown as it is."""
    beads = _ask(face, "beads", path=os.getcwd())["beads"]
    plain = [face.style.plain(bead["title"]) for bead in beads]
    ids = [CompletionItem(short(bead["id"]), help=title) for bead, title in zip(beads, plain, strict=True)]
    titles = [
        CompletionItem(title, type=_TITLE, help=bead.get("status", ""))
        for bead, title in zip(beads, plain, strict=True)
        if title == bead["title"] and not title.startswith("-")
    ]
    return ids + titles


def _agents(face: Face) -> list[CompletionItem]:
    agents = _ask(face, "agents", path=os.getcwd())["agents"]
    return [CompletionItem(agent["name"], help=face.style.plain(agent.get("label", ""))) for agent in agents]


def _asks(face: Face) -> list[CompletionItem]:
    asks = _ask(face, "approvals")["approvals"]
    return [CompletionItem(short(ask["id"]), help=face.style.plain(ask["what"])) for ask in asks]


def _rules(face: Face) -> list[CompletionItem]:
    rules = _ask(face, "rules")["rules"]
    return [CompletionItem(short(rule["id"]), help=face.style.plain(rule["what"])) for rule in rules]


def _acts(face: Face) -> list[CompletionItem]:
    acts = _ask(face, "destructive_acts", path=os.getcwd())["acts"]
    can = [act for act in acts if act["why_not"] is None]
    return [CompletionItem(short(act["id"]), help=face.style.plain(act["title"])) for act in can]


def _entries(face: Face) -> list[CompletionItem]:
    entries = _ask(face, "attic", path=os.getcwd())["entries"]
    return [CompletionItem(entry["entry"], help=face.style.plain(entry["title"])) for entry in entries]


def _ask(face: Face, route: str, **values: str) -> Document:
    answer: Document = face.daemon.call_running(route, timeout_seconds=_PATIENCE_SECONDS, **values)
    return answer
