"""How much of its model's context an agent has left: from the CLI, else from the price list, else not at all."""

from __future__ import annotations

from typing import Any

import pytest
from acceptance.live import live
from acceptance.product import AT, Product


def context_of(product: Product, bead: str) -> dict[str, Any]:
    context: dict[str, Any] = product.json("show", bead)["agent"]["context"]
    return context


def test_what_the_cli_tells_is_shown_everywhere(product: Product) -> None:
    bead = product.run("write a.txt one", "--title", "Know the context")["bead"]["id"]
    context = context_of(product, bead)
    assert context == {
        "used": context["used"],
        "size": 200_000,
        "left_percent": 99,
        "source": "demo agent (context of its last turn)",
    }
    (agent,) = product.json("agents")["agents"]
    assert agent["context"] == context
    assert "99% context left" in product.at("agents").stdout
    assert f"99% left, {context['used']} of 200,000 tokens used" in product.at("show", bead).stdout
    assert "context" in product.at("explain", agent["name"]).stdout
    with live(product, AT, "top") as top:
        shown = top.until("Know the context").splitlines()
        assert "ctx" in shown[1] and any(" 99% " in line and "Know the context" in line for line in shown)
        top.resize(70, 24)
        narrow = top.until(lambda text: "ctx" not in text and "Know the context" in text)
        assert "99%" not in narrow


def test_the_newest_call_counts_and_not_the_sum_of_a_turn(product: Product) -> None:
    model = "anthropic/claude-sonnet-4-5"
    bead = product.run(f"write a.txt one; usage 70000 10 {model}; usage 60000 10 {model}")["bead"]["id"]
    product.wait(bead, "usage.priced")
    context = context_of(product, bead)
    assert context["used"] == 60_000 and context["size"] >= 100_000 and "price list" in context["source"]
    assert context["left_percent"] == 100 * (context["size"] - 60_000) // context["size"]


@pytest.mark.parametrize("model", ["", "nobody/no-model"])
def test_what_nobody_knows_is_blank(product: Product, model: str) -> None:
    bead = product.run(f"write a.txt one; usage 70000 10 {model}")["bead"]["id"]
    if model:
        product.wait(bead, "usage.priced")
    context = context_of(product, bead)
    assert (context["used"], context["size"], context["left_percent"]) == (70_000, None, None)
    assert "context left" not in product.at("agents").stdout
    assert "70,000 tokens used, of how many is not known" in product.at("show", bead).stdout


def test_a_session_that_begins_anew_has_all_of_it(product: Product) -> None:
    bead = product.start("usage 199000 10; fail it is too much")
    assert product.run_to_rest(bead)["bead"]["status"] == "failed"
    assert context_of(product, bead)["used"] == 199_000
    product.json("retry", bead, "--fresh", "-m", "write b.txt two")
    product.run_to_rest(bead)
    assert context_of(product, bead)["used"] < 1000
