"""Comments on a bead's work: collected until they are sent to its agent, each once.

A comment is on a line of the new side of a change, as its writer saw it; `now_line` is where that line is in
`now_head`, the newest head; both are empty where that cannot be known. Others than the person write some, on a pull request; those have an `author` and the `key` that tells them apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from at_core.record import Record

MOST_SENT = 200
"""Comments that were sent are in their messages too; so many of them are kept beside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment(Record):
    """`file` and `line` are None for one on the work as a whole. `message` is the one that it was sent with."""

    number: int
    text: str
    head: str
    at: datetime
    file: str | None = None
    line: int | None = None
    quote: str = ""
    now_head: str = ""
    now_line: int | None = None
    author: str | None = None
    key: str | None = None
    message: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was not sent yet."""
        return self.message is None

    @property
    def line_gone(self) -> bool:
        """Whether its line is no longer there in the newest head."""
        return self.line is not None and self.now_line is None and bool(self.now_head)


@dataclass(frozen=True, slots=True)
class Comments:
    """Those of one bead, in the order of their numbers; `last` is the highest number that was ever given."""

    all: tuple[Comment, ...] = ()
    last: int = 0

    @classmethod
    def of(cls, fact: Mapping[str, Any] | None) -> Comments:
        """From the fact in which they are kept."""
        if not fact:
            return cls()
        return cls(tuple(Comment.from_json(each) for each in fact["comments"]), fact["last"])

    def to_fact(self) -> dict[str, Any]:
        """The value of that fact. Of those that were sent, the oldest are left out."""
        sent = [each.number for each in self.all if not each.is_open]
        dropped = set(sent[: max(0, len(sent) - MOST_SENT)])
        kept = [each.to_json() for each in self.all if each.number not in dropped]
        return {"comments": kept, "last": self.last}

    def added(self, comment: Comment) -> Comments:
        """With a further one, which gets the next number."""
        number = self.last + 1
        return Comments((*self.all, dataclasses.replace(comment, number=number)), number)

    def without(self, number: int) -> Comments:
        """Without the one of that number."""
        return Comments(tuple(each for each in self.all if each.number != number), self.last)

    def numbered(self, number: int) -> Comment | None:
        """The one of that number."""
        return next((each for each in self.all if each.number == number), None)

    def to_send(self, *, from_others: bool = False) -> list[Comment]:
        """What the next message takes along: the person's own, and those of others only if they say so."""
        return [each for each in self.all if each.is_open and (from_others or each.author is None)]

    def sent(self, numbers: Iterable[int], message: str) -> Comments:
        """After these were sent with that message."""
        sent = set(numbers)
        return self._changed({number: {"message": message} for number in sent})

    def moved(self, head: str, lines: Mapping[int, int | None], *, unknown: Iterable[int] = ()) -> Comments:
        """With the lines (by number) at which they are in a new head, and those for which that cannot be known."""
        changes = {number: {"now_head": head, "now_line": line} for number, line in lines.items()}
        lost = {number: {"now_head": "", "now_line": None} for number in unknown}
        return self._changed({**changes, **lost})

    def _changed(self, changes: Mapping[int, Mapping[str, Any]]) -> Comments:
        changed = (dataclasses.replace(each, **changes.get(each.number, {})) for each in self.all)
        return Comments(tuple(changed), self.last)


def place(comment: Comment) -> str:
    """Where it is, in words: `a.py:12`, with what became of that line."""
    if comment.file is None:
        return "the whole work"
    if comment.line is None:
        return comment.file
    here = f"{comment.file}:{comment.line}"
    if comment.line_gone:
        return f"{here} (that line is gone)"
    if comment.now_line is None:
        return f"{here} (where that line is now is not known)"
    return here if comment.now_line == comment.line else f"{comment.file}:{comment.now_line} (was {here})"


def line_after(line: int, hunks: Sequence[tuple[int, int, int, int]]) -> int | None:
    """Where a line is after a change, None if the change took it away.

    Hunks as `git diff -U0` names them: first line and count before, first line and count after, in order.
    """
    shift = 0
    for before, taken, _, given in hunks:
        first = before if taken else before + 1  # of an insertion git names the line before it
        if line < first:
            break
        if line < first + taken:
            return None
        shift += given - taken
    return line + shift
