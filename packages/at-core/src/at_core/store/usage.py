"""Tokens and cost in the store: each turn's figures, and their sums by bead, agent, CLI, model and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text, bindparam, case, cast, func, select

from at_core.record import Record
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, json_text, text_of, time_text
from at_core.store.selection import by_owner
from at_core.store.statement import Row, Rows, Statement
from at_core.types import BeadStatus, TokenMetric
from at_core.vocabulary import BeadFact


class UsageBy(StrEnum):
    """What sums are made for."""

    BEAD = "bead"
    AGENT = "agent"
    CLI = "cli"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals(Record):
    """Sums over turns. `cost_usd` and `requests` sum what was reported and are None when nothing was.

    `turns` counts turns, however many models one had; `estimated` says that a part of the cost is from a price list;
    `unpriced_tokens` are those, cache reads not counted, whose cost nobody knows.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    requests: int | None = None
    duration_ms: int = 0
    turns: int = 0
    estimated: bool = False
    unpriced_tokens: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedTotals(Record):
    """Beads that were merged, and what was used for them at any time.

    `priced` are those with a cost, which `cost_usd` sums; `partly_priced` are those among them whose cost is not known
    for a part.
    """

    beads: int = 0
    priced: int = 0
    cost_usd: float | None = None
    estimated: bool = False
    partly_priced: int = 0


_c = schema.usage.c
_usage = Mapping(TokenMetric, schema.usage)
_LISTS = by_owner(_usage, schema.usage)
_GROUPS = {
    UsageBy.BEAD: _c.bead_id,
    UsageBy.AGENT: _c.agent_id,
    UsageBy.CLI: _c.cli,
    UsageBy.MODEL: _c.model,
}
_tokens = _c.input_tokens + _c.output_tokens
_SUMS = (
    func.coalesce(func.sum(_c.input_tokens), 0),
    func.coalesce(func.sum(_c.cached_tokens), 0),
    func.coalesce(func.sum(_c.output_tokens), 0),
    func.sum(_c.cost_usd),
    func.sum(_c.requests),
    func.coalesce(func.sum(_c.duration_ms), 0),
    func.count(func.distinct(case((_c.turn > 0, _c.session + ":" + cast(_c.turn, Text))))),
    func.coalesce(func.max(_c.estimated), 0),
    func.coalesce(func.sum(case((_c.cost_usd.is_(None), _tokens), else_=0)), 0),
)
_within = (_c.created_at >= bindparam("since"), _c.created_at < bindparam("until"))
_OF_BEAD = Statement(select(*_SUMS).where(_c.bead_id == bindparam("bead_id")))
_OF_TIME = Statement(select(*_SUMS).where(*_within))
_BY = {
    by: Statement(select(column, *_SUMS).where(*_within).group_by(column.concat("")))
    for by, column in _GROUPS.items()
}
_wanted = select(func.json_each(bindparam("ids")).table_valued("value").c.value)
_NAMES = {
    UsageBy.BEAD: Statement(
        select(schema.beads.c.id, schema.beads.c.title).where(schema.beads.c.id.in_(_wanted))
    ),
    UsageBy.AGENT: Statement(
        select(schema.agents.c.id, schema.agents.c.name).where(schema.agents.c.id.in_(_wanted))
    ),
}
_CLIS = Statement(select(_c.cli).where(*_within, _c.cli != "").distinct().order_by(_c.cli))
_b, _f = schema.beads.c, schema.facts.c
_of_landed = (
    select(
        func.sum(_c.cost_usd).label("cost"),
        func.coalesce(func.max(_c.estimated), 0).label("estimated"),
        func.coalesce(func.sum(case((_c.cost_usd.is_(None), _tokens), else_=0)), 0).label("unpriced"),
    )
    .select_from(
        schema.beads.join(schema.facts, (_f.subject == _b.id) & (_f.name == BeadFact.MERGED.value)).outerjoin(
            schema.usage, _c.bead_id == _b.id
        )
    )
    .where(_b.status == BeadStatus.DONE.value, _b.done_at >= bindparam("since"))
    .group_by(_b.id)
    .subquery()
    .c
)
_LANDED = Statement(
    select(
        func.count(),
        func.count(_of_landed.cost),
        func.sum(_of_landed.cost),
        func.coalesce(func.max(_of_landed.estimated), 0),
        func.count(case(((_of_landed.unpriced > 0) & _of_landed.cost.is_not(None), 1))),
    )
)
_FIRST = Statement(select(func.min(_c.created_at)))
_LAST_TURN = Statement(
    select(func.max(_c.turn)).where(_c.agent_id == bindparam("agent_id"), _c.session == bindparam("session"))
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
        sums = self._one(_OF_BEAD, str(bead_id))
        assert sums is not None  # an aggregate has a row
        return _totals(sums, tuple(source for (source,) in self._all(_SOURCES, str(bead_id))))

    def usage_between(self, since: datetime, until: datetime) -> UsageTotals:
        """What was used from `since` up to, but not at, `until`."""
        sums = self._one(_OF_TIME, time_text(since), time_text(until))
        assert sums is not None  # an aggregate has a row
        return _totals(sums)

    def usage_by(self, by: UsageBy, since: datetime, until: datetime) -> list[tuple[str | None, UsageTotals]]:
        """The same for each bead or agent (by id), CLI or model that used anything, in no order."""
        found = self._all(_BY[by], time_text(since), time_text(until))
        return [(name, _totals(tuple(sums))) for name, *sums in found]

    def usage_names(self, by: UsageBy, ids: Iterable[str]) -> dict[str, str]:
        """Titles of beads, or names of agents, by id, of those that are there; CLIs and models have no other name."""
        if by not in _NAMES:
            return {}
        return {identity: text_of(name) for identity, name in self._all(_NAMES[by], json_text([*ids]))}

    def usage_clis(self, since: datetime, until: datetime) -> list[str]:
        """The CLIs that used anything, in order."""
        return [cli for (cli,) in self._all(_CLIS, time_text(since), time_text(until))]

    def landed(self, since: datetime) -> LandedTotals:
        """The beads merged since then; what a person declared done without a merge is none of them."""
        row = self._one(_LANDED, time_text(since))
        assert row is not None  # an aggregate has a row
        beads, priced, cost, estimated, partly = row
        return LandedTotals(
            beads=beads,
            priced=priced,
            cost_usd=cost,
            estimated=bool(estimated),
            partly_priced=partly,
        )

    def first_usage(self) -> datetime | None:
        """When the first figures came."""
        row = self._one(_FIRST)
        return None if row is None or row[0] is None else datetime.fromisoformat(row[0])

    def last_turn(self, agent_id: UUID, session: str) -> int:
        """The newest turn of a session that there are figures of, 0 for none."""
        row = self._one(_LAST_TURN, str(agent_id), session)
        return int(row[0]) if row is not None and row[0] is not None else 0


def _totals(sums: Row, sources: tuple[str, ...] = ()) -> UsageTotals:
    given, cached, produced, cost, requests, duration, turns, estimated, unpriced = sums
    return UsageTotals(
        input_tokens=given,
        cached_tokens=cached,
        output_tokens=produced,
        cost_usd=cost,
        requests=requests,
        duration_ms=duration,
        turns=turns,
        estimated=bool(estimated),
        unpriced_tokens=unpriced,
        sources=sources,
    )
