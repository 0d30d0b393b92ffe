"""A bead's story as a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from at_agents.story import TYPES, Chapter, Incident, Turn, TurnStep, story
from at_core.record import format_time
from at_core.store import Tx
from at_daemon.edge import Call
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.parts import Parts

Json = dict[str, Any]


async def story_of(parts: Parts, call: Call) -> Json:
    """What was asked, said, done and decided, in the order of time."""
    rig = await rig_at(parts, call.query["path"])

    def look(tx: Tx) -> Json:
        bead = bead_called(tx, call.path["bead"], rig)
        events = tx.events(limit=None, bead_id=bead.id, types=TYPES)
        found = story(events, tx.messages(bead_id=bead.id), tx.usage(bead_id=bead.id))
        return {"bead": str(bead.id), "story": [_chapter(each, bool(call.query["whole"])) for each in found]}

    return await parts.ledger.read(look)


def _chapter(chapter: Chapter, whole: bool) -> Json:
    if isinstance(chapter, Incident):
        return _plain(dataclasses.asdict(chapter))
    document = _plain(dataclasses.asdict(chapter)) | {
        "seconds": chapter.seconds,
        "counts": _counts(chapter),
        "steps": [_plain(dataclasses.asdict(step)) for step in chapter.steps],
    }
    if not whole:
        del document["steps"]
    return document


def _counts(turn: Turn) -> Json:
    tools = [step for step in turn.steps if step.kind == "tool"]
    return {
        "texts": sum(step.kind == "text" for step in turn.steps),
        "tools": len(tools),
        "tools_failed": sum(step.ok is False for step in tools),
        "asked": sum(_by(step, "person") for step in turn.steps),
        "by_rule": sum(_by(step, "rule") for step in turn.steps),
        "denied": sum(step.approved is False for step in turn.steps),
    }


def _by(step: TurnStep, who: str) -> bool:
    return step.decided_by == who


def _plain(document: Json) -> Json:
    return {
        name: format_time(each) if isinstance(each, datetime) else each for name, each in document.items()
    }


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"story": story_of}
