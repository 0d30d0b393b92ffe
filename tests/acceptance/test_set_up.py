"""The commands that a trusted file has for a bead's folder run where, when and as often as it says."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from acceptance.product import Product

FILE = ".auto-tundra.toml"
COUNTS = 'echo x >> "$HOME/{}"'
"""A line for each time that it ran."""


BEGUN = "folder.command_begun"
WAITS = 'read line < "$HOME/held"'
"""Stands still until the test lets it go."""


@dataclass
class Held:
    """A command that stands still at `WAITS`."""

    product: Product
    end: IO[str] | None = None

    def __post_init__(self) -> None:
        os.mkfifo(self._path)

    @property
    def _path(self) -> Path:
        return Path(self.product.env["HOME"]) / "held"

    def begun(self) -> None:
        """Wait until it stands there."""
        self.end = self._path.open("w")

    def let_go(self) -> None:
        """Let it go on, and any later one pass."""
        assert self.end is not None
        with contextlib.suppress(BrokenPipeError), self.end:
            self.end.write("go\n")
        self._path.unlink()
        self._path.write_text("go\n")


def settings(product: Product, **commands: str) -> None:
    """Trust a file with these commands around folders."""
    lines = [f"{name} = {value!r}" for name, value in commands.items()]
    product.settings("[worktree]\n" + "\n".join(lines) + "\n")


def folder_of(product: Product, bead: str) -> Path:
    """The bead's folder."""
    return product.home / "worktrees" / bead.replace("-", "")[:12]


def times(product: Product, name: str) -> int:
    """How often the command that counts under this name ran."""
    counted = Path(product.env["HOME"]) / name
    return len(counted.read_text().splitlines()) if counted.exists() else 0


def results(document: dict[str, Any]) -> list[tuple[str, bool]]:
    """Phase and outcome of the commands that ran."""
    return [(each["phase"], each["ok"]) for each in document["set_up"]["commands"]]


def commands_of(product: Product, bead: str) -> list[dict[str, Any]]:
    """What the events tell of commands that ran for this bead."""
    found = product.json_lines("events", "--after", "0")
    return [e["payload"] for e in found if e["bead_id"] == bead and e["type"] == "folder.command_finished"]


def test_the_agent_finds_what_the_set_up_made_in_its_own_environment(product: Product) -> None:
    product.env["MY_TOKEN"] = "a token"
    settings(
        product,
        setup='mkdir made && printf "%s" "$AT_BEAD $AT_SLOT $AT_PORT $MY_TOKEN" > made/by-setup',
        run="cp made/by-setup made/by-run",
    )
    product.write(".gitignore", "made\n")
    product.commit("Ignore what the set-up makes")
    document = product.run("shell cp made/by-run seen", "--allow", "all")
    bead, slot = document["bead"]["id"], document["slot"]
    seen = (folder_of(product, bead) / "seen").read_text()
    assert seen == f"{bead} {slot['number']} {slot['first_port']} a token"
    assert results(document) == [("setup", True), ("run", True)]
    assert document["set_up"]["seconds"] > 0
    shown = product.at("show", bead).stdout
    assert "set-up    2 commands in " in shown


@pytest.mark.parametrize(
    ("phase", "command", "how"),
    [
        ("setup", "echo no such package; exit 3", "ended with exit code 3"),
        ("run", "echo no such package; exit 4", "ended with exit code 4"),
        (
            "setup",
            "echo no such package; exec sleep 600",
            "did not end within 1 s, its time limit",
        ),
    ],
)
def test_a_command_that_fails_is_told_in_one_line_and_run_again_by_retry(
    product: Product, phase: str, command: str, how: str
) -> None:
    product.settings(
        f"[worktree]\n{phase} = '[ -e \"$HOME/mended\" ] || {{ {command}; }}'\ntimeout_seconds = 1\n"
    )
    document = product.run("write a.txt a", code=1)
    bead = document["bead"]["id"]
    (wanted,) = document["attention"]
    log = Path(document["set_up"]["commands"][-1]["log"])
    assert f"{how}; output in {log}" in product.at("logs", bead).stdout
    assert wanted["kind"] == "failed" and wanted["hint"] == f"at retry {bead[:8]}"
    assert wanted["reason"].startswith(f"its {phase} command `[ -e")
    assert wanted["reason"].endswith(f" {how}; its output is in {log}")
    assert log.parent == product.home / "logs" / "worktrees" and "no such package" in log.read_text()
    assert document["agent"]["label"] == "new", "its agent was started"
    (Path(product.env["HOME"]) / "mended").touch()
    product.json("retry", bead)
    assert product.run_to_rest(bead)["proved"]


def test_a_file_that_nobody_trusted_sets_nothing_up(product: Product) -> None:
    product.write(FILE, f"[worktree]\nsetup = '{COUNTS.format('setup')}'\n")
    product.commit("Add a set-up")
    document = product.run("write a.txt a", code=3)
    assert times(product, "setup") == 0 and document["set_up"] is None
    assert [note for note in document["notes"] if FILE in note and note.endswith("at trust")]
    product.json("rm", document["bead"]["id"])
    assert product.at("trust", "--yes").code == 0
    document = product.run("write b.txt b")
    assert times(product, "setup") == 1 and document["notes"] == []


def test_the_note_on_trust_is_there_while_it_is_true(product: Product) -> None:
    settings(product, setup="true")
    bead = product.start("hang")
    product.wait(bead, "agent.started")
    product.settings("[worktree]\nsetup = 'true'\nrun = 'true'\n", trust=False)
    product.json("done", bead, "--fail")
    product.json("retry", bead)
    product.wait(bead, "agent.started", product.wait(bead, "bead.retried")["seq"])
    (note,) = product.json("show", bead)["notes"]
    assert note.endswith("is not trusted as it is now, so no more of its set-up runs: at trust")
    assert product.at("trust", "--yes").code == 0
    assert product.json("show", bead)["notes"] == [], "it runs before the next start"


def test_what_the_branch_says_counts_for_nothing(product: Product) -> None:
    settings(product, setup=COUNTS.format("setup"))
    product.git("checkout", "-q", "-b", "other")
    product.write(FILE, f"[worktree]\nsetup = '{COUNTS.format('evil')}'\n")
    product.commit("Another set-up")
    product.git("checkout", "-q", "main")
    product.run("write a.txt a", "--base", "other")
    assert (times(product, "setup"), times(product, "evil")) == (1, 0)


def test_run_runs_again_after_a_crash_and_setup_does_not(product: Product) -> None:
    settings(product, setup=COUNTS.format("setup"), run=COUNTS.format("run"))
    document = product.run("crash 0; write a.txt a")
    assert document["proved"], document["reasons"]
    assert (times(product, "setup"), times(product, "run")) == (1, 2)


@pytest.mark.parametrize("command", ["exit 5", "true"])
def test_a_removed_folder_is_torn_down_and_a_teardown_that_fails_holds_up_nothing(
    product: Product, command: str
) -> None:
    settings(product, teardown=f"[ -e left.txt ] && {COUNTS.format('teardown')}; {command}")
    document = product.run("write left.txt a")
    bead = document["bead"]["id"]
    removed = product.json("rm", bead)
    assert removed["attic"] and "left.txt" in product.git("ls-tree", "-r", "--name-only", removed["attic"])
    assert not folder_of(product, bead).exists()
    assert times(product, "teardown") == 1
    assert [(each["phase"], each["ok"]) for each in commands_of(product, bead)] == [
        ("teardown", command == "true")
    ]


@pytest.mark.parametrize(
    "place",
    [
        "setup.after-start",
        "setup.after-exit",
        "remove.after-keep",
        "teardown.after-start",
        "teardown.after-exit",
    ],
)
def test_a_daemon_that_is_killed_finds_the_command_again(product: Product, place: str) -> None:
    settings(product, setup=COUNTS.format("setup"), teardown=COUNTS.format("teardown"))
    assert product.at("down").code == 0
    assert product.at("up", AT_FAILPOINT=place).code == 0
    first = product.daemon_pid()
    bead = product.start("write a.txt a", "--land")
    product.wait(bead, "folder.removed")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    assert (times(product, "setup"), times(product, "teardown")) == (1, 1)
    assert [each["phase"] for each in commands_of(product, bead)] == ["setup", "teardown"]


@pytest.mark.parametrize("place", ["teardown.after-start", "teardown.after-exit"])
def test_undo_brings_back_what_lay_there_before_a_teardown_that_was_cut_off(
    product: Product, place: str
) -> None:
    settings(product, teardown="git clean -fdqx")
    bead = product.run("write a.txt a")["bead"]["id"]
    (folder_of(product, bead) / "loose.txt").write_text("not committed\n")
    assert product.at("down").code == 0
    assert product.at("up", AT_FAILPOINT=place).code == 0
    first = product.daemon_pid()
    assert product.at("rm", bead).code == 69
    product.wait(bead, "bead.removed")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    told = [
        e["payload"]["attic"] for e in product.json_lines("events", "--after", "0") if "removed" in e["type"]
    ]
    (act,) = product.json("undo", "--list")["acts"]
    assert [*told, act["attic"]] == [f"refs/at/attic/{bead}/1"] * 3
    product.json("undo")
    assert (folder_of(product, bead) / "loose.txt").read_text() == "not committed\n"


def test_rm_ends_a_set_up_that_is_under_way(product: Product) -> None:
    settings(product, setup="exec sleep 600")
    bead = product.start("write a.txt a")
    product.wait(bead, BEGUN)
    product.json("rm", bead)
    assert not folder_of(product, bead).exists()
    assert [each["ok"] for each in commands_of(product, bead)] == [False]


def test_what_waits_behind_other_set_ups_says_so_and_is_removed_at_once(product: Product) -> None:
    settings(product, setup="exec sleep 600", teardown=COUNTS.format("teardown"))
    at_work = [product.start(f"write {number}.txt a") for number in range(4)]
    for bead in at_work:
        product.wait(bead, BEGUN)
    last = product.start("write last.txt a")
    product.wait(last, "folder.prepared")
    document = product.json("show", last)
    assert (document["set_up"]["under_way"], document["set_up"]["waits"]) == (None, "setup: exec sleep 600")
    assert "its folder is to be set up" in document["agent"]["reasons"][0]
    assert "set-up    waits for a place, setup: exec sleep 600" in product.at("show", last).stdout
    product.json("rm", last)
    assert times(product, "teardown") == 1
    assert [each["phase"] for each in commands_of(product, last)] == ["teardown"]
    assert product.json("show", at_work[0])["set_up"]["under_way"] == "setup: exec sleep 600"


def test_stop_ends_a_set_up_and_resume_runs_it_again(product: Product) -> None:
    settings(product, setup=f'{COUNTS.format("setup")}; [ -e "$HOME/go" ] || exec sleep 600')
    bead = product.start("write a.txt a")
    product.wait(bead, BEGUN)
    agent = product.json("show", bead)["agent"]["name"]
    product.json("stop", agent)
    product.wait(bead, "folder.command_finished")
    document = product.json("show", bead)
    assert (document["agent"]["label"], document["set_up"]) == ("stopped", None)
    assert "waits for a place" not in product.at("show", bead).stdout
    (Path(product.env["HOME"]) / "go").touch()
    product.json("resume", agent)
    assert product.run_to_rest(bead)["proved"]
    assert times(product, "setup") == 2


def test_a_removal_that_fails_lets_the_set_up_begin_anew(product: Product) -> None:
    settings(product, setup=f'{COUNTS.format("setup")}; [ -e "$HOME/go" ] || exec sleep 600')
    bead = product.start("write a.txt a")
    product.wait(bead, BEGUN)
    (Path(product.env["HOME"]) / "go").touch()
    elsewhere = product.repo.rename(product.repo.with_name("elsewhere"))
    refused = product.at("rm", bead, "--json", cwd=elsewhere)
    elsewhere.rename(product.repo)
    assert refused.code == 1 and "was not removed" in refused.error["message"]
    assert product.run_to_rest(bead)["proved"]
    assert times(product, "setup") == 2


def test_a_try_that_was_ended_does_not_meddle_with_the_next_one(product: Product) -> None:
    first = '[ -e "$HOME/go" ] || exec sleep 600'
    settings(product, setup=f"{COUNTS.format('setup')}; {first}", run=COUNTS.format("run"))
    bead = product.start("write a.txt a")
    product.wait(bead, BEGUN)
    (Path(product.env["HOME"]) / "go").touch()
    product.json("done", bead, "--fail")
    product.json("retry", bead)
    document = product.run_to_rest(bead)
    assert document["proved"], document["reasons"]
    assert (times(product, "setup"), times(product, "run")) == (2, 1)
    assert results(document) == [("setup", True), ("run", True)]


def test_a_set_up_goes_on_while_agents_are_kept_without_a_daemon(product: Product) -> None:
    settings(product, setup=f"{COUNTS.format('setup')}; {WAITS}")
    held = Held(product)
    bead = product.start("write a.txt a")
    held.begun()
    assert product.at("down", "--keep-agents").code == 0
    assert product.at("up").code == 0
    held.let_go()
    assert product.run_to_rest(bead)["proved"]
    assert times(product, "setup") == 1


def test_down_ends_commands_that_take_no_word_and_all_of_them_run_again(product: Product) -> None:
    go = Path(product.env["HOME"]) / "go"
    product.settings(
        f"""[worktree]\nsetup = '[ -e "$HOME/go" ] || {{ trap "" TERM; sleep 600; }}'\n"""
        f"""[gates]\ncheck = 'trap "" TERM; {WAITS}'\n"""
    )
    held = Held(product)
    go.touch()
    beads = [product.start("write gated.txt a")]
    held.begun()
    go.unlink()
    beads += [product.start(f"write {number}.txt a") for number in range(4)]
    for bead in beads:
        product.wait(bead, BEGUN)
    assert product.at("down").code == 0
    held.let_go()
    go.touch()
    product.json("resume", "--all")
    assert [(d["proved"], d["reasons"]) for d in map(product.run_to_rest, beads) if not d["proved"]] == []


def test_a_second_rm_joins_the_first_one(product: Product) -> None:
    settings(product, teardown=f"{COUNTS.format('teardown')}; {WAITS}")
    held = Held(product)
    bead = product.run("write a.txt a")["bead"]["id"]
    first = product.begin("rm", bead, "--json")
    held.begun()
    asked = product.wait(bead, "bead.removal_asked")["seq"]
    second = product.begin("rm", bead, "--json")
    product.wait(bead, "bead.removal_asked", asked)
    held.let_go()
    ended = [each.communicate() for each in (first, second)]
    assert [each.returncode for each in (first, second)] == [0, 0], ended
    assert ended[0] == ended[1] and json.loads(ended[0][0])["attic"]
    assert times(product, "teardown") == 1
    assert [each["phase"] for each in commands_of(product, bead)] == ["teardown"]
    assert product.json("ls")["beads"] == []


def test_rm_twice_in_a_set_up_removes_it_once(product: Product) -> None:
    settings(product, setup=f"trap : TERM; {WAITS}; {WAITS}")
    held = Held(product)
    bead = product.start("write a.txt a")
    held.begun()
    both = [product.begin("rm", bead, "--json") for _ in range(2)]
    ended = [each.communicate() for each in both]
    assert [each.returncode for each in both] == [0, 0], ended
    assert not folder_of(product, bead).exists()
    held.let_go()


def test_a_set_up_that_down_ended_runs_again(product: Product) -> None:
    settings(product, setup=f'{COUNTS.format("setup")}; [ -e "$HOME/go" ] || exec sleep 600')
    bead = product.start("write a.txt a")
    product.wait(bead, BEGUN)
    assert product.at("down").code == 0
    (Path(product.env["HOME"]) / "go").touch()
    product.json("resume", "--all")
    assert product.run_to_rest(bead)["proved"]
    assert times(product, "setup") == 2
