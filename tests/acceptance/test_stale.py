"""`at ls --stale`: what nobody touched for a time, why each is on the list, and what ends it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from acceptance.product import Product


def stale(product: Product, age: str = "0d", *options: str) -> dict[str, dict[str, Any]]:
    """The rows by title."""
    return {row["title"]: row for row in product.json("ls", "--stale", age, *options)["stale"]}


def test_each_kind_says_why_and_what_ends_it(product: Product) -> None:
    product.json("add", "Some day")
    product.json("hook", "On a hook", "nux", "--cli", "demo")
    proved = product.run("write a.txt a", "--title", "Proved")["bead"]["id"]
    failed = product.run("fail no way", "--title", "Failed", code=1)["bead"]["id"]
    stopped = product.start("stream 30", "--title", "Stopped")
    product.wait(stopped, "text.spoken")
    product.json("stop", product.json("show", stopped)["agent"]["name"])
    product.start("stream 30", "--title", "At work")
    rows = stale(product)
    assert {title: row["kind"] for title, row in rows.items()} == {
        "Some day": "backlog",
        "On a hook": "hooked",
        "Proved": "review",
        "Failed": "failed",
        "Stopped": "unknown",
    }
    assert rows["Proved"]["acts"][:2] == [f"at diff {proved[:8]}", f"at land {proved[:8]}"]
    assert rows["Failed"]["acts"] == [f"at retry {failed[:8]}", f"at rm {failed[:8]}"]
    assert "no way" in rows["Failed"]["reason"]
    assert rows["On a hook"]["acts"][0].endswith(" nux")
    for row in rows.values():
        assert row["reason"] and row["since"] and row["seconds"] >= 0
    shown = product.at("ls", "--stale", "0d").stdout
    assert f"at land {proved[:8]}" in shown and "At work" not in shown
    assert [row["since"] for row in rows.values()] == sorted(row["since"] for row in rows.values())
    assert list(stale(product, "0d", "--status", "failed")) == ["Failed"]
    assert len(stale(product, "0d", "-n", "2")) == 2


def test_what_it_names_takes_the_row_off_the_list(product: Product) -> None:
    product.run("write a.txt a", "--title", "Proved")
    row = stale(product)["Proved"]
    _, *words = shlex.split(row["acts"][1])
    product.json(*words)
    product.run_to_rest(row["bead"])
    assert stale(product) == {}


def test_only_what_was_left_for_so_long_is_stale(product: Product) -> None:
    product.json("add", "Just now")
    by_default = product.json("ls", "--stale")
    assert (by_default["stale"], by_default["after_seconds"]) == ([], 3 * 86400)
    assert product.at("ls", "--stale").stdout == "Nothing was left untouched for 3 d.\n"
    product.at("config", "general.stale_days", "0")
    assert list(stale(product, "0h")) == ["Just now"]
    assert product.json("ls", "--stale")["after_seconds"] == 0


def test_what_waits_for_other_work_is_not_the_one_that_was_forgotten(product: Product) -> None:
    first = product.json("add", "First")["bead"]["id"]
    product.json("add", "Second", "--after", first)
    assert list(stale(product)) == ["First"]


def test_work_that_a_person_called_done_keeps_its_folder_and_is_named(product: Product) -> None:
    bead = product.run("write a.txt a", "--title", "By me")["bead"]["id"]
    product.json("done", bead, "--by-me")
    row = stale(product)["By me"]
    assert (row["kind"], row["status"]) == ("folder", "done")
    assert row["path"] == product.json("open", bead)["path"]
    assert row["acts"] == [f"at rm {bead[:8]}"]
    product.json("rm", bead)
    assert stale(product) == {}


@pytest.mark.parametrize("age", ["3", "soon", "1.5d", "99999999d", ""])
def test_an_age_that_is_none_is_refused_with_the_forms(product: Product, age: str) -> None:
    ran = product.at("ls", f"--stale={age}", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "3d" in ran.error["message"]
