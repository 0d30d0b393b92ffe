"""What persons are wanted for is written down once, with how it ended."""

from __future__ import annotations

from typing import Any

from acceptance.product import Product


def noted(product: Product) -> list[tuple[str, str, str | None, str | None]]:
    found: list[dict[str, Any]] = product.json("next", "--history")["interruptions"]
    return [(each["title"], each["kind"], each["outcome"], each["act"]) for each in found]


def told(product: Product, kind: str) -> list[dict[str, Any]]:
    return [each for each in product.json_lines("events") if each["type"] == f"interruption.{kind}"]


def test_each_need_is_written_down_once_with_how_it_ended(product: Product) -> None:
    first = product.start("shell echo one > one", "--title", "First")
    product.wait(first, "interruption.opened")
    assert noted(product) == [("First", "approval", None, None)]
    product.kill_daemon()
    ask = product.json("next")["needs"][0]["ask"]
    assert len(told(product, "opened")) == 1
    product.json("approve", ask)
    product.run_to_rest(first)
    product.json("land", first)
    product.wait(first, "bead.landed")
    second = product.start("write two.txt two; fail no more", "--title", "Second")
    product.run_to_rest(second)
    product.json("rm", second)
    product.wait(second, "bead.removed")
    document = product.json("next", "--history")
    assert noted(product) == [
        ("First", "approval", "decided", "approved"),
        ("First", "review", "decided", "bead.landing_allowed"),
        ("Second", "failed", "decided", "bead.removed"),
    ]
    assert document["counts"] == {"all": 3, "open": 0, "decided": 3, "cleared": 0, "withdrawn": 0}
    assert document["landed"] == {"beads": 1, "interruptions": 2, "per_bead": 2.0}
    assert all(each["seconds"] >= 0 and each["closed_at"] for each in document["interruptions"])
    assert len(told(product, "opened")) == len(told(product, "closed")) == 3


def test_what_passes_without_a_decision_is_named_and_what_i_did_myself_is_no_interruption(
    product: Product,
) -> None:
    asked = product.start("shell echo one > one", "--title", "Asked")
    product.wait(asked, "interruption.opened")
    stopped = product.start("stream 60; write two.txt two", "--title", "Stopped")
    product.wait(stopped, "message.started")
    agent = product.json("show", stopped)["agent"]["name"]
    product.json("stop", agent)
    assert [need["kind"] for need in product.json("next")["needs"]] == ["approval", "unknown"]
    assert noted(product) == [("Asked", "approval", None, None)]
    product.json("stop", product.json("show", asked)["agent"]["name"])
    product.wait(asked, "interruption.closed")
    assert noted(product) == [("Asked", "approval", "decided", "agent.stopped")]
    shown = product.at("next", "--history").stdout
    assert "Asked" in shown and "asks for approval" in shown
