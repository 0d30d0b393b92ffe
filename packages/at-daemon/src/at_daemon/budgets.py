"""Limits of money as a decision looks at them: what is set, what is gone, what is under way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from at_agents.decisions import Budget, IntentKind, Scope, Unit
from at_core.errors import UsageError
from at_core.store import Spent, Tx, local_day_start, next_local_day
from at_core.types import Agent, Bead
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.clis import Clis
from at_daemon.prices import price_key, prices_under_way

MOST = 1e12


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that was set."""

    scope: Scope
    unit: Unit
    amount: float
    cli: str = ""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Reads limits from the configuration and a bead's own word, and from the store what counts against them."""

    clis: Clis = field(default_factory=Clis)

    def of_bead(self, own: Mapping[str, float] | None) -> list[Limit]:
        """The limits of one bead; `own` is what a person set for it."""
        section = self.clis.config().budget
        found: dict[Unit, float | None] = {Unit.USD: section.bead_usd, Unit.TOKENS: section.bead_tokens}
        if own is not None:
            found = found | {Unit(unit): amount for unit, amount in own.items()} if own else {}
        return [Limit(Scope.BEAD, unit, amount) for unit, amount in found.items() if amount is not None]

    def of_day(self, cli: str | None = None) -> list[Limit]:
        """The limits of a day: of everything, and of one CLI (None: of each)."""
        section = self.clis.config().budget
        found: list[tuple[Scope, Unit, float | None, str]] = [
            (Scope.DAY, Unit.USD, section.day_usd, ""),
            (Scope.DAY, Unit.TOKENS, section.day_tokens, ""),
        ]
        for name in self.clis.names() if cli is None else (cli,):
            if (known := self.clis.last(name)) is not None:
                found.append((Scope.CLI, Unit.USD, known.settings.budget_day_usd, name))
                found.append((Scope.CLI, Unit.TOKENS, known.settings.budget_day_tokens, name))
        return [Limit(scope, unit, amount, name) for scope, unit, amount, name in found if amount is not None]

    def before_turn(
        self, tx: Tx, bead: Bead, agent: Agent, facts: Mapping[str, object], now: datetime
    ) -> tuple[Budget, ...]:
        """What the bead's next turn has to stay within. Nothing is summed where nothing is limited."""
        own = facts.get(BeadFact.BUDGET)
        cli = agent.cli
        of_bead, of_day = self.of_bead(own if isinstance(own, dict) else None), self.of_day(cli)
        if not of_bead and not of_day:
            return ()
        expected = tx.mean_turn(bead.id, cli)
        dollars = any(limit.unit is Unit.USD for limit in (*of_bead, *of_day))
        looked_up = prices_under_way(tx) if dollars else frozenset()
        unpriced = tx.unpriced_on(bead.id) if looked_up else []
        found = [
            _awaiting(looked_up, unpriced, _budget(limit, tx.spent_on(bead.id), Spent(), expected))
            for limit in of_bead
        ]
        if of_day:
            start = local_day_start(now)
            spent, under_way = tx.spent_since(start), dict(_under_way(tx, bead.id))
            unpriced = tx.unpriced_since(start) if looked_up else []
            for limit in of_day:
                gone, coming = (
                    _of(spent, limit),
                    _total(each for name, each in under_way.values() if limit.cli in ("", name)),
                )
                budget = _budget(limit, gone, coming, expected, next_local_day(now))
                found.append(_awaiting(looked_up, unpriced, budget))
        return tuple(found)

    def left_of_bead(self, tx: Tx, bead: Bead) -> list[Budget]:
        """Each limit of one bead with what is gone of it."""
        own = tx.fact(bead.id, BeadFact.BUDGET.value)
        limits = self.of_bead(own.value if own else None)
        return [_budget(limit, tx.spent_on(bead.id), Spent(), Spent()) for limit in limits]

    def left_of_day(self, tx: Tx, now: datetime) -> list[Budget]:
        """Each limit of the day with what is gone of it."""
        spent = tx.spent_since(local_day_start(now))
        return [
            _budget(limit, _of(spent, limit), Spent(), Spent(), next_local_day(now))
            for limit in self.of_day()
        ]


def checked(amounts: Mapping[str, float]) -> dict[str, float]:
    """Amounts as a person gave them. Raises UsageError."""
    for unit, amount in amounts.items():
        if unit not in set(Unit) or not 0 <= amount <= MOST:
            raise UsageError(f"{amount:g} {unit} is no budget", "give dollars, tokens (200000tokens) or none")
    return dict(amounts)


def _budget(
    limit: Limit, spent: Spent, under_way: Spent, expected: Spent, passes_at: datetime | None = None
) -> Budget:
    usd = limit.unit is Unit.USD
    gone, coming, next_turn = (each.usd if usd else each.tokens for each in (spent, under_way, expected))
    return Budget(limit.scope, limit.unit, limit.amount, gone, coming, next_turn, limit.cli, passes_at)


def _awaiting(looked_up: frozenset[str], unpriced: Iterable[tuple[str, str]], budget: Budget) -> Budget:
    """The budget, with whether the price of something that counts against it is being looked up."""
    counts = (price_key(cli, model) for cli, model in unpriced if budget.cli in ("", cli))
    return dataclasses.replace(
        budget, pricing=budget.unit is Unit.USD and any(key in looked_up for key in counts)
    )


def _of(spent: Mapping[str, Spent], limit: Limit) -> Spent:
    return _total(each for cli, each in spent.items() if limit.cli in ("", cli))


def _total(figures: Iterator[Spent]) -> Spent:
    total = Spent()
    for each in figures:
        total = Spent(total.usd + each.usd, total.tokens + each.tokens)
    return total


def _under_way(tx: Tx, apart_from: UUID) -> Iterator[tuple[UUID, tuple[str, Spent]]]:
    """Other beads whose turn runs, or is about to begin because that was decided, with what it is expected to cost."""
    begins = {IntentKind.SPAWN.value, IntentKind.SEND.value}
    found: dict[UUID, UUID | None] = {
        intent.bead_id: intent.agent_id
        for intent in tx.open_intents()
        if intent.kind in begins and intent.bead_id is not None
    }
    for record in tx.sessions(live=True):
        if (
            record.bead_id is not None
            and record.bead_id not in found
            and _in_turn(tx, record.agent_id, record.id, record.bead_id)
        ):
            found[record.bead_id] = record.agent_id
    for bead_id, agent_id in found.items():
        agent = tx.agent(agent_id) if agent_id else None
        if agent is not None and bead_id != apart_from:
            cli = agent.cli
            yield bead_id, (cli, tx.mean_turn(bead_id, cli))


def _in_turn(tx: Tx, agent_id: UUID, session: str, bead_id: UUID) -> bool:
    turn = tx.fact(agent_id, AgentFact.TURN.value)
    if turn is not None and turn.value.get("state") == "working" and turn.value.get("session") == session:
        return True
    return any(m.sent_at and not m.answered_at and not m.failed for m in tx.messages(bead_id=bead_id))
