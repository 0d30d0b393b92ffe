"""The page of one work item, and of what needs a person."""

from __future__ import annotations

import re
from typing import Any

import pytest

from at_cli.style import Look
from at_cli.terminal_notice import of_need
from at_cli.testing import ASK, ASK_ID, BEAD_ID, DOCUMENT, RULE, At, FakeDaemon, Seen
from at_cli.views.bead import bead_lines, one_line

NEED = {
    "kind": "approval",
    "bead": BEAD_ID,
    "title": "Fix the parser",
    "agent": "furiosa",
    "reason": "make test",
    "acts": [],
}


def after_a_wait(seen: Seen) -> dict[str, object]:
    """Nothing needs anybody at once."""
    return {"needs": [NEED] if seen.query.get("seconds") else []}


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


def test_history_says_how_each_ended_and_counts_what_needed_nobody(at: At, daemon: FakeDaemon) -> None:
    lines = at("next", "--history", "--since", "7d").out.splitlines()
    assert daemon.last("interruptions").query == {"since": "7d"}
    ends = ["approved", "passed without you", "waits"]
    assert [re.split(" {2,}", line)[-2] for line in lines[:3]] == ends
    assert "asks for approval" in lines[0] and lines[0].endswith("Fix the parser (furiosa)")
    assert lines[3] == "3 interruptions: 1 decided, 0 done elsewhere, 1 passed without you, 1 open"
    assert lines[4] == "2 landed work items: 3 interruptions, 1.5 for each"
    document = at("next", "--history", "--json").document
    daemon.answers["interruptions"] = {**document, "interruptions": []}
    assert at("next", "--history").out == "Nobody was wanted for anything.\n"


def test_rules_are_shown_whole_with_where_they_came_from(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["rules"] = {
        "rules": [{**RULE, "what": "make test\nall"}, {**RULE, "ask": None, "agent": None}]
    }
    lines = at("rules").out.splitlines()
    assert lines[0] == "/home/me/shop"
    assert lines[1].startswith("  5d0c77e1  command, learned ") and lines[1].endswith(
        " from 8c11d2f0 of furiosa"
    )
    assert lines[2:4] == ["      make test", "      all"]
    assert at("rules", "remove", "5d0c", "5d0c").out == "5d0c77e1 removed: make test\n"
    assert daemon.last("remove_rules").body == {"rules": ["5d0c"]}
    daemon.answers["rules"] = {"rules": []}
    assert "at approve ID --always" in at("rules").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["approve"], "at approvals"),
        (["approve", "8c11", "--all"], "at approvals"),
        (["approve", "8c11", "--agent", "wren"], "at approve --all"),
        (["deny", "8c11", "8c12", "--yes"], "at deny --all"),
        (["approve", "--all", "--always"], "at approve ID --always"),
        (["approve", "--all", "--kind", "question"], "at approve --help"),
        (["rules", "remove"], "at rules"),
    ],
)
def test_answers_that_are_meant_for_nothing_clear_are_refused(
    at: At, daemon: FakeDaemon, arguments: list[str], hint: str
) -> None:
    outcome = at(*arguments)
    assert (outcome.code, outcome.out) == (2, "") and hint in outcome.err
    assert not any(seen.route == "decide" for seen in daemon.seen)


def test_all_is_what_was_shown_and_no_question_is_approved(at: At, daemon: FakeDaemon) -> None:
    question = {**ASK, "id": "aaaa0000-0000-4000-8000-000000000009", "kind": "question", "what": "Which?"}
    daemon.answers["approvals"] = {"approvals": [ASK, question]}
    refused = at("approve", "--all", stdin=b"n\n", interactive=True)
    assert refused.code == 3 and "rm -rf build" in refused.err and "Which?" not in refused.err
    done = at("approve", "--all", stdin=b"y\n", interactive=True)
    assert (done.code, done.out) == (0, "8c11d2f0 approved: rm -rf build\n")
    assert [seen.path["ask"] for seen in daemon.seen if seen.route == "decide"] == [ASK_ID]
    assert len(at("deny", "--all", "--yes", "--json").document["approvals"]) == 2
    daemon.answers["approvals"] = {"approvals": []}
    assert at("approve", "--all", "--agent", "wren", "--yes").out == "Nothing of that is asked.\n"
    assert daemon.last("approvals").query["agent"] == "wren", "whom that names is the daemon's to say"


@pytest.mark.parametrize("wrong", [["--since", "7d"], ["--history", "--wait"], ["--history", "--all"]])
def test_options_of_next_that_do_not_go_together_are_refused(at: At, wrong: list[str]) -> None:
    outcome = at("next", *wrong)
    assert (outcome.code, outcome.out) == (2, "")
    assert "at next --history --since 7d" in outcome.err


def test_next_waits_only_when_told_to(at: At, daemon: FakeDaemon) -> None:
    at("next")
    assert "seconds" not in daemon.last("needs").query
    at("next", "--wait")
    assert "seconds" not in daemon.last("needs").query, "there is something already"
    daemon.answers["needs"] = after_a_wait
    assert "Fix the parser" in at("next", "--wait").out
    assert float(daemon.last("needs").query["seconds"]) == 30.0


@pytest.mark.parametrize(
    ("environ", "sequence"),
    [
        ({}, "\x1b]9;furiosa asks for approval: Fix the parser: make test\x1b\\"),
        ({"TERM": "foot"}, "\x1b]777;notify;furiosa asks for approval;Fix the parser: make test\x1b\\"),
        (
            {"TMUX": "/t"},
            "\x1bPtmux;\x1b\x1b]9;furiosa asks for approval: Fix the parser: make test\x1b\x1b\\\x1b\\",
        ),
        ({"AT_UI__NOTIFY": "off"}, ""),
    ],
)
def test_whoever_waits_is_told_by_the_terminal(
    at: At, daemon: FakeDaemon, environ: dict[str, str], sequence: str
) -> None:
    daemon.answers["needs"] = after_a_wait
    at.environ |= environ
    shown = at("next", "--wait", terminal=True).out
    assert shown.startswith(sequence + BEAD_ID[:8])
    assert "\x1b" not in at("next", "--wait").out


def test_nothing_of_an_agents_text_ends_the_sequence_or_begins_another() -> None:
    told = of_need(
        {"agent": "4;1\x1b", "kind": "question", "bead": "b", "title": "a\x07b", "reason": "\x9c"}, {}
    )
    assert told == "\x1b]9;\\x1b asks a question: a\\x07b: \\x9c\x1b\\"


OK = {
    "phase": "setup",
    "command": "npm ci",
    "ok": True,
    "how": "ended with exit code 0",
    "log": "/logs/1.log",
}
FAILED = {**OK, "ok": False, "how": "ended with exit code 1"}


@pytest.mark.parametrize(
    ("commands", "coming", "line"),
    [
        ([OK, OK], {}, "  set-up    2 commands in 3.0 s"),
        (
            [OK, FAILED],
            {},
            "  set-up    failed: setup command `npm ci` ended with exit code 1, output in /logs/1.log",
        ),
        ([OK], {"under_way": "run: a\x1b[31m"}, "  set-up    under way, run: a\\x1b[31m"),
        ([], {"waits": "setup: a\x1b[31m"}, "  set-up    waits for a place, setup: a\\x1b[31m"),
    ],
)
def test_show_says_what_set_up_the_folder(
    commands: list[dict[str, object]], coming: dict[str, str], line: str
) -> None:
    set_up = {"commands": commands, "seconds": 3.0, "under_way": None, "waits": None, **coming}
    assert line in bead_lines({**DOCUMENT, "set_up": set_up}, Look())
    assert not any("set-up" in each for each in bead_lines({**DOCUMENT, "set_up": None}, Look()))


LEFT_OVER = {
    "key": "/home/me/shop refs/heads/at/3f2a9c1e-fix",
    "kind": "branch",
    "path": None,
    "repository": "/home/me/shop",
    "ref": "refs/heads/at/3f2a9c1e-fix\x1b",
    "sha": "a1b2c3d4" * 5,
    "bytes": 0,
    "reason": "merged into main",
}


@pytest.mark.parametrize(("typed", "goes"), [(b"y\n", True), (b"n\n", False), (b"", False)])
def test_what_is_left_over_goes_at_a_terminal_only_after_a_yes(
    at: At, daemon: FakeDaemon, typed: bytes, goes: bool
) -> None:
    shown = {"leftovers": [LEFT_OVER], "bytes": 0, "days": 14}
    daemon.answers["leftovers"], daemon.answers["tidy"] = shown, {**shown, "left": []}
    outcome = at("tidy", stdin=typed, interactive=True)
    assert outcome.code == 0 and "merged into main" in outcome.out and "\x1b" not in outcome.out
    asked = [(seen.body or {})["keys"] for seen in daemon.seen if seen.route == "tidy"]
    assert asked == ([[LEFT_OVER["key"]]] if goes else [])
    assert ("was a1b2c3d4" in outcome.out) is goes


def test_what_could_not_go_is_named_and_ends_with_one(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["leftovers"] = {"leftovers": [LEFT_OVER], "bytes": 0, "days": 14}
    daemon.answers["tidy"] = {
        "leftovers": [],
        "bytes": 0,
        "days": 14,
        "left": [{**LEFT_OVER, "error": "it moved"}],
    }
    outcome = at("tidy", "--yes")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "it moved" in outcome.err and "\x1b" not in outcome.err


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ({"ahead": 0, "behind": 0, "upstream": "origin/main"}, "main 1a2b3c4d"),
        ({"target_behind": 1200, "ahead": 0, "behind": 0}, "main 1a2b3c4d (1,200 commits ahead of your own)"),
        ({"ahead": 0, "behind": 1, "upstream": "o/m"}, "main 1a2b3c4d (1 commit behind o/m)"),
        ({"ahead": 2, "behind": 0, "upstream": "o/m"}, "main 1a2b3c4d (2 commits ahead of o/m)"),
        ({"ahead": 2, "behind": 3, "upstream": "o/m"}, "main 1a2b3c4d (2 ahead of and 3 behind o/m)"),
    ],
)
def test_a_base_says_how_it_stands_to_the_remote(base: dict[str, object], words: str) -> None:
    document: dict[str, Any] = {**DOCUMENT, "base": {"ref": "main", "sha": "1a2b3c4d5e", **base}}
    assert f"  base      {words}" in bead_lines(document, Look())
    at_work = {**document, "bead": {**document["bead"], "status": "slung"}}
    assert f" from {words}: " in one_line(at_work, Look())[0]
