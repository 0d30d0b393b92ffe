"""Comments on lines of a change: collected here, sent by `send_back`."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from at_agents import prompts
from at_agents.comments import Comment, Comments
from at_core.api import CommentRequest
from at_core.errors import Conflict, NotFound, Refused, UsageError
from at_core.types import Bead
from at_core.vocabulary import BeadFact, EventType
from at_daemon import git
from at_daemon.documents import comment_documents
from at_daemon.edge import Call
from at_daemon.git.names import is_inside
from at_daemon.handlers.changes import HandedIn, handed_in
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]
MOST_CHARACTERS = 20_000
MOST_OPEN = 500
MOST_QUOTE = 500
MOST_BYTES = 2 << 20
"""Of those that wait, as an agent is told them. The person's own, those of others and words beside are one prompt."""


async def comment(parts: Parts, call: Call) -> Json:
    """Keep a comment on a line of the new side, as of the head that the person looked at."""
    request: CommentRequest = call.body
    said = _checked_text(request.text)
    rig = await rig_at(parts, request.path)
    work = await parts.ledger.read(lambda tx: handed_in(tx, bead_called(tx, call.path["bead"], rig)))
    newest = work.branch["head"]
    file = posixpath.normpath(request.file)
    head = work.seen or newest
    quote = await _line(work, head, file, request.line)
    now = await git.line_now(work.repository, head, newest, file, request.line)

    def note(change: Change) -> Json:
        bead, noted = _current(change, work)
        made = Comment(
            number=0,
            text=said,
            head=head,
            at=change.now,
            file=file,
            line=request.line,
            quote=quote,
            now_head=newest,
            now_line=now,
        )
        if not fitting(waiting := noted.to_send(), [made]):
            raise Refused(
                f"{len(waiting)} comments wait to be sent; at most {MOST_OPEN}, with {MOST_BYTES >> 20} MiB, can",
                f"at send-back {_short(bead)}",
            )
        noted = noted.added(made)
        change.put(bead.id, BeadFact.COMMENTS, noted.to_fact(), "person")
        change.tell(
            EventType.BEAD_COMMENTED, bead, actor="person", comment=noted.last, file=file, line=request.line
        )
        return {"bead": str(bead.id), "comment": comment_documents(noted)[-1]}

    return await parts.ledger.change(note)


async def comments(parts: Parts, call: Call) -> Json:
    """Those of a bead, sent ones too."""
    rig = await rig_at(parts, call.query["path"])

    def look(tx: Any) -> Json:
        bead = bead_called(tx, call.path["bead"], rig)
        fact = tx.fact(bead.id, BeadFact.COMMENTS.value)
        return {
            "bead": str(bead.id),
            "comments": comment_documents(Comments.of(fact.value if fact else None)),
        }

    return await parts.ledger.read(look)


async def remove_comment(parts: Parts, call: Call) -> Json:
    """Take back one that was not sent yet."""
    number = call.path["number"]

    def remove(change: Change) -> Json:
        bead = bead_called(change.tx, call.path["bead"])
        noted = Comments.of(change.fact(bead.id, BeadFact.COMMENTS))
        found = noted.numbered(int(number)) if number.isdecimal() else None
        if found is None:
            raise NotFound("comment", number, f"at comment {_short(bead)} --list")
        if not found.is_open:
            raise Refused(f"comment {number} was sent already", f"at send-back {_short(bead)} -m TEXT")
        change.put(bead.id, BeadFact.COMMENTS, noted.without(found.number).to_fact(), "person")
        change.tell(EventType.BEAD_COMMENT_REMOVED, bead, actor="person", comment=found.number)
        return {"bead": str(bead.id), "removed": found.number}

    return await parts.ledger.change(remove)


def fitting(waiting: Sequence[Comment], new: Iterable[Comment]) -> list[Comment]:
    """The first of the new ones, as many as can wait beside those that do."""
    taken: list[Comment] = []
    size = sum(map(_bytes, waiting))
    for each in new:
        size += _bytes(each)
        if len(waiting) + len(taken) >= MOST_OPEN or size > MOST_BYTES:
            break
        taken.append(each)
    return taken


def _bytes(comment: Comment) -> int:
    return len(prompts.comments([comment], "").encode("utf-8", "replace"))


def _current(change: Change, work: HandedIn) -> tuple[Bead, Comments]:
    """The bead and its comments now. Raises Conflict when its work moved on since it was looked at."""
    bead = bead_called(change.tx, str(work.bead.id))
    if (change.fact(bead.id, BeadFact.BRANCH) or {}).get("head") != work.branch["head"]:
        raise Conflict("the work of bead", _short(bead))
    return bead, Comments.of(change.fact(bead.id, BeadFact.COMMENTS))


async def _line(work: HandedIn, head: str, file: str, line: int) -> str:
    """The text of that line. Raises UsageError, which says what there is in its place."""
    found = await git.lines_of(work.repository, head, file) if is_inside(file) else None
    see = f"at diff {_short(work.bead)} {'--stat' if head == work.branch['head'] else '--since-seen'}"
    if found is None:
        raise UsageError(f"its work at {head[:12]} has no text file {file!r}", see)
    if not 1 <= line <= len(found):
        raise UsageError(
            f"{file!r} ends with line {len(found)} at {head[:12]}, so there is no line {line}", see
        )
    return found[line - 1][:MOST_QUOTE].rstrip("\r")


def _checked_text(said: str) -> str:
    if not said.strip():
        raise UsageError("the comment is empty", "at comment BEAD FILE:LINE -m TEXT")
    if len(said) > MOST_CHARACTERS:
        raise UsageError(
            f"the comment has {len(said)} characters, at most {MOST_CHARACTERS} are taken",
            "at send-back BEAD -m TEXT takes more",
        )
    return said


def _short(bead: Bead) -> str:
    return str(bead.id)[:8]


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {
    "comment": comment,
    "comments": comments,
    "remove_comment": remove_comment,
}
