"""Input, cached and output tokens: what the scripted endpoint sent, and what is told of it."""

from __future__ import annotations

from at_session.rehearsal.endpoint import Endpoint, Exchange
from at_session.vocabulary import Usage, UsageReported

Figures = tuple[int, int, int]


def figures(endpoint: Endpoint, exchanges: list[Exchange]) -> Figures:
    """What the endpoint sent. What was written to the cache is input."""
    sent = endpoint.sent(exchanges)
    return sent.given + sent.cache_written, sent.cached, sent.output


def counted(usage: Usage) -> Figures:
    return usage.input_tokens, usage.cached_tokens, usage.output_tokens


def reported(event: UsageReported) -> Figures:
    return counted(event.usage)


def total(events: list[UsageReported]) -> Figures:
    """The sums over several events."""
    usages = [event.usage for event in events]
    return (
        sum(each.input_tokens for each in usages),
        sum(each.cached_tokens for each in usages),
        sum(each.output_tokens for each in usages),
    )
