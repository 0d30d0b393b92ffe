"""Where work begins when nobody says: the target, or the branch it follows; and what is fetched for that, when told."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.product import Product


class Origin:
    """A bare remote that `main` follows, which counts how often it is asked for something."""

    def __init__(self, product: Product, folder: Path) -> None:
        self.product, self.path, self.asked = product, folder / "origin.git", folder / "asked"
        product.git("init", "-q", "--bare", "-b", "main", str(self.path))
        product.git("remote", "add", "origin", str(self.path))
        product.git("push", "-q", "-u", "origin", "main")
        self.serves(f'echo x >> "{self.asked}"; exec git-upload-pack "$@"')

    def serves(self, script: str) -> None:
        """Answer fetches with this script."""
        program = self.path.parent / "serve"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.product.git("config", "remote.origin.uploadpack", str(program))

    def commit(self, path: str) -> str:
        """A commit of somebody else's; its id."""
        tree = self.product.repo.parent / f"elsewhere-{path}"
        self.product.git("clone", "-q", str(self.path), str(tree))
        (tree / path).write_text("by somebody else\n")
        self.product.git("-C", str(tree), "add", "-A")
        self.product.git("-C", str(tree), "commit", "-q", "-m", f"Add {path}")
        self.product.git("-C", str(tree), "push", "-q", "origin", "main")
        return self.product.git("-C", str(tree), "rev-parse", "HEAD")

    @property
    def times(self) -> int:
        """How often it was asked."""
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0


@pytest.fixture(name="origin")
def made_origin(product: Product, tmp_path: Path) -> Origin:
    """The remote of the product's repository."""
    return Origin(product, tmp_path)


def test_without_a_remote_work_begins_at_the_target_and_says_so(product: Product) -> None:
    head = product.git("rev-parse", "HEAD")
    said = product.at("run", "hang", "--cli", "demo").stdout
    assert f" from main {head[:8]}: hang" in said
    bead = product.json("ls")["beads"][0]["id"]
    product.wait(bead, "folder.prepared")
    base = product.json("show", bead)["base"]
    assert (base["ref"], base["sha"], base["upstream"], base["behind"]) == ("main", head, None, None)
    assert f"base      main {head[:8]}\n" in product.at("show", bead).stdout


def test_what_the_person_fetched_is_begun_at_and_landing_brings_it(product: Product, origin: Origin) -> None:
    newer = origin.commit("theirs.txt")
    product.git("fetch", "-q")
    asked, before = origin.times, product.git("rev-parse", "main")
    document = product.run("write ours.txt a")
    base = document["base"]
    assert (base["ref"], base["sha"], base["target_behind"]) == ("origin/main", newer, 1)
    assert base["fetched"] and base["chosen"]
    assert product.git("rev-parse", "main") == before and origin.times == asked, "nothing of it was asked"
    (note,) = document["notes"]
    assert note == "it began 1 commit ahead of main, at origin/main: landing brings that to main as well"
    assert document["evidence"]["diff"]["files"] == 1, "what others did is not its change"
    assert f"base      origin/main {newer[:8]} (1 commit ahead of your own, fetched " in (
        product.at("show", document["bead"]["id"]).stdout
    )
    product.json("land", document["bead"]["id"], "--wait")
    product.git("merge-base", "--is-ancestor", newer, "main")
    assert (product.repo / "theirs.txt").exists() and (product.repo / "ours.txt").exists()
    product.git("push", "-q", "origin", "main")


@pytest.mark.parametrize(
    ("behind", "words"),
    [(False, "1 commit ahead of origin/main"), (True, "1 ahead of and 1 behind origin/main")],
)
def test_commits_of_your_own_are_begun_at(product: Product, origin: Origin, behind: bool, words: str) -> None:
    if behind:
        origin.commit("theirs.txt")
        product.git("fetch", "-q")
    product.write("own.txt", "own\n")
    own = product.commit("Not pushed yet")
    said = product.at("run", "write a.txt a", "--cli", "demo").stdout
    assert f" from main {own[:8]} ({words}, fetched " in said
    document = product.run_to_rest(product.json("ls")["beads"][0]["id"])
    base = document["base"]
    assert (base["ref"], base["sha"], base["ahead"], base["behind"]) == ("main", own, 1, int(behind))
    assert document["notes"] == []


def test_a_base_that_was_asked_for_is_taken(product: Product, origin: Origin) -> None:
    origin.commit("theirs.txt")
    product.git("fetch", "-q")
    head = product.git("rev-parse", "main")
    base = product.run("write a.txt a", "--base", "main")["base"]
    assert (base["ref"], base["sha"], base["upstream"]) == ("main", head, None)


def test_auto_fetches_once_and_moves_nothing_of_the_persons(product: Product, origin: Origin) -> None:
    newer = origin.commit("theirs.txt")
    refs = product.git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags")
    assert product.at("up").code == 0
    assert product.at("config", "git.fetch", "auto").code == 0, "it counts at once"
    documents = [product.run(f"write {name}.txt a") for name in "ab"]
    for base in (document["base"] for document in documents):
        assert (base["ref"], base["sha"], base["target_behind"]) == ("origin/main", newer, 1)
    assert origin.times == 1
    kept = product.git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags").splitlines()
    assert [line for line in kept if "refs/heads/at/" not in line] == refs.splitlines()
    assert not (product.repo / ".git/FETCH_HEAD").exists()


def test_a_remote_that_does_not_answer_holds_nothing_up_beyond_the_limit(
    product: Product, origin: Origin, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    origin.serves(f'echo $$ > "{started}"; exec sleep 600')
    product.at("config", "git.fetch", "auto")
    product.at("config", "git.fetch_seconds", "1")
    document = product.run("write a.txt a")
    assert (document["base"]["ref"], document["proved"]) == ("main", True)
    (note,) = document["notes"]
    assert note == (
        "origin could not be fetched: it did not answer within 1 s; what is known of it is from before"
    )
    running = Path("/proc", started.read_text().strip(), "cmdline")
    assert not running.exists() or running.read_bytes() == b"", "it goes on"


def test_a_fetch_that_fails_says_so_in_gits_words(product: Product, origin: Origin) -> None:
    product.git("remote", "set-url", "origin", "/nowhere/at/all.git")
    product.at("config", "git.fetch", "auto")
    document = product.run("write a.txt a")
    assert document["proved"]
    (note,) = document["notes"]
    assert note.startswith("origin could not be fetched: ") and "/nowhere/at/all.git" in note
    assert note in product.at("show", document["bead"]["id"]).stdout
