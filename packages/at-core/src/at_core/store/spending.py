"""What was spent, as budgets ask for it: few rows are read, found by an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, Text, bindparam, case, cast, func, select

from at_core.store import schema
from at_core.store.mapping import time_text
from at_core.store.statement import Row, Rows, Statement

NEWEST = 100
"""Rows of a CLI's figures that its mean turn is made of."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Dollars, estimates included, and tokens: input without cache reads, plus output."""

    usd: float = 0.0
    tokens: float = 0.0


_u = schema.usage
_SUM = (
    func.coalesce(func.sum(_u.c.cost_usd), 0.0),
    func.coalesce(func.sum(_u.c.input_tokens + _u.c.output_tokens), 0),
)
_OF_BEAD = Statement(select(*_SUM).where(_u.c.bead_id == bindparam("bead_id")))
_UNPRICED = select(_u.c.cli, _u.c.model).where(_u.c.cost_usd.is_(None)).distinct()
_UNPRICED_OF_BEAD = Statement(_UNPRICED.where(_u.c.bead_id == bindparam("bead_id")))
_UNPRICED_SINCE = Statement(_UNPRICED.where(_u.c.created_at >= bindparam("since")))
# Grouped by what is no column: SQLite would walk the whole index of a column to save a sort of a few rows.
_SINCE = Statement(
    select(_u.c.cli, *_SUM).where(_u.c.created_at >= bindparam("since")).group_by(_u.c.cli.concat(""))
)


def _mean(rows: Select[tuple[object, ...]]) -> Statement:
    of = rows.subquery().c
    turn = of.session + ":" + cast(of.turn, Text)
    return Statement(
        select(
            func.sum(of.cost_usd) / func.count(func.distinct(case((of.cost_usd.is_not(None), turn)))),
            (func.sum(of.input_tokens + of.output_tokens) * 1.0) / func.count(func.distinct(turn)),
        ).where(of.turn > 0)
    )


_ROWS = select(_u.c.session, _u.c.turn, _u.c.cost_usd, _u.c.input_tokens, _u.c.output_tokens)
_MEAN_OF_BEAD = _mean(_ROWS.where(_u.c.bead_id == bindparam("bead_id")))
_NEWEST = _ROWS.order_by(_u.c.number.desc()).limit(NEWEST)
_MEAN_OF_CLI = _mean(_NEWEST.where(_u.c.cli == bindparam("cli")))
_MEAN_OF_ALL = _mean(_NEWEST)


class Spending(Rows):
    """What a transaction can say of money and tokens that are gone."""

    __slots__ = ()

    def spent_on(self, bead_id: UUID) -> Spent:
        """By one bead in all."""
        return _spent(self._one(_OF_BEAD, str(bead_id)))

    def spent_since(self, since: datetime) -> dict[str, Spent]:
        """By each CLI since then."""
        return {cli: _spent(tuple(sums)) for cli, *sums in self._all(_SINCE, time_text(since))}

    def unpriced_on(self, bead_id: UUID) -> list[tuple[str, str]]:
        """CLI and model of what one bead used and has no cost."""
        return [(cli, model) for cli, model in self._all(_UNPRICED_OF_BEAD, str(bead_id))]

    def unpriced_since(self, since: datetime) -> list[tuple[str, str]]:
        """CLI and model of what was used since then and has no cost."""
        return [(cli, model) for cli, model in self._all(_UNPRICED_SINCE, time_text(since))]

    def mean_turn(self, bead_id: UUID, cli: str) -> Spent:
        """What a turn costs: the mean of the bead's turns, else of the CLI's newest, else of the newest of all, else 0."""
        means = (
            (_MEAN_OF_BEAD, (str(bead_id),)),
            (_MEAN_OF_CLI, (cli,)),
            (_MEAN_OF_ALL, ()),
        )
        usd: float | None = None
        tokens: float | None = None
        for statement, values in means:
            row = self._one(statement, *values) or (None, None)
            usd, tokens = row[0] if usd is None else usd, row[1] if tokens is None else tokens
            if usd is not None and tokens is not None:
                break
        return Spent(usd or 0.0, tokens or 0.0)


def _spent(row: Row | None) -> Spent:
    return Spent(*row) if row else Spent()
