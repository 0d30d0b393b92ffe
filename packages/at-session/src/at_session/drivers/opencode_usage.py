"""Figures of OpenCode: one answer of the model is one message, and no message is counted twice.

The CLI's own totals of a session leave out its request for a title; everything else is in a message: retries that
succeeded, summaries, inner agents (sessions with a parent). Source: `message.updated` events of opencode 1.18.33; the
database keeps the same objects.
"""

from __future__ import annotations

from typing import Any

from at_session.drivers.jsonlines import Object, count_of, number_of, object_of, text_of
from at_session.vocabulary import ContextUsed, DriverState, Usage, UsageReported

SOURCE = "opencode messages (tokens, cost)"
COUNTED_KEPT = 1000
"""Messages whose figures are known to be told; the record is read no further back."""


def note(state: DriverState, message: Object) -> None:
    """Remember the figures of an assistant's message until they are told; a later state of it takes their place."""
    identity, found = text_of(message.get("id")), _figures(message)
    if not identity or identity in _counted(state) or not any(found):
        return
    figures: dict[str, tuple[str, list[float]]] = state.values.setdefault("figures", {})
    figures[identity] = (_model(message), found)


def context(state: DriverState, message: Object) -> list[ContextUsed]:
    """How full the context was for an answer of the conversation itself, told once."""
    given, cached, *_ = _figures(message)
    newest = [text_of(message.get("id")), int(given + cached)]
    if not newest[1] or state.values.get("context") == newest:
        return []
    state.values["context"] = newest
    return [ContextUsed(int(given + cached), None, _model(message), SOURCE)]


def _model(message: Object) -> str:
    return f"{text_of(message.get('providerID'))}/{text_of(message.get('modelID'))}"


def told(state: DriverState) -> list[UsageReported]:
    """The sum, for each model, of what was not told yet; nothing if there is nothing."""
    figures: dict[str, tuple[str, list[float]]] = state.values.pop("figures", {})
    counted = _counted(state)
    counted += figures
    del counted[:-COUNTED_KEPT]
    by_model: dict[str, list[list[float]]] = {}
    for model, found in figures.values():
        by_model.setdefault(model, []).append(found)
    return [UsageReported(_sum(model, found), SOURCE) for model, found in by_model.items()]


def _sum(model: str, messages: list[list[float]]) -> Usage:
    given, cached, output, cost = (sum(each) for each in zip(*messages, strict=True))
    return Usage(
        input_tokens=int(given),
        cached_tokens=int(cached),
        output_tokens=int(output),
        # A model without prices and one that is free look alike.
        cost_usd=round(cost, 9) if cost else None,
        requests=len(messages),
        model=model,
    )


def _counted(state: DriverState) -> list[str]:
    counted: list[str] = state.values.setdefault("counted", [])
    return counted


def _figures(message: Object) -> list[float]:
    """Input, cached, output, USD. Reasoning is output; what was written to the cache was sent, so it is input."""
    tokens: dict[str, Any] = object_of(message.get("tokens"))
    cache = object_of(tokens.get("cache"))
    return [
        count_of(tokens.get("input")) + count_of(cache.get("write")),
        count_of(cache.get("read")),
        count_of(tokens.get("output")) + count_of(tokens.get("reasoning")),
        max(0.0, number_of(message.get("cost")) or 0.0),
    ]
