"""`at tidy`: what is left over and may go, what that frees, and that no only copy of work is ever among it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from acceptance.product import Product

from at_daemon.failpoints import NAMES_OF_TIDYING

PATIENCE_SECONDS = 30
WHOLE = '[gates]\ncheck = "test -e README.md"\n[worktree]\nsetup = "echo made"\n'


def leftovers(product: Product, *options: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = product.json("tidy", *options)["leftovers"]
    return rows


def kinds(product: Product) -> dict[str, int]:
    """How many of each kind may go."""
    rows = leftovers(product)
    return {kind: sum(row["kind"] == kind for row in rows) for kind in {row["kind"] for row in rows}}


def refs(product: Product, pattern: str) -> list[str]:
    return product.git("for-each-ref", "--format=%(refname)", pattern).splitlines()


def landed(product: Product, title: str = "Landed") -> str:
    """A bead that is merged, and its folder gone."""
    bead = str(product.run(f"write a.txt {title}", "--title", title, "--land")["bead"]["id"])
    product.wait(bead, "folder.removed")
    product.wait(bead, "agent.exited")
    return bead


def test_what_landed_work_left_goes_once_it_is_old_and_its_branch_at_once(product: Product) -> None:
    product.settings(WHOLE)
    bead = landed(product)
    (branch,) = refs(product, "refs/heads/at/")
    attic = refs(product, "refs/at/attic/")
    (row,) = leftovers(product)
    assert (row["kind"], row["ref"], row["repository"]) == ("branch", branch, str(product.repo))
    assert "merged into main" in row["reason"]
    product.at("config", "general.tidy_days", "0")
    document = product.json("tidy")
    assert document["removed"] is False
    assert {row["kind"] for row in document["leftovers"]} == {
        "branch",
        "environment",
        "gate_log",
        "journal",
        "private",
        "setup_log",
    }
    files = [Path(row["path"]) for row in document["leftovers"] if row["path"]]
    assert all(file.exists() for file in files) and refs(product, "refs/heads/at/") == [branch]
    assert document["bytes"] == sum(row["bytes"] for row in document["leftovers"]) > 0
    asked = product.at("tidy")
    assert asked.code == 0 and "at tidy --yes" in asked.stdout and refs(product, "refs/heads/at/")
    done = product.json("tidy", "--yes")
    assert (done["removed"], done["bytes"], done["left"]) == (True, document["bytes"], [])
    assert not any(file.exists() for file in files) and refs(product, "refs/heads/at/") == []
    assert leftovers(product) == []
    assert refs(product, "refs/at/attic/") == attic
    assert product.git("show", "main:a.txt") == "Landed"
    assert product.json("show", bead)["proved"] and "a.txt" in product.at("diff", bead).stdout
    (event,) = [e for e in product.happened() if e["type"] == "leftovers.removal_asked"]
    assert event["actor"] == "person" and event["payload"]["refs"][0]["ref"] == branch
    assert product.at("tidy").stdout == "Nothing is left over.\n"


def test_work_that_is_not_merged_keeps_all_that_it_has(product: Product) -> None:
    product.settings(WHOLE)
    product.at("config", "general.tidy_days", "0")
    document = product.run("write a.txt a", "--title", "Proved")
    proved = document["bead"]
    failed = product.run("fail no", "--title", "Failed", code=1)["bead"]
    overruled = product.run("write c.txt c")["bead"]["id"]
    product.json("done", overruled, "--by-me")
    product.wait(overruled, "agent.exited")
    by_me = ["environment", "gate_log", "journal", "private", "setup_log"]
    end = monotonic() + PATIENCE_SECONDS
    while (
        found := sorted(row["kind"] for row in leftovers(product))
    ) != by_me:  # a holder lingers for readers
        assert monotonic() < end, found
    product.json("tidy", "--yes")
    assert all(Path(gate["log"]).exists() for gate in document["evidence"]["gates"])
    for bead, more in ((proved, "write b.txt b"), (failed, "write d.txt d")):
        verb = "send-back" if bead is proved else "retry"
        product.json(verb, bead["id"], "-m", more)
        product.run_to_rest(bead["id"])
    done = product.json("land", proved["id"])
    assert product.run_to_rest(done["bead"]["id"])["bead"]["status"] == "done"


def test_a_branch_that_is_not_ours_not_merged_or_checked_out_stays(product: Product) -> None:
    product.settings(WHOLE)
    beads = [landed(product, title) for title in ("More on it", "Checked out", "Plain")]
    more, out, plain = (product.json("show", bead)["bead"]["git_branch"] for bead in beads)
    product.git("branch", "at/0123abcd-mine")
    product.git("switch", "-q", more)
    product.write("mine.txt", "mine")
    product.commit("more")
    product.git("switch", "-q", out)
    assert [row["ref"] for row in leftovers(product)] == [f"refs/heads/{plain}"]
    product.json("tidy", "--yes")
    assert refs(product, "refs/heads/at/") == sorted(
        f"refs/heads/{name}" for name in ("at/0123abcd-mine", more, out)
    )


def test_what_was_removed_can_be_had_back_after_it(product: Product) -> None:
    product.settings(WHOLE)
    product.at("config", "general.tidy_days", "0")
    bead = product.run("write a.txt precious", "--title", "Removed")["bead"]
    folder = Path(product.json("open", bead["id"])["path"])
    (folder / "later.txt").write_text("not committed")
    product.json("rm", bead["id"])
    assert {row["kind"] for row in leftovers(product)} >= {"branch", "ref"}
    product.json("tidy", "--yes")
    assert refs(product, "refs/heads/at/") == refs(product, "refs/at/beads/") == []
    product.json("undo", bead["id"])
    assert product.run_to_rest(bead["id"])["proved"]
    assert (folder / "later.txt").read_text() == "not committed"
    before = product.json("show", bead["id"])
    product.json("send-back", bead["id"], "-m", "write b.txt b")
    product.wait(bead["id"], "message.answered", after=before["seq"])
    session = before["agent"]["session_id"]
    assert product.run_to_rest(bead["id"])["agent"]["session_id"] == session
    product.json("land", bead["id"])
    assert product.run_to_rest(bead["id"])["bead"]["status"] == "done"
    assert product.git("show", "main:later.txt") == "not committed"


def test_a_folder_that_nobody_knows_is_kept_in_the_attic_before_it_goes(product: Product) -> None:
    bead = product.run("write a.txt precious")["bead"]["id"]
    folder = Path(product.json("open", bead)["path"])
    lost = folder.with_name("0123456789ab")
    shutil.copytree(folder, lost, symlinks=True)
    (lost / "later.txt").write_text("only here")
    half = folder.with_name(".0123456789ac.removed-1-2")
    half.mkdir()
    stranger = folder.with_name("fedcba987654")
    stranger.mkdir()
    (stranger / "mine.txt").write_text("mine")
    for path in (lost, half, stranger):
        os.utime(path, (0, 0))
    rows = {row["path"]: row for row in leftovers(product)}
    assert set(rows) == {str(lost), str(half)}
    stale = {row["path"]: row for row in product.json("ls", "--stale")["stale"]}
    assert stale[str(lost)]["acts"] == ["at tidy"] and str(stranger) not in stale
    product.json("tidy", "--yes")
    assert not lost.exists() and not half.exists() and (stranger / "mine.txt").read_text() == "mine"
    assert (folder / "a.txt").read_text() == "precious\n"
    (ref,) = refs(product, "refs/at/attic/")
    assert product.git("show", f"{ref}:later.txt") == "only here"
    product.json("attic", "restore", ref, "--to", str(product.repo.parent / "rescued"))
    assert (product.repo.parent / "rescued" / "a.txt").read_text() == "precious\n"


def test_a_folder_that_cannot_be_kept_stays_and_all_else_goes(product: Product) -> None:
    bead = product.run("write a.txt precious")["bead"]["id"]
    folder = Path(product.json("open", bead)["path"])
    barred, lost = (folder.with_name(name) for name in ("0123456789ab", "0123456789ac"))
    for path in (barred, lost):
        shutil.copytree(folder, path, symlinks=True)
        os.utime(path, (0, 0))
    product.git("update-ref", f"refs/at/attic/{barred.name}", "HEAD")  # it bars the name of the entry
    ran = product.at("tidy", "--yes", "--json")
    (left,) = ran.document["left"]
    assert left["path"] == str(barred) and "is in the way of its name" in left["error"]
    assert barred.exists() and not lost.exists()


def test_only_what_was_shown_goes_if_it_still_may(product: Product) -> None:
    product.settings(WHOLE)
    bead = landed(product)
    branch = product.json("show", bead)["bead"]["git_branch"]
    shown = leftovers(product)
    product.git("switch", "-q", branch)
    product.write("mine.txt", "mine")
    mine = product.commit("more")
    product.git("switch", "-q", "main")
    again = product.json("tidy", "--yes")
    assert shown and (again["leftovers"], again["left"]) == ([], [])
    assert product.git("rev-parse", branch) == mine


@pytest.mark.parametrize("place", NAMES_OF_TIDYING)
def test_killed_in_the_middle_it_is_gone_on_with(product: Product, place: str) -> None:
    product.settings(WHOLE)
    product.at("config", "general.tidy_days", "0")
    landed(product)
    proved = product.run("write b.txt precious", "--title", "Proved")["bead"]["id"]
    assert product.at("down").code == 0
    assert product.at("up", AT_FAILPOINT=place).code == 0
    first = product.daemon_pid()
    product.at("tidy", "--yes")
    product.json("tidy", "--yes")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    assert leftovers(product) == []
    product.json("land", proved)
    assert product.run_to_rest(proved)["bead"]["status"] == "done"
    assert product.git("show", "main:b.txt") == "precious"
