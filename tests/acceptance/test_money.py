"""Costs are what agents reported, and no turn begins beyond a budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from acceptance.product import Product


def spent(product: Product, bead: str) -> tuple[float | None, int, int]:
    usage = product.json("show", bead)["usage"]
    return usage["cost_usd"], usage["input_tokens"], usage["output_tokens"]


def labels(product: Product) -> dict[str, str]:
    return {agent["bead_id"]: agent["label"] for agent in product.json("agents", "--all")["agents"]}


def begun(product: Product, bead: str) -> bool:
    """Whether its turn was begun, once that is decided and the turn, if any, is over."""
    for event in product.happenings(0):
        if event["bead_id"] == bead:
            document = product.json("show", bead)
            if document["settled"] or document["agent"]["label"] == "budget reached":
                return bool(document["settled"])
    raise AssertionError("the events ended before it was decided")


def test_a_bead_stops_before_the_turn_that_would_cross_its_budget_and_goes_on_with_a_higher_one(
    product: Product,
) -> None:
    bead = product.run("write a.txt one; usage 100 10 1.0", "--budget", "2.50")["bead"]["id"]
    product.json("send-back", bead, "-m", "write b.txt two; usage 100 10 1.0")
    assert product.run_to_rest(bead)["proved"]
    product.json("send-back", bead, "-m", "write c.txt three; usage 100 10 1.0")
    parked = product.run_to_rest(bead)
    assert parked["exit_code"] == 3
    assert parked["bead"]["status"] == "slung"
    assert parked["agent"]["label"] == "budget reached"
    assert parked["agent"]["status"] == "pending"
    wants = parked["attention"]
    assert [(each["kind"], each["reset_at"]) for each in wants] == [("budget", None)]
    assert wants[0]["hint"] == f"at budget {bead[:8]} AMOUNT"
    assert "$2.00 spent, $1.00 expected" in wants[0]["reason"]
    assert product.json("status")["attention"] == wants
    assert spent(product, bead) == (2.0, 200, 20)

    gone_on = product.json("budget", bead, "3.00", "--wait", "--timeout", "50")
    assert gone_on["proved"]
    assert spent(product, bead) == (3.0, 300, 30)
    budgets = [(each["limit"], each["spent"], each["left"]) for each in gone_on["budgets"]]
    assert budgets == [(3.0, 3.0, 0.0)]


@pytest.mark.parametrize("unit", ["usd", "tokens"])
def test_agents_that_race_at_the_border_of_a_day_s_budget_do_not_cross_it(
    product: Product, unit: str
) -> None:
    product.run("write first.txt one; usage 100 0 1.0")
    limit = {"usd": 4.5, "tokens": 450}[unit]
    assert product.at("config", f"budget.day_{unit}", str(limit)).code == 0
    prompts = [f"write file-{number}.txt x; usage 100 0 1.0" for number in range(10)]
    with ThreadPoolExecutor(len(prompts)) as at_once:
        beads = list(at_once.map(product.start, prompts))
    assert sum(begun(product, bead) for bead in beads) == 3
    waiting = [bead for bead in beads if labels(product)[bead] == "budget reached"]
    assert len(waiting) == 7
    costs = product.json("costs")
    assert (costs["total"]["cost_usd"], costs["total"]["input_tokens"]) == (4.0, 400)
    assert [(each["scope"], each["unit"], each["left"]) for each in costs["budgets"]] == [
        ("day", unit, {"usd": 0.5, "tokens": 50}[unit])
    ]
    late = product.run("write late.txt x", "--timeout", "2", code=75)
    assert late["attention"][0]["kind"] == "budget"
    assert late["attention"][0]["reset_at"], "a budget of the day begins anew by itself"

    assert product.at("config", f"budget.day_{unit}", "--unset").code == 0
    product.json("nudge", late["agent"]["name"], "-m", "lie")
    assert product.run_to_rest(late["bead"]["id"])["proved"]


def test_costs_are_the_sum_of_what_agents_reported(product: Product) -> None:
    told = [(100, 10, 1.0), (200, 20, 0.25), (300, 30, 0.5)]
    documents = []
    for number, (given, produced, usd) in enumerate(told):
        landing = ["--land"] if number else []
        documents.append(
            product.run(f"write f{number}.txt x; usage {given} {produced} {usd}; usage 1 1 0.01", *landing)
        )
    beads = {document["bead"]["id"] for document in documents}
    totals: dict[str, Any] = {}
    for by in ("bead", "agent", "cli", "model", "day"):
        costs = product.json("costs", "--by", by, "--since", "1d")
        totals[by] = costs["total"]
        assert sum(row["input_tokens"] for row in costs["rows"]) == 603
        assert sum(row["cost_usd"] for row in costs["rows"]) == pytest.approx(1.78)
    assert len({str(total) for total in totals.values()}) == 1
    assert (totals["bead"]["turns"], totals["bead"]["requests"], totals["bead"]["output_tokens"]) == (
        3,
        6,
        63,
    )
    rows = product.json("costs")["rows"]
    assert {row["key"] for row in rows} == beads
    assert [row["cost_usd"] for row in rows] == [1.01, 0.51, 0.26]
    landed = product.json("costs")["landed"]
    assert landed == {
        "beads": 2,
        "priced": 2,
        "partly_priced": 0,
        "cost_usd": 0.77,
        "cost_estimated": False,
        "usd_per_bead": 0.385,
        "usd_per_bead_all_in": 0.89,
    }
    assert product.json("status")["kpi"]["total_cost_today"] == pytest.approx(1.78)
    assert product.json("status")["kpi"]["total_tokens_today"] == 666
    plain = product.at("costs").stdout.splitlines()
    assert plain[0].split() == ["cost", "turns", "in", "cached", "out", "requests", "bead"]
    assert "demo does not report: cost" in plain


def test_a_cost_that_is_not_told_is_estimated_and_marked_everywhere(product: Product) -> None:
    bead = product.run("write a.txt x; usage 1000000 0 openai/gpt-5; usage 1 1 openai/no-such-model")["bead"][
        "id"
    ]
    first = product.wait(bead, "usage.priced")
    product.wait(bead, "usage.priced", after=first["seq"])
    usage = product.json("show", bead)["usage"]
    assert usage["cost_estimated"] is True
    assert 0.1 < usage["cost_usd"] < 100
    assert "(estimate)" in usage["source"]
    assert "no price is known for openai/no-such-model" in usage["source"]
    assert usage["unpriced_tokens"] == 2
    assert "~$" in product.at("show", bead).stdout
    assert "~$" in product.at("status").stdout
    plain = product.at("costs", "--by", "model").stdout
    assert "~ estimated from a price list" in plain
    assert "no price is known for 2 tokens" in plain
    kpi = product.json("status")["kpi"]
    assert (kpi["cost_estimated"], kpi["total_cost_today"]) == (True, usage["cost_usd"])


@pytest.mark.parametrize(
    ("budget", "model", "noted"),
    [
        ("2.50", "openai/no-such-model", ["openai/no-such-model"]),
        ("2.50", "no-provider", ["no-provider"]),
        ("5000tokens", "openai/no-such-model", []),
        ("2.50", "openai/gpt-5", []),
    ],
)
def test_a_budget_of_dollars_says_that_it_does_not_count_a_model_without_a_price(
    product: Product, budget: str, model: str, noted: list[str]
) -> None:
    ran = product.run(f"write a.txt x; usage 1200 34 {model}", "--budget", budget)
    bead = ran["bead"]["id"]
    if "/" in model:
        product.wait(bead, "usage.priced")
    notes = [note for note in product.json("show", bead)["notes"] if "budget of dollars" in note]
    assert notes == [
        "its budget of dollars does not count 1,234 tokens, because no price is known for "
        f"{name}: a limit of tokens would (at budget {bead[:8]} AMOUNTtokens)"
        for name in noted
    ]
    shown = product.at("show", bead).stdout
    assert ("does not count 1,234 tokens" in shown) is bool(noted)


def test_nothing_spent_is_said_in_one_line(product: Product) -> None:
    ran = product.at("costs")
    assert (ran.code, ran.stdout) == (0, "Nothing was spent.\n")
    assert product.json("costs")["rows"] == []


@pytest.mark.parametrize("since", ["yesterday", "0d", "2026-13-01", "-3d", "99999d99"])
def test_a_beginning_that_is_none_is_refused(product: Product, since: str) -> None:
    ran = product.at("costs", f"--since={since}", "--json")
    assert ran.code == 2
    assert "--since" in ran.error["hint"]
