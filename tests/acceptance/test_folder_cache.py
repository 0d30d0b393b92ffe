"""What a set-up made is there for folders with the same inputs, and for no others; nothing of one bead reaches another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acceptance.product import Product

from at_daemon.failpoints import NAMES_OF_CACHE

SETUP = (
    'echo x >> "$HOME/ran"; '
    'test -e deps/made || { echo x >> "$HOME/built"; mkdir -p deps/inner && cp lock deps/made && ln -s made deps/link; }'
)
AGENT = "shell cat deps/link > seen; echo evil > deps/made; rm -r deps/inner"


@pytest.fixture(name="shop")
def made_shop(product: Product) -> Product:
    """A repository with a lock file from which its set-up makes a folder."""
    product.write(".gitignore", "deps/\n")
    product.write("lock", "one\n")
    cached(product)
    return product


def cached(product: Product, more: str = "", trust: bool = True, key: str = "lock") -> None:
    """Trust a file that says what is to be kept."""
    cache = f'[worktree.cache]\npaths = ["deps"]\nkey = ["{key}"]\n{more}'
    product.settings(f"[worktree]\nsetup = '{SETUP}'\n{cache}", trust=trust)


def times(product: Product) -> tuple[int, int]:
    """How often the set-up ran, and how often it had to make something."""
    folder = Path(product.env["HOME"])
    return tuple(  # type: ignore[return-value]
        len((folder / name).read_text().splitlines()) if (folder / name).exists() else 0
        for name in ("ran", "built")
    )


def work(product: Product, *options: str) -> dict[str, Any]:
    """A bead that uses what was made, and spoils it."""
    document = product.run(AGENT, "--allow", "all", *options)
    assert document["proved"], document["reasons"]
    return document


def seen(product: Product, document: dict[str, Any]) -> str:
    """What its agent found."""
    return product.git("show", f"{document['bead']['git_branch']}:seen")


def entries(product: Product) -> list[str]:
    """Names in the cache, of what is half made too."""
    return sorted(path.name for path in (product.home / "folder-cache").iterdir())


def test_the_next_folder_has_what_the_first_set_up_made_and_not_what_its_agent_did(shop: Product) -> None:
    first = work(shop)
    assert first["set_up"]["cache"] == {"used": [], "instead": False, "kept": True, "why": None}
    assert ", kept in the cache" in shop.at("show", first["bead"]["id"]).stdout
    second, third = work(shop), work(shop)
    assert [seen(shop, each) for each in (first, second, third)] == ["one"] * 3
    assert third["set_up"]["cache"] == {"used": ["deps"], "instead": False, "kept": False, "why": None}
    assert " with deps from the cache" in shop.at("show", second["bead"]["id"]).stdout
    assert times(shop) == (3, 1) and len(entries(shop)) == 1


def test_it_stands_for_the_set_up_where_the_file_says_so(shop: Product) -> None:
    cached(shop, "instead = true\n")
    work(shop)
    second = work(shop)
    assert (seen(shop, second), times(shop)) == ("one", (1, 1))
    assert second["set_up"]["cache"]["instead"] and second["set_up"]["commands"] == []
    assert "set-up    deps from the cache\n" in shop.at("show", second["bead"]["id"]).stdout


def test_other_inputs_make_another_one(shop: Product) -> None:
    work(shop)
    shop.write("lock", "two\n")
    shop.commit("Another lock file")
    assert seen(shop, work(shop)) == "two"
    shop.settings(
        (shop.repo / ".auto-tundra.toml").read_text().replace("setup = 'echo", "setup = 'true; echo")
    )
    assert seen(shop, work(shop)) == "two"
    assert times(shop) == (3, 3) and len(entries(shop)) == 3


def test_a_base_that_is_not_the_targets_puts_nothing_there_but_may_use_it(shop: Product) -> None:
    shop.git("branch", "other")
    assert work(shop, "--base", "other")["set_up"]["cache"]["kept"] is False
    assert entries(shop) == []
    work(shop)
    assert work(shop, "--base", "other")["set_up"]["cache"]["used"] == ["deps"]


def test_what_git_would_take_for_work_is_neither_kept_nor_used(shop: Product) -> None:
    shop.write(".gitignore", "# nothing\n")
    shop.commit("Ignore nothing")
    document = shop.run("write a.txt a")
    assert document["set_up"]["cache"]["why"] == "not kept or used, as git does not ignore it: deps"
    assert entries(shop) == []


def test_without_its_key_nothing_is_kept_or_used_and_work_goes_on(shop: Product) -> None:
    cached(shop, "instead = true\n", key="lokc")
    document = work(shop)
    assert document["set_up"]["cache"]["why"] == "not kept or used: its key 'lokc' is no file in the folder"
    assert entries(shop) == [] and times(shop) == (1, 1)


def test_a_file_that_nobody_trusts_is_given_nothing(shop: Product) -> None:
    work(shop)
    cached(shop, "instead = true\n", trust=False)
    document = shop.run("write a.txt a", code=3)
    assert document["set_up"] is None
    assert not (Path(shop.at("open", document["bead"]["id"]).stdout.strip()) / "deps").exists()


def test_a_cache_of_no_size_keeps_nothing(shop: Product) -> None:
    assert shop.at("config", "general.folder_cache_mb", "0").code == 0
    assert work(shop)["set_up"]["cache"] is None
    assert entries(shop) == []


@pytest.mark.parametrize("place", NAMES_OF_CACHE)
def test_a_daemon_that_is_killed_leaves_nothing_half_used(shop: Product, place: str) -> None:
    if place == "setup.after-cache":
        work(shop)
    assert shop.at("down").code == 0
    assert shop.at("up", AT_FAILPOINT=place).code == 0
    pid = shop.daemon_pid()
    bead = shop.start(AGENT, "--allow", "all")
    document = shop.run_to_rest(bead)
    assert shop.daemon_pid() != pid, f"the daemon never passed {place}"
    assert (document["proved"], seen(shop, document)) == (True, "one")
    assert [seen(shop, work(shop)), len(entries(shop)), times(shop)[1]] == ["one", 1, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('paths = ["../deps"]\nkey = ["lock"]', "worktree.cache.paths"),
        ('paths = [".git/hooks"]\nkey = ["lock"]', "worktree.cache.paths"),
        ('paths = ["deps"]', "says no key"),
        ('paths = ["deps"]\nkey = ["lock"]\ninsted = true', "nearest is instead"),
    ],
)
def test_a_mistake_in_it_is_named(product: Product, text: str, says: str) -> None:
    product.write(".auto-tundra.toml", f"[worktree.cache]\n{text}\n")
    product.commit("A mistake")
    ran = product.at("init")
    assert says in ran.stdout + ran.stderr
