"""What differs between CLIs that speak the Agent Client Protocol, as data; the protocol itself is in `acp.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from at_session.drivers.jsonlines import Object, object_of, text_of
from at_session.vocabulary import Allow, Capabilities, FailureKind

GUARD = "\N{WORD JOINER}"
"""A text that shows nothing; in a block of its own it keeps a CLI from taking what follows for a command."""

_AUTH_REQUIRED = -32000
_MESSAGES: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    # Before the context: a limit of tokens per minute is told as "too many tokens" as well.
    (
        re.compile(
            r"quota|usage limit|rate.?limit|too many requests|\b429\b|throttl|wait before|tokens per (min|hour|day)",
            re.I,
        ),
        FailureKind.LIMIT,
    ),
    (
        re.compile(
            r"context (window|length)|prompt is too long|token count.*exceeds|too many tokens", re.I | re.S
        ),
        FailureKind.CONTEXT,
    ),
    (re.compile(r"overloaded|high demand|unavailable|\b(503|529)\b", re.I), FailureKind.OVERLOADED),
    (re.compile(r"unauthorized|authenticat|api key|not logged in|\b401\b", re.I), FailureKind.LOGIN),
    (
        re.compile(r"connect|socket|network|timed? ?out|terminated|ECONN|fetch failed", re.I),
        FailureKind.CONNECTION,
    ),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One CLI. `modes` are ids for `session/set_mode`; a permission mode that is missing there is not set.

    `arguments` follow the binary, then those of the permission mode, then the person's own. `env` lies below the
    caller's environment (the caller's value wins), `mode_env` above it. A prompt that begins, after blanks, with one
    of `command_marks` gets a block with GUARD before it. With `replays_late` the history of a loaded session may come
    after the answer to `session/load`. With `instructions_in_prompt` the launch's instructions are a block of their
    own before a session's first prompt; a dialect that has a better way brings them in by itself.
    """

    cli: str
    capabilities: Capabilities
    arguments: tuple[str, ...] = ("acp",)
    modes: Mapping[Allow, str] = field(default_factory=dict)
    mode_arguments: Mapping[Allow, tuple[str, ...]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    mode_env: Mapping[Allow, Mapping[str, str]] = field(default_factory=dict)
    command_marks: tuple[str, ...] = ("/",)
    replays_late: bool = False
    instructions_in_prompt: bool = True


@dataclass(frozen=True, slots=True)
class AcpFailure:
    """Why a request of ours failed. Where a limit names its end: RFC 3339 UTC, or seconds from when it was heard."""

    kind: FailureKind
    message: str
    reset_at: str | None = None
    reset_in_seconds: float | None = None


def failure_of(error: Object) -> AcpFailure:
    """The meaning of a JSON-RPC error, from its code if that is an HTTP status or ACP's own, else from its words."""
    code = error.get("code")
    details = object_of(error.get("data"))
    said = text_of(error.get("message")) or "the CLI gave an error without words"
    more = text_of(details.get("details")) or text_of(details.get("message")) or text_of(error.get("data"))
    message = f"{said}: {more}" if more and more not in said else said
    return AcpFailure(kind_of(code, message), message)


def kind_of(code: object, message: str) -> FailureKind:
    """What an error means, from its code if that is an HTTP status or ACP's own, else from its words."""
    by_code = {
        _AUTH_REQUIRED: FailureKind.LOGIN,
        401: FailureKind.LOGIN,
        403: FailureKind.LOGIN,
        429: FailureKind.LIMIT,
        503: FailureKind.OVERLOADED,
        529: FailureKind.OVERLOADED,
    }
    if isinstance(code, int) and code in by_code:
        return by_code[code]
    for pattern, kind in _MESSAGES:
        if pattern.search(message):
            return kind
    return FailureKind.API if isinstance(code, int) and 400 <= code < 600 else FailureKind.OTHER
