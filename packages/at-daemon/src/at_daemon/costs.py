"""What was spent, in documents: sums by bead, agent, CLI, model or day, per landed bead, and what is left of budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from at_agents.decisions import Budget
from at_core.errors import UsageError
from at_core.record import format_time
from at_core.store import LandedTotals, Tx, UsageBy, UsageTotals, local_day_start, next_local_day
from at_core.types import Bead, BeadStatus
from at_daemon.budgets import Budgets
from at_daemon.clis import Clis

Json = dict[str, Any]
BY = (*UsageBy, "day")
BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
WITH_BUDGET = {BeadStatus.BACKLOG, BeadStatus.HOOKED, BeadStatus.SLUNG, BeadStatus.REVIEW}


def since_when(word: str | None, now: datetime) -> datetime | None:
    """The beginning of a range: of a day (`2026-11-01`) or of the last N days (`7d`, today is one of them).

    Days are the person's own. Raises UsageError.
    """
    if word is None:
        return None
    try:
        if found := re.fullmatch(r"([1-9][0-9]{0,4})d", word):
            day = now.astimezone().date() - timedelta(days=int(found[1]) - 1)
        else:
            day = date.fromisoformat(word)
        return local_day_start(datetime.combine(day, time(12)).astimezone())
    except (ValueError, OverflowError):
        raise UsageError(
            f"{word!r} is no beginning of a range", "--since 2026-11-01, or --since 7d"
        ) from None


def costs_document(tx: Tx, budgets: Budgets, by: str, since: datetime | None, now: datetime) -> Json:
    """The costs of all repositories from `since` until now. Raises UsageError for an unknown `by`."""
    if by not in BY:
        raise UsageError(f"{by!r} is no way to sum up (there are {', '.join(BY)})")
    start, until = since or BEGINNING, now + timedelta(microseconds=1)
    total = tx.usage_between(start, until)
    rows = list(_days(tx, start, until) if by == "day" else _groups(tx, UsageBy(by), start, until))
    return {
        "by": by,
        "since": format_time(since) if since else None,
        "until": format_time(now),
        "rows": rows,
        "total": usage_document(total),
        "landed": _landed(tx.landed(start), total),
        "budgets": list(_budgets(tx, budgets, now)),
        "unreported": {cli: unreported(budgets.clis, cli) for cli in tx.usage_clis(start, until)},
    }


def usage_document(totals: UsageTotals) -> Json:
    """Sums as the contract's usage, without where they come from."""
    return {
        "input_tokens": totals.input_tokens,
        "cached_tokens": totals.cached_tokens,
        "output_tokens": totals.output_tokens,
        "cost_usd": None if totals.cost_usd is None else round(totals.cost_usd, 6),
        "cost_estimated": totals.estimated,
        "requests": totals.requests,
        "turns": totals.turns,
        "unpriced_tokens": totals.unpriced_tokens,
    }


def unreported(clis: Clis, name: str) -> list[str]:
    """Figures that the CLI does not give at all."""
    found = clis.last(name)
    return list(found.driver.capabilities.unreported) if found is not None else []


def budget_document(budget: Budget, bead: Bead | None = None) -> Json:
    """A limit with what is left of it."""
    return {
        "scope": budget.scope.value,
        "cli": budget.cli or None,
        "bead": str(bead.id) if bead else None,
        "title": bead.title if bead else None,
        "unit": budget.unit.value,
        "limit": budget.limit,
        "spent": round(budget.spent, 6),
        "left": round(max(0.0, budget.limit - budget.spent), 6),
        "passes_at": format_time(budget.passes_at) if budget.passes_at else None,
    }


def _groups(tx: Tx, by: UsageBy, since: datetime, until: datetime) -> Iterator[Json]:
    found = tx.usage_by(by, since, until)
    found.sort(
        key=lambda row: (-(row[1].cost_usd or 0.0), -row[1].input_tokens - row[1].output_tokens, row[0] or "")
    )
    names = tx.usage_names(by, [key for key, _ in found if key])
    removed = "(removed)" if by in (UsageBy.BEAD, UsageBy.AGENT) else None
    for key, totals in found:
        name = names.get(key, removed or key) if key else "(none)"
        yield {"key": key or None, "name": name, **usage_document(totals)}


def _days(tx: Tx, since: datetime, until: datetime) -> Iterator[Json]:
    first = tx.first_usage()
    if first is None:
        return
    day = local_day_start(max(since, first))
    while day < until:
        end = next_local_day(day)
        totals = tx.usage_between(max(day, since), min(end, until))
        if totals != UsageTotals():
            name = day.astimezone().date().isoformat()
            yield {"key": name, "name": name, **usage_document(totals)}
        day = end


def _landed(found: LandedTotals, total: UsageTotals) -> Json:
    """Dollars per landed bead: the mean of those that have a cost, and with everything else that was spent meanwhile."""
    own, all_in = found.cost_usd, total.cost_usd
    return {
        "beads": found.beads,
        "priced": found.priced,
        "partly_priced": found.partly_priced,
        "cost_usd": None if own is None else round(own, 6),
        "cost_estimated": found.estimated,
        "usd_per_bead": None if own is None else round(own / found.priced, 6),
        "usd_per_bead_all_in": round(all_in / found.beads, 6) if found.beads and all_in is not None else None,
    }


def _budgets(tx: Tx, budgets: Budgets, now: datetime) -> Iterator[Json]:
    for budget in budgets.left_of_day(tx, now):
        yield budget_document(budget)
    for bead in tx.beads(status=WITH_BUDGET):
        for budget in budgets.left_of_bead(tx, bead):
            yield budget_document(budget, bead)
