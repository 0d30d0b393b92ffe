"""The KPI snapshot: counts of one moment, and cost and tokens of the person's local day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import uuid4

from sqlalchemy import bindparam, func, select

from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, time_text
from at_core.store.statement import Rows, Statement
from at_core.types import AgentStatus, BeadStatus, ConvoyStatus, KpiSnapshot

FARTHEST = timedelta(hours=26)
"""No local midnight is so much earlier, or so much later, than that of UTC."""
_SECOND = timedelta(seconds=1)
_kpi = Mapping(KpiSnapshot, schema.kpi)
_u = schema.usage.c

_BEADS = Statement(select(schema.beads.c.status, func.count()).group_by(schema.beads.c.status))
_AGENTS = Statement(
    select(func.count()).select_from(schema.agents).where(schema.agents.c.status == AgentStatus.ACTIVE.value)
)
_CONVOYS = Statement(
    select(func.count())
    .select_from(schema.convoys)
    .where(schema.convoys.c.status == ConvoyStatus.ACTIVE.value)
)
_DAY = Statement(
    select(
        func.coalesce(func.sum(_u.cost_usd), 0.0),
        func.coalesce(func.sum(_u.input_tokens + _u.output_tokens), 0),
        func.coalesce(func.max(_u.estimated), 0),
    ).where(_u.created_at >= bindparam("start"), _u.created_at <= bindparam("now"))
)
_LATEST = Statement(_kpi.select.order_by(schema.kpi.c.created_at.desc(), schema.kpi.c.number.desc()).limit(1))


def local_day_start(now: datetime, zone: tzinfo | None = None) -> datetime:
    """The instant, in UTC, at which the local day of `now` began in `zone`; None is the machine's own zone.

    Where the clock skips midnight the day begins at the first instant that exists; where midnight comes twice, at the
    first.
    """
    day = now.astimezone(zone).date()
    midnight = datetime.combine(day, time.min, UTC)
    return _first_instant(day, midnight - FARTHEST, midnight + FARTHEST, zone)


def next_local_day(now: datetime, zone: tzinfo | None = None) -> datetime:
    """The instant, in UTC and always later than `now`, at which the local day after that of `now` begins."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return _first_instant(day, now.astimezone(UTC), datetime.combine(day, time.min, UTC) + FARTHEST, zone)


def _first_instant(day: date, before: datetime, within: datetime, zone: tzinfo | None) -> datetime:
    """When `day` or a later one begins: not yet at `before`, and no later than `within`.

    At midnight, where there is one; else found by halves, since no zone says which local times it has. Clocks are put
    forward and back at whole seconds only.
    """
    midnight = datetime.fromtimestamp(datetime.combine(day, time.min, zone).timestamp(), UTC)
    at_it, before_it = (each.astimezone(zone).date() for each in (midnight, midnight - _SECOND))
    if before < midnight and before_it < day == at_it:
        return midnight
    before = before.replace(microsecond=0)
    while (seconds := (within - before) // _SECOND) > 1:
        middle = before + seconds // 2 * _SECOND
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            within = middle
    return within


class Kpi(Rows):
    """What a transaction can do with KPI snapshots."""

    __slots__ = ()

    def kpi(self, now: datetime, day_start: datetime) -> KpiSnapshot:
        """The snapshot of `now`; cost and tokens (input without cache reads, plus output) since `day_start`.

        `local_day_start` gives `day_start`. It is computed, not saved.
        """
        beads: dict[str, int] = dict(self._all(_BEADS))
        cost, tokens, estimated = self._one(_DAY, time_text(day_start), time_text(now)) or (0.0, 0, 0)
        return KpiSnapshot(
            id=uuid4(),
            beads_active=_sum(beads, BeadStatus.HOOKED, BeadStatus.SLUNG, BeadStatus.REVIEW),
            beads_completed=_sum(beads, BeadStatus.DONE),
            beads_failed=_sum(beads, BeadStatus.FAILED, BeadStatus.ESCALATED),
            agents_active=(self._one(_AGENTS) or (0,))[0],
            convoys_active=(self._one(_CONVOYS) or (0,))[0],
            total_cost_today=cost,
            total_tokens_today=tokens,
            created_at=now,
            cost_estimated=bool(estimated),
        )

    def save_kpi(self, snapshot: KpiSnapshot) -> None:
        """Keep it. Raises `Duplicate` if its id is taken."""
        insert_new(self, _kpi, snapshot, str(snapshot.id))

    def latest_kpi(self) -> KpiSnapshot | None:
        """The newest snapshot kept."""
        row = self._one(_LATEST)
        return None if row is None else _kpi.decode(row)


def _sum(counts: dict[str, int], *statuses: BeadStatus) -> int:
    return sum(counts.get(status.value, 0) for status in statuses)
