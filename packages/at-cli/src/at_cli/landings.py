"""Several beads let land at once, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from at_cli.clock import monotonic
from at_cli.face import Document, Face
from at_cli.waiting import TIMED_OUT, landed, wait_for

LANDED, ALLOWED, BACK, WAITS, REFUSED, LEFT = "landed", "allowed", "back", "waits", "refused", "left"
_UNREAD = {
    "never": "you have not looked at it",
    "changed": "it changed since you looked at it",
    "commented": "it has comments of yours that were not sent",
}
_RESULTS = {"done": LANDED, "review": WAITS}


@dataclass(frozen=True, slots=True)
class Landing:
    """{bead, title, result, exit_code, reason, merge} of one bead."""

    document: Document


def land_all(
    face: Face, beads: Sequence[tuple[str, str | None]], *, wait: bool, timeout: float | None
) -> list[Landing]:
    """Let each land, in this order, before any is waited for. With a head, only that one is meant."""
    deadline = None if timeout is None else monotonic() + timeout
    asked = [{"bead": bead, **({"head": head} if head else {})} for bead, head in beads]
    results = face.call("land_several", beads=asked)["results"]
    allowed = [_allowed(word, result) for (word, _), result in zip(beads, results, strict=True)]
    found = []
    for each in allowed:
        if not isinstance(each, Landing) and wait:
            left = None if deadline is None else max(deadline - monotonic(), 0.0)
            found.append(_of(*wait_for(face, each, left, landed)))
        else:
            found.append(each if isinstance(each, Landing) else _of(each, 0))
    return found


def left_alone(bead: Document) -> Landing:
    """One that is not let land, because nobody has read it or more is wanted of it."""
    reason = _UNREAD[bead["unread"]]
    settings = bead["must_read"] and bead["unread"] != "commented"
    reason += ", and it changes .auto-tundra.toml" if settings else ""
    return Landing(_document(bead["id"], bead["title"], LEFT, 3, reason))


def _allowed(word: str, result: Document) -> Document | Landing:
    if error := result.get("error"):
        return Landing(_document(word, "", REFUSED, int(error["exit_code"]), error["message"]))
    document: Document = result["bead"]
    return document


def _of(document: Document, code: int) -> Landing:
    bead = document["bead"]
    result = _RESULTS.get(bead["status"], BACK)
    if result == WAITS and code in (0, TIMED_OUT):
        result = ALLOWED
    elif result == WAITS and code == 1:
        result = BACK
    reasons = document.get("reasons") or []
    merge = (document.get("evidence") or {}).get("merge")
    reason = "" if result == LANDED else (reasons[0] if reasons else "")
    if result == BACK and bead["status"] == "review":
        reason = "it was sent back, and what its agent handed in since is for you to look at"
    return Landing(_document(bead["id"], bead["title"], result, code, reason, merge))


def _document(
    bead: str, title: str, result: str, code: int, reason: str = "", merge: str | None = None
) -> Document:
    return {
        "bead": bead,
        "title": title,
        "result": result,
        "exit_code": code,
        "reason": reason,
        "merge": merge,
    }
