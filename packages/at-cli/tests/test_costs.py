"""Budgets as they are typed, costs as they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from at_cli.style import Look
from at_cli.testing import ANSWERS, BEAD_ID, DOCUMENT, SPENT, At, FakeDaemon
from at_cli.views.bead import bead_lines, usage_words
from at_cli.views.costs import cost_lines, dollars, tokens


@pytest.mark.parametrize(
    ("typed", "budget"),
    [
        (["2.50"], {"usd": 2.5}),
        (["$3"], {"usd": 3.0}),
        ([".5"], {"usd": 0.5}),
        (["200000tokens"], {"tokens": 200_000}),
        (["200k tokens"], {"tokens": 200_000}),
        (["1Mtoken"], {"tokens": 1_000_000}),
        (["200_000tokens", "1,000"], {"tokens": 200_000, "usd": 1000.0}),
        (["1,234,567.25"], {"usd": 1_234_567.25}),
        (["$12,000"], {"usd": 12_000.0}),
        (["200,000tokens"], {"tokens": 200_000}),
        (["none"], {}),
        (["2", "none"], {}),
    ],
)
def test_a_budget_is_dollars_or_tokens(
    at: At, daemon: FakeDaemon, typed: list[str], budget: dict[str, float]
) -> None:
    assert at("budget", "3f2a", *typed).code == 0
    assert daemon.last("budget").body == {"budget": budget}
    options = [part for each in typed for part in ("--budget", each)]
    assert at("run", "do it", *options).code == 0
    assert (daemon.last("run").body or {})["order"]["budget"] == budget
    assert at("add", "later", *options).code == 0
    assert (daemon.last("add").body or {})["budget"] == budget


@pytest.mark.parametrize(
    "typed",
    [
        *("much", "-1", "2 dollars", "1e9", "nan", "tokens", ""),
        # A comma that is no mark of thousands may be meant as the decimal point.
        *(
            "2,50",
            "2,5",
            "$2,50",
            ",50",
            "1,0000",
            "1000,000",
            "1,00,000",
            "1.234,50",
            "2,",
            "20,00tokens",
            "2_50",
        ),
    ],
)
def test_what_is_no_budget_is_refused_with_the_forms_there_are(
    at: At, daemon: FakeDaemon, typed: str
) -> None:
    outcome = at("run", "do it", "--budget", typed)
    assert outcome.code == 2
    assert "200000tokens" in outcome.err
    assert "a comma only for thousands" in outcome.err
    assert daemon.seen == []


def test_without_a_budget_none_is_sent(at: At, daemon: FakeDaemon) -> None:
    at("run", "do it")
    assert (daemon.last("run").body or {})["order"].get("budget") is None


@pytest.mark.parametrize(
    ("cost", "estimated", "words"),
    [
        (None, False, "-"),
        (0.0, False, "$0.00"),
        (0.0042, False, "$0.0042"),
        (0.42, True, "~$0.42"),
        (1234.5, False, "$1,234.50"),
    ],
)
def test_dollars(cost: float | None, estimated: bool, words: str) -> None:
    assert dollars(cost, estimated) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10_000, "10.0k"),
        (999_949, "999.9k"),
        (999_950, "1.00M"),
        (4_560_000, "4.56M"),
    ],
)
def test_tokens(number: int, words: str) -> None:
    assert tokens(number) == words


def document(**changes: Any) -> dict[str, Any]:
    return {**ANSWERS["costs"], **changes}


def test_the_page_has_a_table_landed_beads_budgets_and_what_is_untold() -> None:
    lines = cost_lines(document(), Look(width=100))
    assert lines[0].split() == ["cost", "turns", "in", "cached", "out", "requests", "bead"]
    assert lines[1].split()[:6] == ["~$1.23", "3", "1.23M", "45.6k", "950", "-"]
    assert lines[1].endswith(f"{BEAD_ID[:8]} Fix the flaky test")
    assert lines[2].endswith("total")
    assert lines[3] == "landed: 1 bead, $1.20 each, ~$1.23 each with all that was spent"
    assert lines[4].startswith("budget: $8.77 of $10.00 left, anew at ")
    assert lines[5:] == ["~ estimated from a price list", "claude does not report: requests"]


@pytest.mark.parametrize(
    ("landed", "words"),
    [
        ({"beads": 4, "priced": 4, "usd_per_bead": 0.3}, "4 beads, $0.30 each, "),
        ({"beads": 4, "priced": 1, "usd_per_bead": 1.2}, "4 beads, $1.20 each, 3 of 4 have no price, "),
        (
            {"beads": 4, "priced": 3, "partly_priced": 1, "usd_per_bead": 1.2},
            "4 beads, $1.20+ each, 1 of 4 has no price, ",
        ),
        ({"beads": 2, "priced": 0, "usd_per_bead": None}, "2 beads, 2 of 2 have no price, "),
    ],
)
def test_landed_beads_without_a_price_are_counted_apart(landed: dict[str, Any], words: str) -> None:
    every = {**ANSWERS["costs"]["landed"], **landed}
    lines = cost_lines(document(landed=every), Look(width=100))
    assert f"landed: {words}~$1.23 each with all that was spent" in lines


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("usd", "+ no price is known for 500 tokens, which count for nothing in budgets of dollars"),
        ("tokens", "+ no price is known for 500 tokens"),
    ],
)
def test_a_sum_that_lacks_a_part_is_marked(unit: str, words: str) -> None:
    partial = {**SPENT, "unpriced_tokens": 500}
    rows = [{"key": BEAD_ID, "name": "partly", **partial}, {"key": BEAD_ID, "name": "whole", **SPENT}]
    budgets = [{**ANSWERS["costs"]["budgets"][0], "unit": unit}]
    lines = cost_lines(document(rows=rows, total=partial, budgets=budgets), Look(width=100))
    assert [line.split()[0] for line in lines[1:4]] == ["~$1.23+", "~$1.23", "~$1.23+"]
    assert "~$1.23+ each with all that was spent" in lines[4]
    assert words in lines


@pytest.mark.parametrize("width", [30, 44, 52, 62, 72, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    rows = [{"key": BEAD_ID, "name": "x" * 200, **SPENT}]
    lines = cost_lines(document(rows=rows, landed={"beads": 0}), Look(width=width))
    assert all(len(line) <= max(width, 45) for line in lines), lines


@pytest.mark.parametrize(
    ("since", "words"), [(None, "Nothing was spent."), ("2026-11-01T00:00:00Z", "Nothing was spent since ")]
)
def test_nothing_spent_is_one_plain_line(since: str | None, words: str) -> None:
    lines = cost_lines(document(rows=[], since=since, budgets=[]), Look())
    assert len(lines) == 1
    assert lines[0].startswith(words)


def test_a_long_list_is_cut_and_says_so() -> None:
    rows = [{"key": BEAD_ID, "name": f"bead {number}", **SPENT} for number in range(50)]
    lines = cost_lines(document(rows=rows), Look(width=100))
    assert "and 10 more: at costs --json" in lines


def test_show_marks_an_estimate_and_a_partial_sum() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.5, "cost_estimated": True}
    assert usage_words(usage, 1, Look()).endswith("~$0.50")
    assert usage_words({**usage, "cost_estimated": False}, 1, Look()).endswith(" $0.50")
    assert usage_words({**usage, "unpriced_tokens": 3}, 1, Look()).endswith(
        " ~$0.50+ (3 tokens have no price)"
    )
    assert usage_words({**usage, "cost_usd": None, "unpriced_tokens": 15}, 1, Look()).endswith(
        "cost not reported"
    )
    assert usage_words({**usage, "cost_usd": None}, 1, Look()).endswith("cost not reported")


def test_show_says_what_is_left_and_how_a_parked_bead_goes_on() -> None:
    hint = f"at budget {BEAD_ID[:8]} AMOUNT"
    wants = [{"kind": "budget", "reason": "its budget of $2.50 is reached", "reset_at": None, "hint": hint}]
    budgets = [{"scope": "bead", "unit": "tokens", "limit": 2000, "left": 500}]
    shown = {**DOCUMENT, "attention": wants, "budgets": budgets}
    lines = bead_lines(shown, Look())
    assert f"  {'budget':<10}500 tokens of 2,000 tokens left" in lines
    assert lines[-1] == f"  {'next':<10}{hint}"
