"""Errors and retries of OpenCode as typed facts.

Source: `session.error` and `session.status` events of opencode 1.18.33. A final error carries the HTTP status; a retry
carries only a message and the time of the next try.
"""

from __future__ import annotations

import re

from at_session.drivers.jsonlines import Object, count_of, number_of, object_of, text_of
from at_session.vocabulary import FailureKind, Retrying

ABORTED = "MessageAbortedError"
LONGEST_RETRY_SECONDS = 60.0
"""A retry that is further away is the end of a limit: the CLI would sleep on it, for days if it must."""
MOST_RETRIES = 6
"""So many times is a rate limit waited for (2 + 4 + 8 + 16 + 30 s); the CLI itself would never stop."""
MOST_CUTS = 10
"""So many answers in a row may be cut: each is asked again within a second, and paid for."""

_LIMIT = re.compile(r"rate.?limit|too many requests|usage limit|limit reached|throttl", re.IGNORECASE)
_QUOTA = re.compile(
    r"quota|usage limit|usage exceeded|billing|credits?\b|insufficient.{0,20}balance", re.IGNORECASE
)
_OVERLOADED = re.compile(r"overloaded|at capacity|high demand|unavailable", re.IGNORECASE)
_CONNECTION = re.compile(
    r"cannot connect|unable to connect|socket|connection|network|fetch failed|timed? ?out|ECONN|ENOTFOUND",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"api.?key|unauthorized|not logged in|authenticat", re.IGNORECASE)
# The model is known but its provider is not offered: there is no login for it.
_NOT_OFFERED = re.compile(r"Model not found: [^/\s]+/(\S+)\. Did you mean: (.*)\?")


def kind_of(error: Object) -> FailureKind:
    """What a final error means."""
    name, data = text_of(error.get("name")), object_of(error.get("data"))
    message, status = text_of(data.get("message")), count_of(data.get("statusCode"))
    if name == "ContextOverflowError":
        return FailureKind.CONTEXT
    if name == "ProviderAuthError" or status in (401, 403):
        return FailureKind.LOGIN
    if status in (402, 429):
        return FailureKind.LIMIT
    if status in (503, 529):
        return FailureKind.OVERLOADED
    if status:
        return FailureKind.API
    if name == "UnknownError" and (_LOGIN.search(message) or _is_not_offered(message)):
        return FailureKind.LOGIN
    if _CONNECTION.search(message):
        return FailureKind.CONNECTION
    return FailureKind.API if name == "APIError" else FailureKind.OTHER


def _is_not_offered(message: str) -> bool:
    found = _NOT_OFFERED.search(message)
    return found is not None and found[1] in found[2].split(", ")


def message_of(error: Object) -> str:
    """The error in the CLI's words, with the HTTP status where there is one."""
    data = object_of(error.get("data"))
    said = text_of(data.get("message")) or text_of(error.get("name")) or "an error without a message"
    status = count_of(data.get("statusCode"))
    return f"{said} ({status})" if status else said


def retrying(status: Object, at: int) -> Retrying:
    """A retry. `at` is the time of the event, in milliseconds since 1970."""
    message = text_of(status.get("message"))
    kind = FailureKind.API
    for pattern, meant in (
        (_QUOTA, FailureKind.LIMIT),
        (_LIMIT, FailureKind.LIMIT),
        (_OVERLOADED, FailureKind.OVERLOADED),
        (_CONNECTION, FailureKind.CONNECTION),
    ):
        if pattern.search(message):
            kind = meant
            break
    upcoming = number_of(status.get("next"))
    delay = None if upcoming is None else max(0.0, (upcoming - at) / 1000)
    return Retrying(kind, count_of(status.get("attempt")) or None, delay, message)


def is_limit(retry: Retrying) -> bool:
    """Whether waiting for the CLI's next try makes no sense."""
    if (retry.delay_seconds or 0.0) > LONGEST_RETRY_SECONDS or _QUOTA.search(retry.message):
        return True
    return retry.kind is FailureKind.LIMIT and (retry.attempt or 0) >= MOST_RETRIES
