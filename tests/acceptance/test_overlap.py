"""Conflicts between works are told while both are still at work, and gone once one of them is out of the way."""

from __future__ import annotations

from acceptance.product import Product

COMMIT = "shell git add -A && git commit -qm work"


def test_two_that_change_the_same_file_are_told_before_either_is_done(product: Product) -> None:
    options = ("--allow", "all", "--no-land")
    one = product.start(f"write same.txt one\n{COMMIT}\nask Shall I go on?", "--title", "One", *options)
    product.wait(one, "ask.opened")
    two = product.start(f"write same.txt two\n{COMMIT}\nask Shall I go on?", "--title", "Two", *options)
    foreseen = next(each for each in product.happenings(0) if each["type"] == "overlap.foreseen")
    # Of two that are looked at together, either may be the first.
    assert {foreseen["bead_id"], foreseen["payload"]["with"]} == {one, two}
    assert foreseen["payload"]["paths"] == ["same.txt"]
    for bead, other, title in ((one, two, "Two"), (two, one, "One")):
        assert product.json("show", bead)["overlaps"] == [
            {"bead": other, "title": title, "target": None, "paths": ["same.txt"]}
        ]
    assert f"conflicts with {one[:8]} (One) in same.txt" in product.at("show", two).stdout
    third = product.run("write else.txt 3", *options)
    assert third["overlaps"] == []
    [ask] = [ask for ask in product.json("approvals")["approvals"] if ask["bead"] == one]
    product.json("answer", ask["id"], "yes")
    product.run_to_rest(one)
    product.json("land", one)
    met = product.wait(two, "overlap.foreseen", after=foreseen["seq"])
    assert (met["payload"]["with"], met["payload"]["paths"]) == ("target", ["same.txt"])
    [left] = product.json("show", two)["overlaps"]
    assert (left["bead"], left["target"]) == (None, "main")
    product.json("rm", two)
    assert product.json("show", third["bead"]["id"])["overlaps"] == []


def test_of_two_that_conflict_one_is_reviewed_at_a_time(product: Product) -> None:
    merge = "git merge -q refs/at/target; printf 'one\\ntwo\\n' > same.txt; git commit -qam Both"
    one = product.start("write same.txt one", "--title", "One")
    two = product.start(f"write same.txt two; end-turn\nshell {merge}", "--title", "Two", "--allow", "all")
    product.wait_for_all([one, two], "bead.proved")
    product.wait(one, "interruption.opened")
    assert [need["title"] for need in product.json("next")["needs"]] == ["One"]
    product.json("land", one)
    product.wait(two, "interruption.opened")
    product.json("land", two)
    assert (product.repo / "same.txt").read_text() == "one\ntwo\n"
    told = product.json("next", "--history")
    assert [(each["title"], each["outcome"]) for each in told["interruptions"]] == [
        ("One", "decided"),
        ("Two", "decided"),
    ]


def test_a_review_that_waited_is_wanted_once_the_other_is_gone(product: Product) -> None:
    one = product.start("write same.txt one", "--title", "One")
    product.wait(one, "interruption.opened")
    two = product.start("write same.txt two", "--title", "Two")
    product.wait(two, "overlap.foreseen")
    assert [need["title"] for need in product.json("next")["needs"]] == ["One"]
    assert f"its review comes after that of {one[:8]} (One)" in product.at("show", two).stdout
    product.json("rm", one)
    product.wait(two, "interruption.opened")
    assert [need["title"] for need in product.json("next")["needs"]] == ["Two"]


def test_a_review_that_comes_back_from_a_removal_is_asked_for_in_its_turn(product: Product) -> None:
    one = product.start("write same.txt one", "--title", "One")
    product.wait(one, "interruption.opened")
    two = product.start("write same.txt two; end-turn\nwrite same.txt three", "--title", "Two")
    product.wait(two, "overlap.foreseen")
    product.json("rm", one)
    asked = product.wait(two, "interruption.opened")
    product.json("send-back", two, "-m", "go on")
    product.wait(two, "interruption.opened", after=asked["seq"])
    product.json("undo", one)
    seen = product.wait(one, "overlap.foreseen", after=asked["seq"])
    assert seen["payload"]["with"] == two
    assert [need["title"] for need in product.json("next")["needs"]] == ["Two"]
    assert f"its review comes after that of {two[:8]} (Two)" in product.at("show", one).stdout
    product.json("rm", two)
    product.wait(one, "interruption.opened", after=seen["seq"])
    assert [need["title"] for need in product.json("next")["needs"]] == ["One"]
