"""A person who only does what `at next` says brings the work home."""

from __future__ import annotations

import shlex
from typing import Any

from acceptance.product import Product

MOST_DECISIONS = 30


def obey(product: Product, need: dict[str, Any]) -> None:
    """Decide it as its first act says; what was proved is looked at and let land."""
    act = need["acts"][1 if need["kind"] == "review" else 0]
    program, *words = shlex.split(act)
    assert program == "at", act
    ran = product.at(*["blue" if word == "TEXT" else word for word in words])
    assert ran.code == 0, f"{act}: {ran.stderr}"


def test_whoever_obeys_it_lands_everything_and_is_asked_for_nothing_else(product: Product) -> None:
    first = product.start("shell echo one > one", "--title", "First")
    product.json("add", "Second", "-d", "write two.txt two", "--after", first)
    product.json("sling", "Second", "wren", "--cli", "demo")
    product.start("ask Which colour?; write three.txt three", "--title", "Third")
    product.start("limit 3; write four.txt four", "--title", "Fourth")
    done: list[str] = []
    beads: dict[str, str] = {}
    for _ in range(MOST_DECISIONS):
        beads = {bead["title"]: bead["status"] for bead in product.json("ls")["beads"]}
        if set(beads.values()) == {"done"}:
            break
        need = product.json("next", "--wait")["needs"][0]
        done.append(f"{need['title']}: {need['kind']}")
        obey(product, need)
    assert set(beads.values()) == {"done"}, (beads, done)
    assert sorted(done) == [
        "First: approval",
        "First: review",
        "Fourth: review",
        "Second: review",
        "Third: question",
        "Third: review",
    ]
    assert done.index("First: review") < done.index("Second: review")
    assert product.json("next")["needs"] == []


def test_what_others_wait_for_comes_first(product: Product) -> None:
    lone = product.run("write lone.txt x", "--title", "Lone")
    led = product.run("write led.txt x", "--title", "Leads")
    for title in ("One", "Two"):
        product.json("add", title, "-d", f"write {title} x", "--after", led["bead"]["id"])
        product.json("sling", title, f"agent-{title}", "--cli", "demo")
    needs = product.json("next")["needs"]
    assert [(need["title"], need["kind"], need["blocks"]) for need in needs] == [
        ("Leads", "review", 2),
        ("Lone", "review", 0),
    ]
    assert lone["proved"]
    shown = product.at("next").stdout
    assert "Leads" in shown and f"at land {led['bead']['id'][:8]}" in shown
    assert "(1 more decision: at next --all)" in shown
