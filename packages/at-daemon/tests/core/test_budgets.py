"""Ten agents at the border of a budget: the transaction that lets one turn begin is seen by the next."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from at_agents.attention import settled
from at_agents.decisions import IntentKind, Scope, Unit, derived_id
from at_agents.label import AgentLabel, label
from at_core.config import Config
from at_core.store import Store, Tx, local_day_start, next_local_day
from at_core.types import Agent, Bead, Intent, MessageKind, TokenMetric
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.acts.price import note_failure, note_price, price_from
from at_daemon.admission import Admission
from at_daemon.budgets import Budgets, Limit
from at_daemon.clis import Clis, LiveConfig
from at_daemon.costs import costs_document
from at_daemon.ingest import Intake
from at_daemon.ledger import Change, Ledger
from at_daemon.testing import Desk, FakeClock
from at_daemon.world import Worlds
from at_session.vocabulary import DriverEvent, TurnEnded, TurnOutcome, TurnStarted, Usage, UsageReported

MakeDesk = Callable[[str], Desk]


@pytest.fixture
def desk_with() -> Iterator[MakeDesk]:
    """A desk under a configuration."""
    stores: list[Store] = []

    def make(settings: str) -> Desk:
        config, clock = Config.from_toml(settings), FakeClock()
        stores.append(Store.open(None))
        worlds = Worlds(clock, Admission(lambda: 100), budgets=Budgets(Clis(lambda: config)))
        desk = Desk(Ledger(stores[-1], worlds), clock)
        desk.ledger.on_wakes = desk.wakes.extend
        return desk

    yield make
    for store in stores:
        store.close()


def used(
    desk: Desk, cost: float | None, *, bead: Bead | None = None, tokens: int = 100, cli: str = "demo"
) -> None:
    """A turn of earlier."""

    def add(change: Change) -> None:
        change.tx.add_usage(
            TokenMetric(
                id=uuid4(),
                bead_id=bead.id if bead else None,
                model="m",
                input_tokens=tokens,
                output_tokens=0,
                cost_usd=cost,
                duration_ms=1,
                created_at=change.now,
                cli=cli,
                session=uuid4().hex,
                turn=1,
            )
        )

    desk.do(add)


def told(desk: Desk, bead: Bead, words: str = "do it") -> None:
    """A prompt is queued for the bead."""
    identity = derived_id(bead.id, words)

    def say(change: Change) -> None:
        change.say(bead, identity, MessageKind.PROMPT, words)
        change.touch(bead.id)

    desk.do(say)


def crowd(desk: Desk, size: int) -> list[tuple[Agent, Bead]]:
    """So many agents, each with a bead that was never begun."""
    return [(agent := desk.agent(f"agent-{number}"), desk.bead(agent)) for number in range(size)]


def begun(desk: Desk) -> set[str]:
    """Beads whose process is to be started."""
    return {
        str(intent.bead_id)
        for intent in desk.do(lambda change: change.tx.open_intents())
        if intent.kind == "spawn"
    }


def turn(desk: Desk, agent: Agent, bead: Bead, cost: float) -> None:
    """The process comes up, takes its prompt, and its turn costs so much."""
    session = desk.start(agent, bead)

    def take(change: Change) -> None:
        for intent in change.tx.open_intents():
            if intent.bead_id == bead.id:
                change.tx.finish_intent(intent.key, change.now)
        for message in change.tx.messages(bead_id=bead.id):
            change.tx.mark_message(message.id, sent_at=change.now)
        figures = UsageReported(Usage(100, 0, 0, cost, model="m"), "the stream")
        done = TurnEnded(TurnOutcome.COMPLETED)
        Intake(change, session, agent, change.tx.bead(bead.id)).take([TurnStarted(), figures, done])

    desk.do(take)


@pytest.mark.parametrize(
    ("settings", "fit"),
    [
        ("[budget]\nday_usd = 4.5", 3),
        ("[budget]\nday_usd = 4.0", 3),
        ("[budget]\nday_usd = 3.99", 2),
        ("[budget]\nday_tokens = 400", 3),
        ("[agents.demo]\nbudget_day_usd = 4.0", 3),
        ("[agents.demo]\nbudget_day_tokens = 250", 1),
        ("[agents.codex]\nbudget_day_usd = 0.0", 10),
        ("[budget]\nday_usd = 1.0", 0),
        ("", 10),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_of_ten_at_the_border_only_those_begin_that_fit(
    desk_with: MakeDesk, settings: str, fit: int, at_once: bool
) -> None:
    desk = desk_with(settings)
    used(desk, 1.0)
    beads = [bead for _, bead in crowd(desk, 10)]

    def all_of_them(change: Change) -> None:
        for bead in beads:
            change.say(bead, derived_id(bead.id, "prompt"), MessageKind.PROMPT, "do it")
            change.touch(bead.id)

    if at_once:
        desk.do(all_of_them)
    else:
        for bead in beads:
            told(desk, bead)
    assert len(begun(desk)) == fit
    parked = [bead for bead in beads if desk.do(lambda change, b=bead: change.fact(b.id, BeadFact.PARKED))]  # type: ignore[misc]
    assert len(parked) == 10 - fit
    events = desk.do(lambda change: change.tx.events(types=[EventType.BUDGET_REACHED.value]))
    assert len(events) == 10 - fit


def test_who_waits_for_money_goes_on_when_others_cost_less_than_expected(desk_with: MakeDesk) -> None:
    desk = desk_with("[budget]\nday_usd = 3.0")
    used(desk, 1.0)
    people = crowd(desk, 4)
    for _, bead in people:
        told(desk, bead)
    assert len(begun(desk)) == 2
    turn(desk, *people[0], cost=0.1)
    # 1.1 are spent, and a turn is expected to cost 0.55 now: three more fit.
    assert begun(desk) == {str(bead.id) for _, bead in people[1:]}


@pytest.mark.parametrize("cost", [0.3, 1.0, 1.7])
def test_the_overshoot_is_at_most_what_the_turns_cost_more_than_expected(
    desk_with: MakeDesk, cost: float
) -> None:
    desk = desk_with("[budget]\nday_usd = 10.0")
    used(desk, 1.0)
    waiting = {str(bead.id): (agent, bead) for agent, bead in crowd(desk, 20)}
    for _, bead in waiting.values():
        told(desk, bead)
    turns = 0
    while running := sorted(begun(desk)):
        turn(desk, *waiting[running[0]], cost=cost)
        turns += 1
    spent = desk.do(lambda change: change.tx.spent_since(local_day_start(change.now)))["demo"].usd
    assert spent <= 10.0 + max(0.0, cost - 1.0) * 9, "nine turns of 1.0 were expected to fit beside the first"
    assert turns >= 9 if cost <= 1.0 else turns == 9
    assert turns == 20 or 10.0 - spent < max(cost, 1.0)


def test_a_bead_stops_at_its_own_budget_and_goes_on_with_a_higher_one(desk_with: MakeDesk) -> None:
    desk = desk_with("[budget]\nbead_usd = 1.5")
    (agent, bead), (_, other) = crowd(desk, 2)
    used(desk, 1.0, bead=bead)
    told(desk, bead)
    told(desk, other)
    assert begun(desk) == {str(other.id)}
    world = desk.do(lambda change: desk.ledger.worlds.of(change.tx, bead))
    assert label(world).label is AgentLabel.BUDGET
    assert settled(world).exit_code == 3

    def raise_it(change: Change) -> None:
        change.put(bead.id, BeadFact.BUDGET, {"usd": 2.0}, "person")
        change.touch(bead.id)

    desk.do(raise_it)
    assert begun(desk) == {str(other.id), str(bead.id)}
    assert desk.do(lambda change: change.fact(bead.id, BeadFact.PARKED)) is None


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        (None, [(Unit.USD, 1.5), (Unit.TOKENS, 1000)]),
        ({"usd": 9.0}, [(Unit.USD, 9.0), (Unit.TOKENS, 1000)]),
        ({"tokens": 5}, [(Unit.USD, 1.5), (Unit.TOKENS, 5)]),
        ({}, []),
    ],
)
def test_a_bead_s_own_budget_replaces_the_configured_one(
    own: dict[str, float] | None, limits: list[tuple[Unit, float]]
) -> None:
    config = Config.from_toml("[budget]\nbead_usd = 1.5\nbead_tokens = 1000")
    found = Budgets(Clis(lambda: config)).of_bead(own)
    assert found == [Limit(Scope.BEAD, unit, amount) for unit, amount in limits]


def test_a_day_s_budget_wakes_at_midnight_and_begins_anew(desk_with: MakeDesk) -> None:
    desk = desk_with("[budget]\nday_usd = 1.5")
    used(desk, 1.0)
    bead = crowd(desk, 1)[0][1]
    told(desk, bead)
    assert begun(desk) == set()
    midnight = next_local_day(desk.clock.now())
    assert set(desk.wakes) == {midnight}
    desk.clock.pass_time((midnight - desk.clock.now()).total_seconds())
    desk.do(lambda change: change.touch_waiting())
    assert begun(desk) == {str(bead.id)}


@pytest.fixture
def machine_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the machine's own time zone."""

    def go(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield go
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("UTC", "2026-06-01", 24),
        ("America/Havana", "2026-11-01", 25),
        # Midnight is skipped.
        ("Africa/Cairo", "2026-04-24", 23),
        ("America/Santiago", "2026-09-06", 23),
        ("America/Sao_Paulo", "2018-11-04", 23),
    ],
)
def test_costs_by_day_and_budgets_of_a_day_get_past_a_clock_that_is_changed(
    desk_with: MakeDesk, machine_in: Callable[[str], None], zone: str, day: str, hours: int
) -> None:
    machine_in(zone)
    desk = desk_with("[budget]\nday_usd = 1000.0")
    noon = datetime.combine(date.fromisoformat(day), time_of_day(12)).astimezone(UTC)
    desk.clock.pass_time((noon - timedelta(hours=50) - desk.clock.now()).total_seconds())
    for _ in range(100):
        used(desk, 1.0)
        desk.clock.pass_time(3600.0)

    def look(change: Change) -> dict[str, Any]:
        return costs_document(change.tx, desk.ledger.worlds.budgets, "day", None, change.now)

    costs = desk.do(look)
    dollars = [row["cost_usd"] for row in costs["rows"]]
    assert sum(dollars) == 100.0
    assert dollars[2] == hours
    assert [row["key"] for row in costs["rows"]] == [
        str(date.fromisoformat(day) + timedelta(days=number)) for number in (-2, -1, 0, 1, 2)
    ]
    (left,) = costs["budgets"]
    assert desk.clock.now() < datetime.fromisoformat(left["passes_at"])


class CountingTx:
    """A transaction that counts what it is asked for."""

    def __init__(self, tx: Tx) -> None:
        self.asked: list[str] = []
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._tx, name)


@pytest.mark.parametrize(
    ("settings", "sums"), [("", 0), ("[budget]\nbead_usd = 1.0", 1), ("[budget]\nday_usd = 1.0", 1)]
)
def test_nothing_is_summed_where_nothing_is_limited(desk_with: MakeDesk, settings: str, sums: int) -> None:
    desk = desk_with(settings)
    agent, bead = crowd(desk, 1)[0]
    told(desk, bead)

    def look(change: Change) -> list[str]:
        counting: Any = CountingTx(change.tx)
        facts = {name: fact.value for name, fact in change.tx.facts(bead.id).items()}
        desk.ledger.worlds.budgets.before_turn(counting, bead, agent, facts, change.now)
        return [name for name in counting.asked if name.startswith(("spent", "mean", "usage"))]

    asked = desk.do(look)
    assert (len([name for name in asked if name.startswith("spent")])) == sums
    assert bool(asked) is bool(sums)


def test_a_running_turn_is_never_cut_short(desk_with: MakeDesk) -> None:
    desk = desk_with("[budget]\nbead_usd = 0.5")
    agent, bead = crowd(desk, 1)[0]
    session = desk.start(agent, bead)
    figures = UsageReported(Usage(100, 0, 0, 9.0, model="m"), "the stream")

    def take(change: Change) -> None:
        Intake(change, session, agent, change.tx.bead(bead.id)).take([TurnStarted(), figures])

    desk.do(take)
    told(desk, bead, "and this")
    assert desk.do(lambda change: change.tx.open_intents()) == []
    assert desk.do(lambda change: change.fact(bead.id, BeadFact.PARKED)) is None
    assert desk.do(lambda change: change.fact(agent.id, AgentFact.TURN))["state"] == "working"


BIG = Usage(10_000_000, 0, 125_000, model="openai/gpt-5")
PRICE = [1.25, 0.125, 10.0, None]
"""By which `BIG` is worth $13.75."""


def first_use(desk: Desk, *, figures_of_another: bool = False) -> tuple[Agent, Bead]:
    """A turn with a model that was never used before ends while a nudge waits."""
    (agent, bead), (other, its_bead) = crowd(desk, 2)
    session, further = desk.start(agent, bead), desk.start(other, its_bead)
    desk.do(lambda change: Intake(change, session, agent, bead).take([TurnStarted()]))
    told(desk, bead, "and this")
    figures = UsageReported(BIG, "the stream")
    if figures_of_another:
        desk.do(lambda change: Intake(change, further, other, its_bead).take([TurnStarted(), figures]))
    ended: list[DriverEvent] = [] if figures_of_another else [figures]
    ended.append(TurnEnded(TurnOutcome.COMPLETED))
    desk.do(lambda change: Intake(change, session, agent, change.tx.bead(bead.id)).take(ended))
    return agent, bead


def acts(desk: Desk) -> list[str]:
    return [intent.kind for intent in desk.do(lambda change: change.tx.open_intents())]


def close_look_up(desk: Desk, note: Callable[[Change, Intent], None]) -> None:
    (intent,) = (
        each for each in desk.do(lambda change: change.tx.open_intents()) if each.kind == IntentKind.PRICE
    )

    def close(change: Change) -> None:
        change.tx.finish_intent(intent.key, change.now)
        note(change, intent)

    desk.do(close)


def priced(change: Change, intent: Intent) -> None:
    note_price(change, price_from("openai/gpt-5", PRICE, change.now))


def unanswered(change: Change, intent: Intent) -> None:
    note_failure(change, intent, "openai/gpt-5", "no answer")


@pytest.mark.parametrize("setting", ["budget.bead_usd", "budget.day_usd", "agents.demo.budget_day_usd"])
def test_after_the_first_use_of_a_model_the_next_turn_waits_for_its_price(
    desk_with: MakeDesk, setting: str
) -> None:
    desk = desk_with(f"{setting} = 1.0")
    _, bead = first_use(desk)
    assert acts(desk) == ["price"]
    assert desk.do(lambda change: change.fact(bead.id, BeadFact.PARKED)) is None
    close_look_up(desk, priced)
    assert acts(desk) == []
    parked = desk.do(lambda change: change.fact(bead.id, BeadFact.PARKED))
    assert "$13.75 spent" in parked["reason"]


@pytest.mark.parametrize(
    ("settings", "note"),
    [("budget.bead_usd = 1.0", unanswered), ("budget.day_usd = 100.0", priced)],
    ids=["failed", "cheap"],
)
def test_it_goes_on_after_a_price_that_fits_and_after_a_look_up_that_failed(
    desk_with: MakeDesk, settings: str, note: Callable[[Change, Intent], None]
) -> None:
    desk = desk_with(settings)
    first_use(desk)
    assert acts(desk) == ["price"]
    close_look_up(desk, note)
    assert acts(desk) == ["send"]


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "budget.bead_tokens = 1000000000",
        "budget.day_tokens = 1000000000",
        "agents.codex.budget_day_usd = 1.0",
    ],
)
def test_without_a_limit_of_dollars_no_turn_waits_for_a_price(desk_with: MakeDesk, settings: str) -> None:
    desk = desk_with(settings)
    first_use(desk)
    assert acts(desk) == ["price", "send"]


@pytest.mark.parametrize(
    ("setting", "waits"),
    [("budget.bead_usd", False), ("budget.day_usd", True), ("agents.demo.budget_day_usd", True)],
)
def test_a_price_is_waited_for_where_the_figures_count(
    desk_with: MakeDesk, setting: str, waits: bool
) -> None:
    desk = desk_with(f"{setting} = 1.0")
    first_use(desk, figures_of_another=True)
    assert acts(desk) == (["price"] if waits else ["price", "send"])
    close_look_up(desk, priced)
    assert acts(desk) == ([] if waits else ["send"])


def test_a_changed_file_counts_at_once_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    live = LiveConfig(path, Config())
    assert live().budget.day_usd is None
    path.write_text("[budget]\nday_usd = 2.0\n")
    assert live().budget.day_usd == 2.0
    path.write_text("[budget]\nday_usd = 'much'\n")
    assert live().budget.day_usd == 2.0
    path.write_text("[budget]\nday_usd = 3.0 # more\n")
    assert live().budget.day_usd == 3.0
    assert dataclasses.is_dataclass(live())
