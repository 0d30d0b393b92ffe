"""Tokens and cost in the store."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, select

from at_core.record import Record
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping
from at_core.store.selection import by_owner
from at_core.store.statement import Rows, Statement
from at_core.types import TokenMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals(Record):
    """Sums over turns. `cost_usd` and `requests` sum what was reported and are None when nothing was."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    requests: int | None = None
    duration_ms: int = 0
    turns: int = 0
    sources: tuple[str, ...] = ()


_c = schema.usage.c
_usage = Mapping(TokenMetric, schema.usage)
_LISTS = by_owner(_usage, schema.usage)
_TOTALS = Statement(
    select(
        func.coalesce(func.sum(_c.input_tokens), 0),
        func.coalesce(func.sum(_c.cached_tokens), 0),
        func.coalesce(func.sum(_c.output_tokens), 0),
        func.sum(_c.cost_usd),
        func.sum(_c.requests),
        func.coalesce(func.sum(_c.duration_ms), 0),
        func.count(),
    ).where(_c.bead_id == bindparam("bead_id"))
)
_SOURCES = Statement(
    select(_c.source)
    .where(_c.bead_id == bindparam("bead_id"), _c.source != "")
    .group_by(_c.source)
    .order_by(func.min(_c.number))
)


class Usage(Rows):
    """What a transaction can do with usage."""

    __slots__ = ()

    def add_usage(self, metric: TokenMetric) -> None:
        """Record the figures of one turn. Raises `Duplicate` if its id is taken."""
        insert_new(self, _usage, metric, str(metric.id))

    def usage(self, bead_id: UUID | None = None, agent_id: UUID | None = None) -> list[TokenMetric]:
        """Figures of that bead and agent (None: of any), oldest first."""
        statement, values = _LISTS(agent_id, bead_id)
        return [_usage.decode(row) for row in self._all(statement, *values)]

    def usage_totals(self, bead_id: UUID) -> UsageTotals:
        """What the bead has used in all."""
        totals = self._one(_TOTALS, str(bead_id))
        assert totals is not None  # an aggregate has a row
        given, cached, produced, cost, requests, duration, turns = totals
        sources = tuple(source for (source,) in self._all(_SOURCES, str(bead_id)))
        return UsageTotals(
            input_tokens=given,
            cached_tokens=cached,
            output_tokens=produced,
            cost_usd=cost,
            requests=requests,
            duration_ms=duration,
            turns=turns,
            sources=sources,
        )
