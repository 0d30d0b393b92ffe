"""Work that waits for other work, and lanes that take only so much at once."""

from __future__ import annotations

import pytest
from acceptance.product import Product


def reasons(product: Product, bead: str) -> str:
    """Why the bead stands where it stands."""
    return "; ".join(product.json("show", bead)["reasons"])


def test_a_chain_is_worked_off_in_its_order_and_each_begins_with_what_landed_before(product: Product) -> None:
    first = product.start("write one.txt one", "--title", "First", "--no-land")
    second = product.start(
        "shell cp one.txt two.txt", "--title", "Second", "--allow", "all", "--land", "--after", first
    )
    third = product.start(
        "shell cat one.txt two.txt > three.txt",
        "--allow",
        "all",
        "--land",
        "--after",
        "First",
        "--after",
        second,
    )
    product.run_to_rest(first)
    assert f"it waits for {first[:8]} (First, review) to land" in reasons(product, second)
    labels = {agent["bead_id"]: agent["label"] for agent in product.json("agents")["agents"]}
    assert labels[second] == labels[third] == "queued"
    listed = {bead["id"]: bead for bead in product.json("ls")["beads"]}
    assert listed[third]["waits_for"] == [first, second]
    assert f"waits for {first[:8]}" in product.at("ls").stdout
    product.json("land", first)
    assert product.run_to_rest(third)["bead"]["status"] == "done"
    assert product.git("show", "main:three.txt") == "one\none"


def test_what_it_waits_for_can_be_changed_and_shown(product: Product) -> None:
    first = product.json("add", "First")["bead"]["id"]
    second = product.json("add", "Second", "--after", first)["bead"]["id"]
    third = product.start("write three.txt 3", "--title", "Third", "--after", first)
    assert [each["title"] for each in product.json("after", third)["after"]] == ["First"]
    assert {each["title"] for each in product.json("after", first)["followers"]} == {"Second", "Third"}
    product.json("after", third, second)
    assert [each["title"] for each in product.json("after", third)["after"]] == ["First", "Second"]
    shown = product.at("after", third).stdout
    assert "First" in shown and "Second" in shown
    product.json("after", third, "--remove", first, "--remove", second)
    assert product.run_to_rest(third)["proved"]
    refused = product.at("after", third, second, "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    assert "has begun" in refused.error["message"]


def test_a_circle_is_refused_and_named(product: Product) -> None:
    first = product.json("add", "First")["bead"]["id"]
    second = product.json("add", "Second", "--after", first)["bead"]["id"]
    third = product.json("add", "Third", "--after", second)["bead"]["id"]
    refused = product.at("after", first, third, "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    for bead in (first, second, third):
        assert bead[:8] in refused.error["message"]
    assert product.json("after", first)["after"] == []
    itself = product.at("after", first, first, "--json")
    assert (itself.code, "itself" in itself.error["message"]) == (1, True)


def test_what_would_wait_in_a_circle_is_not_brought_back_until_the_circle_is_gone(product: Product) -> None:
    last = product.json("add", "Last")["bead"]["id"]
    between = product.json("add", "Between", "--after", last)["bead"]["id"]
    first = product.json("add", "First", "--after", between)["bead"]["id"]
    product.json("rm", between)
    product.json("after", last, first)
    refused = product.at("undo", "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    for bead in (first, between, last):
        assert bead[:8] in refused.error["message"]
    assert product.at("show", between).code == 4
    product.json(*refused.error["hint"].split()[1:])
    assert product.json("undo")["bead"]["id"] == between
    assert [each["id"] for each in product.json("after", between)["after"]] == [last]


def test_what_was_removed_before_it_landed_is_a_persons_matter(product: Product) -> None:
    first = product.json("add", "First")["bead"]["id"]
    second = product.start("write two.txt 2", "--title", "Second", "--after", first)
    landed = product.run("write a.txt a", "--land")["bead"]["id"]
    third = product.start("write three.txt 3", "--title", "Third", "--after", landed)
    product.json("rm", landed)
    assert product.run_to_rest(third)["proved"]
    product.json("rm", first)
    document = product.json("show", second)
    assert (document["settled"], document["exit_code"]) == (True, 3)
    [need] = [need for need in product.json("next")["needs"] if need["title"] == "Second"]
    assert "was removed before it landed" in need["reason"]
    act = need["acts"][0].split()
    assert act == ["at", "after", second[:8], "--remove", first[:8]]
    product.json(*act[1:])
    assert product.run_to_rest(second)["proved"]


@pytest.mark.parametrize("removed", [False, True])
def test_what_was_declared_done_without_a_merge_did_not_land(product: Product, removed: bool) -> None:
    first = product.run("write one.txt one", "--title", "First")["bead"]["id"]
    second = product.start("shell test -e one.txt", "--title", "Second", "--after", first)
    product.json("done", first, "--by-me")
    if removed:
        product.json("rm", first)
    document = product.json("show", second)
    assert (document["bead"]["status"], document["settled"], document["exit_code"]) == ("slung", True, 3)
    [need] = [need for need in product.json("next")["needs"] if need["title"] == "Second"]
    assert ("removed before it landed" if removed else "declared done, but is not merged") in need["reason"]
    assert need["acts"][0].split() == ["at", "after", second[:8], "--remove", first[:8]]
    product.json("after", second, "--remove", first)
    product.wait(second, "message.started")


@pytest.mark.parametrize("what", ["rm", "land"])
def test_a_lane_takes_only_so_much_and_the_next_begins_by_priority(product: Product, what: str) -> None:
    product.at("config", "lanes.standard.most", "1")
    first = product.run("write one.txt 1", "--title", "First")["bead"]["id"]
    for title, priority in (("Low", "1"), ("High", "2")):
        product.json("add", title, "-d", f"write {title} x", "-p", priority)
        product.json("sling", title, f"agent-{title}", "--cli", "demo")
    other = product.run("write other.txt 1", "--title", "Other", "-l", "critical")
    assert other["proved"]
    assert "the lane standard is full: 1 of 1" in reasons(product, "High")
    product.json(what, first)
    assert product.run_to_rest(product.json("show", "High")["bead"]["id"])["proved"]
    assert "the lane standard is full" in reasons(product, "Low")
