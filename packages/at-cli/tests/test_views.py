"""The page of one work item, and of what needs a person."""

from __future__ import annotations

import pytest

from at_cli.style import Look
from at_cli.testing import BEAD_ID, DOCUMENT, At, FakeDaemon
from at_cli.views.bead import bead_lines


@pytest.mark.parametrize(
    ("slot", "line"),
    [
        ({"number": 2, "first_port": 21010, "ports": 10}, "  slot      2, ports 21010 to 21019"),
        ({"number": 4454, "first_port": None, "ports": 10}, "  slot      4454"),
    ],
)
def test_show_says_which_slot_and_ports_are_its_own(slot: dict[str, int | None], line: str) -> None:
    assert line in bead_lines({**DOCUMENT, "slot": slot}, Look())
    assert not any("slot" in each for each in bead_lines({**DOCUMENT, "slot": None}, Look()))


def test_next_shows_the_first_need_whole_and_counts_the_others(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["needs"]["needs"][0]["reason"] = "make test\nmake lint"
    lines = at("next").out.splitlines()
    assert lines[0].startswith(f"{BEAD_ID[:8]} Fix the parser (furiosa) asks for approval since ")
    assert lines[0].endswith(", 2 stand still")
    assert lines[1:3] == ["    make test", "    make lint"]
    assert lines[3].startswith("  at approve ")
    assert lines[-1] == "(1 more decision: at next --all)"
    every = at("next", "--all").out
    assert "Write the docs (wren) is proved" in every and "more decision" not in every
    daemon.answers["needs"] = {"needs": []}
    assert at("next").out == "Nothing needs you.\n"


def test_next_waits_only_when_told_to(at: At, daemon: FakeDaemon) -> None:
    at("next")
    assert "seconds" not in daemon.last("needs").query
    at("next", "--wait")
    assert float(daemon.last("needs").query["seconds"]) == 30.0


OK = {
    "phase": "setup",
    "command": "npm ci",
    "ok": True,
    "how": "ended with exit code 0",
    "log": "/logs/1.log",
}
FAILED = {**OK, "ok": False, "how": "ended with exit code 1"}


@pytest.mark.parametrize(
    ("commands", "under_way", "line"),
    [
        ([OK, OK], None, "  set-up    2 commands in 3.0 s"),
        (
            [OK, FAILED],
            None,
            "  set-up    failed: setup command `npm ci` ended with exit code 1, output in /logs/1.log",
        ),
        ([OK], "run: a\x1b[31m", "  set-up    under way, run: a\\x1b[31m"),
    ],
)
def test_show_says_what_set_up_the_folder(
    commands: list[dict[str, object]], under_way: str | None, line: str
) -> None:
    set_up = {"commands": commands, "seconds": 3.0, "under_way": under_way}
    assert line in bead_lines({**DOCUMENT, "set_up": set_up}, Look())
    assert not any("set-up" in each for each in bead_lines({**DOCUMENT, "set_up": None}, Look()))
