"""Looking at a change: what it is compared with, the patch, and that a person was shown it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from at_agents.comments import Comments
from at_core.api import LookedRequest
from at_core.errors import Conflict, Refused
from at_core.store import Tx
from at_core.types import Bead, Rig
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon import git
from at_daemon.documents import comment_documents
from at_daemon.edge import Call
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.ledger import Change
from at_daemon.parts import Parts, rig_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A bead's work as it was brought into the person's repository, and the head that they looked at."""

    bead: Bead
    rig: Rig
    branch: Mapping[str, Any]
    seen: str | None

    @property
    def repository(self) -> Path:
        """The person's repository."""
        return Path(self.rig.path)


async def diff(parts: Parts, call: Call) -> bytes:
    """The change as a patch. Reading it is not yet a look: `looked` says that a person was shown it."""
    work = await _handed_in(parts, call)
    if call.query["head"] not in (None, work.branch["head"]):
        raise Conflict("the work of bead", str(work.bead.id)[:8])
    start, _ = await _start(work, bool(call.query["since_seen"]))
    return await git.diff(
        work.repository,
        start,
        work.branch["head"],
        stat=bool(call.query["stat"]),
        color=bool(call.query["color"]),
    )


async def change(parts: Parts, call: Call) -> Json:
    """What `diff` compares, and what was said about it: {bead, repository, from, head, base, since, comments}."""
    work = await _handed_in(parts, call)
    noted = await parts.ledger.read(lambda tx: tx.fact(work.bead.id, BeadFact.COMMENTS.value))
    start, since = await _start(work, bool(call.query["since_seen"]))
    return {
        "bead": str(work.bead.id),
        "repository": work.rig.path,
        "from": start,
        "head": work.branch["head"],
        "base": work.branch["base"],
        "since": since,
        "comments": comment_documents(Comments.of(noted.value if noted else None)),
    }


async def looked(parts: Parts, call: Call) -> Json:
    """Remember that a person was shown the change up to this head."""
    request: LookedRequest = call.body

    def look(change: Change) -> Json:
        bead = bead_called(change.tx, call.path["bead"])
        branch = change.fact(bead.id, BeadFact.BRANCH) or {}
        if branch.get("head") != request.head:
            raise Conflict("the work of bead", str(bead.id)[:8])
        change.put(bead.id, BeadFact.SEEN, {"head": request.head}, "person")
        if bead.agent_id is not None:
            turn = change.fact(bead.agent_id, AgentFact.TURN) or {}
            change.put(bead.agent_id, AgentFact.SEEN, {"turn": turn.get("number")}, "person")
        change.touch(bead.id)
        return {"bead": str(bead.id), "head": request.head}

    return await parts.ledger.change(look)


async def _handed_in(parts: Parts, call: Call) -> HandedIn:
    rig = await rig_at(parts, call.query["path"])
    return await parts.ledger.read(lambda tx: handed_in(tx, bead_called(tx, call.path["bead"], rig)))


def handed_in(tx: Tx, bead: Bead) -> HandedIn:
    """The bead's work. Raises Refused while there is none."""
    branch = tx.fact(bead.id, BeadFact.BRANCH.value)
    if branch is None:
        raise Refused(
            "it was not handed in yet, so there is no change to show", f"at show {str(bead.id)[:8]}"
        )
    seen = tx.fact(bead.id, BeadFact.SEEN.value)
    return HandedIn(bead, rig_of(tx, bead), branch.value, seen.value["head"] if seen else None)


async def _start(work: HandedIn, since_seen: bool) -> tuple[str, Json | None]:
    """Where the difference begins, and how that was found: {seen, how, conflicts}, None for the whole change."""
    base, head = work.branch["base"], work.branch["head"]
    if not since_seen:
        return base, None
    if work.seen is None:
        return base, {"seen": None, "how": "never", "conflicts": []}
    earlier = await git.earlier_state(work.repository, work.seen, head, base)
    return earlier.start, {
        "seen": work.seen,
        "how": earlier.how.value,
        "conflicts": list(earlier.conflicts),
    }


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "diff": diff,
    "change": change,
    "looked": looked,
}
