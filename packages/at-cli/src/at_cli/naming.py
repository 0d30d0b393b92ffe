"""Names that complete: beads by id and title, agents, open questions. From a running daemon only."""

from __future__ import annotations

import os

from click.shell_completion import CompletionItem

from at_cli.face import Document, Face
from at_cli.views.words import short
from at_core.errors import AtError

_PATIENCE_SECONDS = 1.0


def candidates(face: Face, kind: str, incomplete: str) -> list[CompletionItem]:
    """What `kind` (bead, agent or ask) may be; nothing where no daemon answers at once."""
    try:
        found = {"bead": _beads, "agent": _agents, "ask": _asks}[kind](face)
    except (AtError, OSError):
        return []
    return [item for item in found if item.value.startswith(incomplete)]


def _beads(face: Face) -> list[CompletionItem]:
    beads = _ask(face, "beads", path=os.getcwd())["beads"]
    return [CompletionItem(short(bead["id"]), help=face.style.plain(bead["title"])) for bead in beads]


def _agents(face: Face) -> list[CompletionItem]:
    agents = _ask(face, "agents", path=os.getcwd())["agents"]
    return [CompletionItem(agent["name"], help=face.style.plain(agent.get("label", ""))) for agent in agents]


def _asks(face: Face) -> list[CompletionItem]:
    asks = _ask(face, "approvals")["approvals"]
    return [CompletionItem(short(ask["id"]), help=face.style.plain(ask["what"])) for ask in asks]


def _ask(face: Face, route: str, **values: str) -> Document:
    answer: Document = face.daemon.call_running(route, timeout_seconds=_PATIENCE_SECONDS, **values)
    return answer
