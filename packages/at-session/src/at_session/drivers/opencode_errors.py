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
"""A retry that is further away is not waited for: the CLI would sleep on it, for days if it must."""
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
_SERVER = re.compile(
    r"server.?error|internal error|bad gateway|(?:status|code|error)\W{0,3}5\d\d\b", re.IGNORECASE
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
    upcoming = number_of(status.get("next"))
    delay = None if upcoming is None else max(0.0, (upcoming - at) / 1000)
    return Retrying(
        _told(message) or FailureKind.API, count_of(status.get("attempt")) or None, delay, message
    )


def _told(message: str) -> FailureKind | None:
    """What the words of a retry mean; None where they do not tell."""
    for pattern, meant in (
        (_QUOTA, FailureKind.LIMIT),
        (_LIMIT, FailureKind.LIMIT),
        (_OVERLOADED, FailureKind.OVERLOADED),
        (_CONNECTION, FailureKind.CONNECTION),
        (_SERVER, FailureKind.API),
    ):
        if pattern.search(message):
            return meant
    return None


def gives_up_as(retry: Retrying) -> FailureKind | None:
    """As what a turn ends whose next try is not worth waiting for; None where it is.

    A far try that no words explain is taken for the end of a limit: those are what lasts so long.
    """
    if (retry.delay_seconds or 0.0) > LONGEST_RETRY_SECONDS:
        return _told(retry.message) or FailureKind.LIMIT
    many = retry.kind is FailureKind.LIMIT and (retry.attempt or 0) >= MOST_RETRIES
    return FailureKind.LIMIT if many or _QUOTA.search(retry.message) else None
