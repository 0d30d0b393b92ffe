"""What the scripted model does: replies, independent of any wire format.

A prompt chooses its script by a marker word, `rehearse:NAME`, anywhere in its text. Every model request that belongs to
that prompt takes the script's next reply; the last reply is repeated for ever.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MARKER = re.compile(r"rehearse:([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Figures that one response reports. `given` excludes what was read from or written to the cache."""

    given: int = 0
    cached: int = 0
    cache_written: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.given + other.given,
            self.cached + other.cached,
            self.cache_written + other.cache_written,
            self.output + other.output,
        )

    @classmethod
    def of_response(cls, number: int) -> Tokens:
        """Figures that differ between any two responses, so that a sum tells which ones were counted."""
        return cls(101 + 7 * number, 1009 + 13 * number, 53 + 3 * number, 31 + 11 * number)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of one of the CLI's own tools, by the CLI's name of it."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """A text, at once."""

    text: str


@dataclass(frozen=True, slots=True)
class UseTools:
    """Tool calls in one response, after an optional text."""

    tools: tuple[ToolUse, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbered lines `line 1`, `line 2`, …, evenly over some seconds."""

    seconds: float
    per_second: int = 5


@dataclass(frozen=True, slots=True)
class Refuse:
    """An HTTP error. `kind` is the wire format's word for it; `retry_after` is in seconds."""

    status: int
    kind: str
    message: str
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefuseFor:
    """A limit: for some seconds from its first request every request is refused, then the script goes on.

    `refuse` makes each refusal and gets the epoch second at which the limit is over.
    """

    seconds: int
    refuse: Callable[[int], Refuse]


@dataclass(frozen=True, slots=True)
class Cut:
    """Some text, then the connection is closed: within the block of text, or after it but before the message's end."""

    text: str
    after_block: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without a word."""


@dataclass(frozen=True, slots=True)
class Hang:
    """The headers of a stream (or not even those), then nothing until the endpoint closes."""

    headers: bool = True


@dataclass(frozen=True, slots=True)
class Stall:
    """Some text, then nothing until the endpoint closes."""

    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """A reply that waits, before its first byte, until `Endpoint.release` is called with a name."""

    until: str
    reply: Say | UseTools | Stream


Reply = Say | UseTools | Stream | Refuse | Cut | Drop | Hang | Stall | Held


@dataclass(slots=True)
class Script:
    """The replies of one marker, how many of them were given, and when the limit that is next began."""

    replies: tuple[Reply | RefuseFor, ...]
    given: int = 0
    limited_at: float | None = None

    def next(self, now: float) -> Reply:
        """The reply to a request at an epoch second. Raises IndexError where a limit is over and nothing follows."""
        reply = self.replies[min(self.given, len(self.replies) - 1)]
        if isinstance(reply, RefuseFor):
            began = self.limited_at = now if self.limited_at is None else self.limited_at
            if now < began + reply.seconds:
                return reply.refuse(math.ceil(began + reply.seconds))
            self.given, self.limited_at = self.given + 1, None
            if self.given == len(self.replies):
                raise IndexError("a limit is over, and its script says nothing of what follows")
            return self.next(now)
        self.given += 1
        return reply
