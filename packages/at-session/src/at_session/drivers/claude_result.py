"""How a turn of Claude ended: its `result` line and its API errors, as typed facts.

`subtype` stays "success" on API errors and all totals grow over the life of a process, so neither is taken at its word. Source: lines of claude 2.1.197; `rate_limit_event` as described in public issues of the CLI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from at_session.drivers.claude_asks import summary
from at_session.drivers.epochs import rfc3339
from at_session.drivers.jsonlines import Object, count_of, number_of, object_of, objects_of, text_of
from at_session.vocabulary import FailureKind, TurnEnded, TurnOutcome, Usage

# An older form of the limit's message ends in the epoch second of the reset.
_RESET_IN_TEXT = re.compile(r"limit reached\|(\d{9,13})")
_KINDS = {
    "authentication_failed": FailureKind.LOGIN,
    "oauth_org_not_allowed": FailureKind.LOGIN,
    "rate_limit": FailureKind.LIMIT,
    "overloaded": FailureKind.OVERLOADED,
    "server_error": FailureKind.API,
    "invalid_request": FailureKind.API,
}
_CUT = "the connection was cut in the middle of an answer"


def kind_of(error: str, status: object) -> FailureKind:
    """What an API error means, from the CLI's word for it and the HTTP status."""
    if status == 529:
        return FailureKind.OVERLOADED
    if error in _KINDS:
        return _KINDS[error]
    if status in (401, 403):
        return FailureKind.LOGIN
    if status == 429:
        return FailureKind.LIMIT
    if isinstance(status, int):
        return FailureKind.API
    return FailureKind.CONNECTION


def turn_ended(result: Object, error: str, *, cut: bool) -> TurnEnded:
    """The end of a turn. `error` is the CLI's word for its last API error, `cut` says that an answer had no end."""
    text = text_of(result.get("result"))
    denials = objects_of(result.get("permission_denials"))
    denied = tuple(
        summary(text_of(each.get("tool_name")), object_of(each.get("tool_input"))) for each in denials
    )
    if text_of(result.get("terminal_reason")).startswith("aborted"):
        return TurnEnded(TurnOutcome.INTERRUPTED, text=text, denied=denied)
    if result.get("is_error") is not True and cut:
        return TurnEnded(TurnOutcome.FAILED, None, text, FailureKind.CONNECTION, _CUT, denied)
    if result.get("is_error") is not True:
        return TurnEnded(TurnOutcome.COMPLETED, text=text, denied=denied)
    said = (
        text or "; ".join(str(each) for each in _list(result.get("errors"))) or text_of(result.get("subtype"))
    )
    return TurnEnded(TurnOutcome.FAILED, None, text, _failure(result, error), said, denied)


def spent(result: Object) -> dict[str, dict[str, float]] | None:
    """What the process has spent so far on each model; None if the line does not say.

    The totals by model are taken, not `usage`: that leaves out inner agents, summaries of a conversation that became too
    long, and answers that were asked for again after a cut. Tokens written to the cache were sent and paid, so they
    count as input.
    """
    by_model = result.get("modelUsage")
    return (
        {model: _totals(object_of(each)) for model, each in by_model.items()}
        if isinstance(by_model, dict)
        else None
    )


def usages(
    total: Mapping[str, Mapping[str, float]], before: Mapping[str, Mapping[str, float]], result: Object
) -> list[Usage]:
    """Figures of one turn, for each model that was used: what the process has spent since the turn before.

    The turn's duration stands with the first of them.
    """
    found: list[Usage] = []
    for model, spent_on in total.items():
        known = object_of(before.get(model))
        since = {
            name: max(0.0, value - (number_of(known.get(name)) or 0.0)) for name, value in spent_on.items()
        }
        if any(since.values()):
            usage = Usage(
                input_tokens=int(since["input"]),
                cached_tokens=int(since["cached"]),
                output_tokens=int(since["output"]),
                cost_usd=round(since["cost"], 9),
                model=model,
                duration_ms=None if found else count_of(result.get("duration_ms")),
            )
            found.append(usage)
    return found


def _totals(model: Object) -> dict[str, float]:
    return {
        "input": count_of(model.get("inputTokens")) + count_of(model.get("cacheCreationInputTokens")),
        "cached": count_of(model.get("cacheReadInputTokens")),
        "output": count_of(model.get("outputTokens")),
        "cost": number_of(model.get("costUSD")) or 0.0,
    }


def reset_in(text: str) -> str | None:
    """The reset time that a limit's message carries, as RFC 3339 UTC."""
    found = _RESET_IN_TEXT.search(text)
    return rfc3339(int(found.group(1))) if found else None


def _failure(result: Object, error: str) -> FailureKind:
    status = result.get("api_error_status")
    if result.get("terminal_reason") == "prompt_too_long":
        return FailureKind.CONTEXT
    if isinstance(status, int) or error:
        return kind_of(error, status)
    said = text_of(result.get("result"))
    if said.startswith("API Error") or "timed out" in said:
        return FailureKind.CONNECTION
    return FailureKind.OTHER


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
