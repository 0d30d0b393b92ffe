"""Folders that are ready before a bead wants one: used once, by one bead, as if they had been made for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from acceptance.product import Product

from at_daemon.failpoints import NAMES_OF_WARMTH

PATIENCE_SECONDS = 30
SETUP = 'setup = "echo set up > made"\n'


@pytest.fixture(name="shop")
def made_shop(product: Product) -> Product:
    """A repository that wants two warm folders, and has them."""
    product.write(".gitignore", "made\n")
    wants(product, 2)
    warmed(product, 2)
    return product


def wants(product: Product, number: int, *, trust: bool = True, more: str = "") -> None:
    """Say how many there are to be."""
    product.settings(f"[worktree]\n{SETUP}warm = {number}\n{more}", trust=trust)


def warmed(product: Product, times: int, after: int = 0) -> int:
    """Wait until so many more are ready at the target's tip; the number of the last event."""
    tip = product.git("rev-parse", "main")
    for event in product.happenings(after):
        if event["type"] == "folder.warmed" and event["payload"]["base_sha"] == tip:
            times -= 1
        if not times:
            return int(event["seq"])
    raise AssertionError("the events ended")


def pool(product: Product) -> list[str]:
    """What is there, half made folders and removed ones too."""
    return sorted(path.name for path in (product.home / "warm").iterdir())


def ready(product: Product) -> list[str]:
    """Those that a bead can be given."""
    return [name for name in pool(product) if not name.startswith(".")]


def folder_of(product: Product, bead: str) -> Path:
    return Path(product.json("open", bead)["path"])


def prepared(product: Product, bead: str) -> dict[str, Any]:
    """What the event says."""
    payload: dict[str, Any] = product.wait(bead, "folder.prepared")["payload"]
    return payload


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its mode and content, but the index, which has times in it."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "index"
    }


def test_a_bead_is_given_one_and_another_is_made_in_its_place(shop: Product) -> None:
    seq = shop.happened()[-1]["seq"]
    number = {path.stat().st_ino for path in (shop.home / "warm").iterdir()}
    document = shop.run("write a.txt a", "--land")
    bead = document["bead"]["id"]
    told = prepared(shop, bead)
    assert told["warm"] is True and told["base_sha"] in shop.git("rev-list", "main")
    assert document["set_up"]["commands"][0]["ok"] is True
    landed = warmed(shop, 2, seq)  # at what was landed
    assert landed > seq and len(pool(shop)) == 2
    assert shop.git("show", "main:a.txt") == "a"
    assert len(number & {path.stat().st_ino for path in (shop.home / "warm").iterdir()}) == 1


def test_what_a_bead_gets_is_what_it_gets_without_one(product: Product) -> None:
    product.settings("[worktree]\nwarm = 1\n", trust=False)
    beads = [product.start("hang", "--title", "Same")]
    assert product.at("trust", "--yes").code == 0
    warmed(product, 1)
    beads.append(product.start("hang", "--title", "Same"))
    told = [prepared(product, bead) for bead in beads]
    assert [each["warm"] for each in told] == [False, True]
    for bead in beads:
        product.wait(bead, "message.sent")
    for each in told:
        each["files"] = {
            name: (mode, content.replace(each["branch"].encode(), b"BRANCH"))
            for name, (mode, content) in files(Path(each["path"])).items()
        }
        each["status"] = product.git("-C", each["path"], "status", "--porcelain", "--ignored")
        each["index"] = product.git("-C", each["path"], "ls-files", "--stage", "-v")
    for name in ("files", "status", "index", "notes", "base", "base_sha", "base_ref", "target"):
        assert told[0][name] == told[1][name]


def test_it_follows_the_target_and_goes_with_the_setting(shop: Product) -> None:
    seq = shop.happened()[-1]["seq"]
    wants(shop, 1)
    seq = warmed(shop, 1, seq)
    (name,) = ready(shop)
    assert (shop.home / "warm" / name / ".auto-tundra.toml").read_text().endswith("warm = 1\n")
    wants(shop, 0)
    end = monotonic() + PATIENCE_SECONDS
    while pool(shop):  # they go in the background
        assert monotonic() < end, pool(shop)
    assert prepared(shop, shop.start("write a.txt a"))["warm"] is False


def test_a_file_that_nobody_trusts_makes_none(product: Product) -> None:
    wants(product, 2, trust=False)
    product.run("write a.txt a", code=3)
    product.at("down")
    product.at("up")
    assert prepared(product, product.start("write a.txt a"))["warm"] is False and pool(product) == []


def test_a_person_s_commit_is_read_in_when_the_folder_is_taken(shop: Product) -> None:
    shop.write("mine.txt", "mine\n")
    tip = shop.commit("Mine")
    bead = shop.start("hang")
    told = prepared(shop, bead)
    assert (told["warm"], told["base_sha"]) == (True, tip)
    assert (folder_of(shop, bead) / "mine.txt").read_text() == "mine\n"


def test_no_two_beads_share_one(shop: Product) -> None:
    beads = [shop.start(f"write {number}.txt x") for number in range(4)]
    for bead in beads:
        document = shop.run_to_rest(bead)
        assert document["proved"] and document["evidence"]["diff"]["files"] == 1
    folders = [folder_of(shop, bead) for bead in beads]
    assert len({(folder / ".git/HEAD").read_text() for folder in folders}) == 4


@pytest.mark.parametrize("place", NAMES_OF_WARMTH)
def test_a_daemon_that_is_killed_leaves_none_in_use_and_none_behind(shop: Product, place: str) -> None:
    assert shop.at("down").code == 0
    if place in ("warm.after-aside", "warm.before-place"):
        shop.write("mine.txt", "mine\n")
        shop.commit("Mine")
    assert shop.at("up", AT_FAILPOINT=place).code == 0
    bead = shop.start("write a.txt a")
    document = shop.run_to_rest(bead)
    seq = shop.happened()[-1]["seq"]
    assert document["proved"] and document["evidence"]["diff"]["files"] == 1
    started = [event for event in shop.happened() if event["type"] == "daemon.started"]
    assert len(started) >= 3, f"the daemon never passed {place}"
    wants(shop, 2, more="timeout_seconds = 60\n")
    warmed(shop, 2, seq)
    assert [name[-2:] for name in ready(shop)] == ["-0", "-1"]
    assert not [name for name in pool(shop) if ".at-" in name]
    assert [path.name for path in (shop.home / "worktrees").iterdir()] == [folder_of(shop, bead).name]


def test_tidy_and_uninstall_know_them(shop: Product) -> None:
    assert shop.at("config", "general.tidy_days", "0").code == 0
    assert not [row for row in shop.json("tidy")["leftovers"] if row["kind"] == "warm_folder"]
    stranger = shop.home / "warm" / "0123456789ab-0"
    shutil.copytree(shop.home / "warm" / pool(shop)[-1], stranger)
    (row,) = [row for row in shop.json("tidy", "--yes")["leftovers"] if row["kind"] == "warm_folder"]
    assert (row["path"], row["reason"]) == (str(stranger), "kept ready for a repository that is no more")
    assert not stranger.exists() and len(pool(shop)) >= 2
    assert shop.at("down").code == 0
    gone = shop.at("uninstall", "--yes")
    assert gone.code == 0, gone.stderr
    assert not os.path.lexists(shop.home / "warm")


def test_what_a_set_up_made_is_put_into_one_that_was_taken(shop: Product) -> None:
    seq = shop.happened()[-1]["seq"]
    shop.write(".gitignore", "made\ndeps/\n")
    shop.write("lock", "one\n")
    more = '[worktree.cache]\npaths = ["deps"]\nkey = ["lock"]\ninstead = true\n'
    setup = 'mkdir -p deps && cp lock deps/made && echo set-up >> "$HOME/ran"'
    shop.settings(f"[worktree]\nsetup = '{setup}'\nwarm = 2\n{more}")
    warmed(shop, 2, seq)
    first, second = (shop.run("shell cat deps/made > seen", "--allow", "all") for _ in range(2))
    for bead in (first["bead"], second["bead"]):
        assert prepared(shop, bead["id"])["warm"] is True
        assert shop.git("show", f"{bead['git_branch']}:seen") == "one"
    assert second["set_up"]["cache"]["used"] == ["deps"]
    assert (Path(shop.env["HOME"]) / "ran").read_text() == "set-up\n"
