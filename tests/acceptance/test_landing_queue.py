"""Many works land together: few gate runs, the bad ones come back, nobody's change is lost."""

from __future__ import annotations

from math import ceil, log2

import pytest
from acceptance.product import Product

WORKS, BATCH = 20, 16
BAD = (3, 11, 17)
MARKER = "strict"
GATE = f"echo run >> $HOME/runs; test ! -e {MARKER} || ! ls bad-* 2>/dev/null"


def begin(product: Product, number: int) -> str:
    """A bead whose work is good, or bad as soon as the target is strict."""
    name = f"bad-{number}" if number in BAD else f"good-{number}"
    return product.start(f"write {name} {number}", "--title", f"Work {number}", "--no-land")


def runs(product: Product) -> int:
    """How often a gate ran."""
    return len((product.home.parent / "person" / "runs").read_text().splitlines())


@pytest.mark.timeout(240)
def test_of_twenty_the_good_land_together_and_the_bad_come_back(product: Product) -> None:
    product.settings(f"[gates]\ncheck = '{GATE}'\n")
    beads = [begin(product, number) for number in range(WORKS)]
    product.wait_for_all(beads, "bead.proved")
    assert runs(product) == WORKS
    product.write(MARKER, "from now on")
    product.commit("Be strict")
    landings = product.json("land", *beads, code=1)["landings"]
    assert [each["exit_code"] for each in landings] == [int(number in BAD) for number in range(WORKS)]
    good = [bead for number, bead in enumerate(beads) if number not in BAD]
    for number in BAD:
        sent_back = product.wait(beads[number], "bead.sent_back")
        assert "failed on its merge onto main" in sent_back["payload"]["reason"]
        assert product.run_to_rest(beads[number])["bead"]["status"] == "review"
    again = len(BAD)  # what came back is handed in once more, and its own tree is checked
    assert runs(product) - WORKS - again <= ceil(WORKS / BATCH) + len(BAD) * (1 + ceil(log2(BATCH)))
    files = product.git("ls-tree", "--name-only", "main")
    assert (files.count("good-"), files.count("bad-")) == (len(good), 0)
    merges = product.git("log", "--first-parent", "--format=%(trailers:key=Bead,valueonly)", "main").split()
    assert sorted(merges) == sorted(good)
    assert product.git("status", "--porcelain") == ""


def test_a_file_in_the_way_of_one_holds_up_no_other(product: Product) -> None:
    beads = [
        product.start(f"write {name} {name}", "--title", name, "--no-land")
        for name in ("one", "two", "three")
    ]
    for bead in beads:
        assert product.run_to_rest(bead)["proved"]
    product.write("two", "mine, not committed")
    product.json("land", *beads, code=3)
    assert [product.run_to_rest(beads[each])["bead"]["status"] for each in (0, 2)] == ["done", "done"]
    waiting = product.run_to_rest(beads[1])
    assert waiting["attention"][0]["kind"] == "checkout" and "two" in waiting["attention"][0]["reason"]
    assert (product.repo / "two").read_text() == "mine, not committed"
    (product.repo / "two").unlink()
    product.json("land", beads[1])
    assert product.run_to_rest(beads[1])["bead"]["status"] == "done"


def test_a_lock_in_the_checkout_keeps_all_waiting_as_one_thing_for_the_person(product: Product) -> None:
    beads = [product.start(f"write {name} {name}", "--title", name, "--no-land") for name in ("one", "two")]
    product.wait_for_all(beads, "bead.proved")
    (product.repo / ".git/index.lock").write_text("")
    product.json("land", *beads, "--timeout", "8", code=3)
    needs = product.json("next")["needs"]
    assert [(need["kind"], need["title"]) for need in needs] == [("checkout", "one")]
    assert "waits: another git process" in product.json("show", beads[1])["landing"]["place"]
    (product.repo / ".git/index.lock").unlink()
    landings = product.json("land", *beads)["landings"]
    assert [each["result"] for each in landings] == ["landed", "landed"]


def test_work_that_fails_behind_other_work_is_given_the_target_with_it(product: Product) -> None:
    product.settings("[gates]\ncheck = 'test ! -e one || test ! -e two'\n")
    beads = [product.start(f"write {name} {name}", "--title", name, "--no-land") for name in ("one", "two")]
    product.wait_for_all(beads, "bead.proved")
    folder = product.json("open", beads[1])["path"]
    landings = product.json("land", *beads, code=1)["landings"]
    assert landings[0]["result"] == "landed"
    product.wait(beads[1], "bead.sent_back")
    landed = product.git("rev-parse", "main")
    given = product.git("-C", folder, "rev-parse", "refs/at/target")
    assert given == landed
