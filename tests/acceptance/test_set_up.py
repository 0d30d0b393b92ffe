"""The commands that a trusted file has for a bead's folder run where, when and as often as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acceptance.product import Product

FILE = ".auto-tundra.toml"
COUNTS = 'echo x >> "$HOME/{}"'
"""A line for each time that it ran."""


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
            "did not end within 1 s, its time limit, and was ended",
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


def test_rm_ends_a_set_up_that_is_under_way(product: Product) -> None:
    settings(product, setup="touch begun; exec sleep 600")
    bead = product.start("write a.txt a")
    product.wait(bead, "folder.prepared")
    product.json("rm", bead)
    assert not folder_of(product, bead).exists()


def test_a_set_up_that_down_ended_runs_again(product: Product) -> None:
    settings(product, setup=f'{COUNTS.format("setup")}; [ -e "$HOME/go" ] || exec sleep 600')
    bead = product.start("write a.txt a")
    product.wait(bead, "folder.prepared")
    assert product.at("down").code == 0
    (Path(product.env["HOME"]) / "go").touch()
    product.json("resume", "--all")
    assert product.run_to_rest(bead)["proved"]
    assert times(product, "setup") in (1, 2), "it was begun before the end, or not yet"
