"""What was spent by whom, what a turn costs, and what an estimate does to figures without a cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from at_core.store import LandedTotals, Spent, Store, UsageBy, UsageTotals
from at_core.types import Bead, BeadStatus, Fact, Price, TokenMetric
from at_core.vocabulary import BeadFact

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
BEAD, OTHER = UUID(int=1), UUID(int=2)


def add(store: Store, **fields: Any) -> TokenMetric:
    given: dict[str, Any] = {
        "id": uuid4(),
        "bead_id": BEAD,
        "model": "m",
        "input_tokens": 100,
        "output_tokens": 10,
        "duration_ms": 1,
        "created_at": NOW,
        "cli": "codex",
        "session": "s",
        "turn": 1,
    }
    metric = TokenMetric(**given | fields)
    store.write_now(lambda tx: tx.add_usage(metric))
    return metric


def price(**fields: Any) -> Price:
    given: dict[str, Any] = {"model": "openai/m", "source": "list 1", "at": NOW}
    return Price(**given | fields)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (UsageBy.BEAD, {str(BEAD): 220, str(OTHER): 110}),
        (UsageBy.AGENT, {None: 330}),
        (UsageBy.CLI, {"codex": 220, "gemini": 110}),
        (UsageBy.MODEL, {"m": 220, "n": 110}),
    ],
)
def test_sums_are_made_for_what_is_asked(store: Store, by: UsageBy, names: dict[str | None, int]) -> None:
    add(store)
    add(store, turn=2)
    add(store, bead_id=OTHER, cli="gemini", model="n", session="t")
    add(store, created_at=NOW + timedelta(days=1))
    until = NOW + timedelta(days=1)
    found = store.read_now(lambda tx: tx.usage_by(by, NOW, until))
    assert {name: each.input_tokens + each.output_tokens for name, each in found} == names
    total = store.read_now(lambda tx: tx.usage_between(NOW, until))
    assert (total.turns, total.input_tokens) == (3, 300)
    assert store.read_now(lambda tx: tx.first_usage()) == NOW


def done_bead(store: Store, title: str, *, merged: bool = True, done_at: datetime = NOW) -> UUID:
    bead = dataclasses.replace(Bead.new(title), status=BeadStatus.DONE, done_at=done_at)
    store.write_now(lambda tx: tx.add_bead(bead))
    name = BeadFact.MERGED if merged else BeadFact.OVERRIDE
    fact = Fact(subject=bead.id, name=name.value, value={"by": "person"}, source="git", at=NOW)
    store.write_now(lambda tx: tx.put_fact(fact))
    return bead.id


def test_landed_beads_are_those_merged_and_their_cost_is_that_of_those_that_have_one(store: Store) -> None:
    assert store.read_now(lambda tx: tx.landed(NOW)) == LandedTotals()
    dear, partly, silent = (done_bead(store, title) for title in ("dear", "partly", "silent"))
    done_bead(store, "nothing was used")
    earlier = done_bead(store, "earlier", done_at=NOW - timedelta(days=1))
    declared = done_bead(store, "declared done", merged=False)
    for bead in (dear, earlier, declared):
        add(store, bead_id=bead, cost_usd=1.0, created_at=NOW - timedelta(days=9))
    add(store, bead_id=dear, cost_usd=2.0, turn=2, estimated=True)
    add(store, bead_id=partly, cost_usd=0.5)
    add(store, bead_id=partly)
    add(store, bead_id=silent)
    assert store.read_now(lambda tx: tx.landed(NOW)) == LandedTotals(
        beads=4, priced=2, cost_usd=3.5, estimated=True, partly_priced=1
    )


def test_what_used_anything_is_named(store: Store) -> None:
    known = done_bead(store, "title \ud800")
    add(store, bead_id=known, cli="gemini")
    add(store, bead_id=OTHER, cli="")
    add(store)
    ids = [str(known), str(OTHER)]
    assert store.read_now(lambda tx: tx.usage_names(UsageBy.BEAD, ids)) == {str(known): "title \ud800"}
    assert store.read_now(lambda tx: tx.usage_names(UsageBy.AGENT, ids)) == {}
    assert store.read_now(lambda tx: tx.usage_names(UsageBy.CLI, ["codex"])) == {}
    moment = timedelta(microseconds=1)
    assert store.read_now(lambda tx: tx.usage_clis(NOW, NOW + moment)) == ["codex", "gemini"]
    assert store.read_now(lambda tx: tx.usage_clis(NOW + moment, NOW + 2 * moment)) == []


def test_nothing_used_is_nothing(store: Store) -> None:
    assert store.read_now(lambda tx: tx.first_usage()) is None
    assert store.read_now(lambda tx: tx.usage_between(NOW, NOW)) == UsageTotals()
    assert store.read_now(lambda tx: tx.spent_on(BEAD)) == Spent()
    assert store.read_now(lambda tx: tx.spent_since(NOW)) == {}
    assert store.read_now(lambda tx: tx.mean_turn(BEAD, "codex")) == Spent()
    assert store.read_now(lambda tx: tx.last_turn(uuid4(), "s")) == 0


def test_what_is_gone_counts_input_and_output_but_no_cache_reads(store: Store) -> None:
    add(store, cached_tokens=1000, cost_usd=0.5)
    add(store, turn=2, cost_usd=None)
    add(store, bead_id=OTHER, cli="claude", cost_usd=2.0, created_at=NOW - timedelta(seconds=1))
    assert store.read_now(lambda tx: tx.spent_on(BEAD)) == Spent(0.5, 220)
    assert store.read_now(lambda tx: tx.spent_since(NOW)) == {"codex": Spent(0.5, 220)}


def test_what_has_no_cost_is_named_by_cli_and_model(store: Store) -> None:
    add(store, cost_usd=0.5)
    add(store, model="n")
    add(store, model="n", turn=2)
    add(store, bead_id=OTHER, cli="claude")
    add(store, bead_id=OTHER, model="o", created_at=NOW - timedelta(seconds=1))
    assert store.read_now(lambda tx: tx.unpriced_on(BEAD)) == [("codex", "n")]
    found = store.read_now(lambda tx: tx.unpriced_since(NOW))
    assert sorted(found) == [("claude", "m"), ("codex", "n")]


def own_turns(store: Store) -> None:
    add(store, cost_usd=1.0)
    add(store, cost_usd=1.0, model="n")
    add(store, turn=2, cost_usd=4.0)


def one_of_its_own_without_a_cost(store: Store) -> None:
    add(store, input_tokens=0)
    add(store, bead_id=OTHER, session="t", cost_usd=7.0)


def others_of_its_cli(store: Store) -> None:
    add(store, bead_id=OTHER, session="t", cost_usd=2.0)
    add(store, bead_id=OTHER, cli="gemini", session="u", cost_usd=90.0)


def only_other_clis(store: Store) -> None:
    add(store, bead_id=OTHER, cli="gemini", session="u", cost_usd=9.0)


@pytest.mark.parametrize(
    ("before", "mean"),
    [
        (own_turns, Spent(3.0, 165)),
        (one_of_its_own_without_a_cost, Spent(7.0, 10)),
        (others_of_its_cli, Spent(2.0, 110)),
        (only_other_clis, Spent(9.0, 110)),
    ],
)
def test_a_turn_is_expected_to_cost_what_turns_like_it_did(
    store: Store, before: Callable[[Store], None], mean: Spent
) -> None:
    before(store)
    assert store.read_now(lambda tx: tx.mean_turn(BEAD, "codex")) == mean


def test_the_newest_turns_of_a_cli_are_what_counts(store: Store) -> None:
    for number in range(300):
        cost = 100.0 if number < 200 else 1.0
        add(store, bead_id=OTHER, session="t", turn=number + 1, cost_usd=cost)
    assert store.read_now(lambda tx: tx.mean_turn(BEAD, "codex")).usd == 1.0


def test_a_price_gives_a_cost_to_what_has_none(store: Store) -> None:
    told = add(store, cost_usd=0.5)
    silent = add(store, cached_tokens=1000, source="the stream")
    other = add(store, model="n")
    known = price(input_usd=2.0, cached_usd=0.5, output_usd=8.0)
    store.write_now(lambda tx: tx.put_price(known))
    assert store.write_now(lambda tx: tx.estimate_costs("codex", "m", known)) == 1
    figures = {each.id: each for each in store.read_now(lambda tx: tx.usage())}
    assert figures[told.id] == told
    assert figures[other.id] == other
    estimate = figures[silent.id]
    assert (estimate.cost_usd, estimate.estimated) == (0.00078, True)
    assert estimate.source == "the stream; list 1"
    assert store.read_now(lambda tx: tx.usage_totals(BEAD)).estimated
    assert store.read_now(lambda tx: tx.kpi(NOW, NOW)).cost_estimated


def test_a_model_without_a_price_stays_without_a_cost(store: Store) -> None:
    silent = add(store)
    unknown = price()
    assert store.write_now(lambda tx: tx.estimate_costs("codex", "m", unknown)) == 0
    assert store.read_now(lambda tx: tx.usage()) == [silent]


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"input_usd": 1.0, "output_usd": 2.0}, 3e-6 + 5e-6 + 14e-6),
        ({"input_usd": 1.0, "output_usd": 2.0, "cached_usd": 0.0}, 3e-6 + 14e-6),
        ({"input_usd": 1.0}, None),
        ({}, None),
    ],
)
def test_cache_reads_have_their_own_price_else_that_of_input(
    fields: dict[str, float], cost: float | None
) -> None:
    assert price(**fields).of(3, 5, 7) == (None if cost is None else pytest.approx(cost))


def test_the_newest_price_of_a_model_is_kept(store: Store) -> None:
    for dollars in (1.0, 2.0):
        store.write_now(lambda tx, dollars=dollars: tx.put_price(price(input_usd=dollars)))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.price("openai/m")) == price(input_usd=2.0)
    assert store.read_now(lambda tx: tx.price("openai/n")) is None
