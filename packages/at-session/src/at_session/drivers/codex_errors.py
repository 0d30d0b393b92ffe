"""What an error of Codex means: the kind of a failure, the reset of a limit.

Source: `error` and `turn/completed` notifications of `codex app-server` 0.169.0, whose schema names the kinds. The CLI's
own record writes the same names in snake case.
"""

from __future__ import annotations

import re

from at_session.drivers.epochs import rfc3339
from at_session.drivers.jsonlines import Object, count_of, number_of, object_of, text_of
from at_session.vocabulary import FailureKind, Retrying

LOGIN_HINT = "run `codex login`, or set the key that its model provider reads"
_KINDS = {
    "contextwindowexceeded": FailureKind.CONTEXT,
    "usagelimitexceeded": FailureKind.LIMIT,
    "ratelimitexceeded": FailureKind.LIMIT,
    "sessionbudgetexceeded": FailureKind.LIMIT,
    "serveroverloaded": FailureKind.OVERLOADED,
    "flexunavailable": FailureKind.OVERLOADED,
    "policycapacityunavailable": FailureKind.OVERLOADED,
    "unauthorized": FailureKind.LOGIN,
    "internalservererror": FailureKind.API,
    "badrequest": FailureKind.API,
    "modelnotfound": FailureKind.API,
    "cyberpolicy": FailureKind.API,
}
_STATUS = {
    401: FailureKind.LOGIN,
    403: FailureKind.LOGIN,
    429: FailureKind.LIMIT,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}
_WORDS = (
    (re.compile(r"Missing environment variable|[Nn]ot logged in|codex login"), FailureKind.LOGIN),
    (re.compile(r"high demand"), FailureKind.API),
    (re.compile(r"stream disconnected|error sending request|timed? ?out|timeout"), FailureKind.CONNECTION),
    (re.compile(r'^\{"error"'), FailureKind.API),
)
_STATUS_IN_TEXT = re.compile(r"status:? (\d{3})\b")
_ATTEMPT = re.compile(r"(\d+)/\d+")


def kind_of(error: Object) -> FailureKind:
    """The kind of an error object; what it does not name is read from its words."""
    info = error.get("codexErrorInfo") or error.get("codex_error_info")
    name, details = next(iter(info.items()), ("", None)) if isinstance(info, dict) else (text_of(info), None)
    status = next(iter(object_of(details).values()), None)
    if (kind := _KINDS.get(name.replace("_", "").lower())) is not None:
        return kind
    said = words_of(error)
    if not count_of(status) and (found := _STATUS_IN_TEXT.search(said)):
        status = int(found.group(1))
    if count_of(status):
        return _STATUS.get(count_of(status), FailureKind.API)
    return next((kind for words, kind in _WORDS if words.search(said)), FailureKind.OTHER)


def words_of(error: Object) -> str:
    """The error in the CLI's words."""
    said, details = text_of(error.get("message")), text_of(error.get("additionalDetails"))
    return f"{said} ({details})" if said and details else said or details


def retrying(error: Object) -> Retrying:
    """An error after which the CLI tries again by itself; it does not say when."""
    said = words_of(error)
    attempt = _ATTEMPT.search(text_of(error.get("message")))
    return Retrying(kind_of(error), int(attempt.group(1)[:6]) if attempt else None, None, said)


def reset_at(limits: Object) -> str | None:
    """When the used up windows of a limit begin anew, as RFC 3339 UTC; None if none is known to be used up."""
    windows = [object_of(limits.get(name)) for name in ("primary", "secondary")]
    used_up = [window for window in windows if (number_of(window.get("usedPercent")) or 0) >= 100]
    own = object_of(limits.get("individualLimit"))
    if own and not count_of(own.get("remainingPercent")):
        used_up.append(own)
    times = [count_of(window.get("resetsAt")) for window in used_up]
    return rfc3339(max(times)) if times else None
