"""Every verb: which operation of the API it is, what it sends, and the rules that hold for all of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from at_cli.testing import ASK_ID, BEAD_ID, At, Failure, FakeDaemon
from at_cli.verbs import BY_NAME
from at_core.text import CUT_DIFF

CALLS: dict[str, tuple[list[str], str]] = {
    "init": (["init"], "init"),
    "run": (["run", "do it"], "run"),
    "add": (["add", "A title"], "add"),
    "adopt": (["adopt", "6b0e1c1e"], "adopt"),
    "hook": (["hook", "A title", "furiosa"], "hook"),
    "sling": (["sling", "3f2a", "furiosa"], "sling"),
    "status": (["status"], "status_text"),
    "ls": (["ls"], "beads"),
    "agents": (["agents"], "agents"),
    "show": (["show", "3f2a"], "show"),
    "explain": (["explain", "furiosa"], "explain"),
    "costs": (["costs"], "costs"),
    "budget": (["budget", "3f2a", "5"], "budget"),
    "rename": (["rename", "3f2a", "Another title"], "rename"),
    "after": (["after", "3f2a", "81bb"], "after"),
    "logs": (["logs", "furiosa"], "logs"),
    "events": (["events"], "events"),
    "open": (["open", "3f2a"], "folder"),
    "attach": (["attach", "furiosa"], "session"),
    "next": (["next"], "needs"),
    "approvals": (["approvals"], "approvals"),
    "approve": (["approve", "8c11"], "decide"),
    "deny": (["deny", "8c11"], "decide"),
    "answer": (["answer", "8c11", "yes"], "decide"),
    "rules": (["rules"], "rules"),
    "nudge": (["nudge", "furiosa", "-m", "hello"], "nudge"),
    "stop": (["stop", "furiosa"], "stop"),
    "resume": (["resume", "furiosa"], "resume"),
    "diff": (["diff", "3f2a"], "diff"),
    "comment": (["comment", "3f2a"], "comments"),
    "land": (["land", "3f2a"], "land"),
    "pr": (["pr", "3f2a", "--print"], "push"),
    "send-back": (["send-back", "3f2a", "-m", "more"], "send_back"),
    "retry": (["retry", "3f2a"], "retry"),
    "done": (["done", "3f2a"], "done"),
    "rm": (["rm", "3f2a"], "remove"),
    "undo": (["undo", "3f2a"], "undo"),
    "attic": (["attic", "show", "3f2a/1"], "attic_entry"),
    "tidy": (["tidy"], "leftovers"),
    "trust": (["trust"], "trust"),
    "up": (["up"], "health"),
}
LOCAL = {"doctor", "config", "completion", "uninstall"}
APART = LOCAL | {"top", "demo", "down", "exec", "prove"}
STREAMS = {"events", "logs", "attach"}


def test_the_table_of_calls_covers_every_verb() -> None:
    assert set(CALLS) | APART == set(BY_NAME)


@pytest.mark.parametrize("verb", CALLS)
def test_one_json_document(at: At, daemon: FakeDaemon, verb: str) -> None:
    arguments, route = CALLS[verb]
    outcome = at(*arguments, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    if verb in STREAMS:
        assert all(isinstance(json.loads(line), dict) for line in outcome.out.splitlines())
    else:
        assert isinstance(outcome.document, dict)
    assert {seen.route for seen in daemon.seen} >= {"status" if verb == "status" else route}


@pytest.mark.parametrize("verb", CALLS)
def test_plain_lines_off_a_terminal_have_no_sequence(at: At, daemon: FakeDaemon, verb: str) -> None:
    outcome = at(*CALLS[verb][0])
    assert outcome.code == 0 and outcome.out
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.parametrize("verb", CALLS)
def test_plain_lines_on_a_terminal_have_colours_at_most(at: At, daemon: FakeDaemon, verb: str) -> None:
    outcome = at(*CALLS[verb][0], terminal=True, colour=True)
    assert outcome.code == 0
    without = re.sub(r"\x1b\[\d*m", "", outcome.out)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", without)
    assert all(len(line) <= 100 for line in without.splitlines())


ERRORS = [
    Failure("not_found", "no bead is called 'x'", "at ls", 4),
    Failure("needs_person", "the checkout is dirty", "git stash", 3),
    Failure("try_later", "not now", "", 75),
    Failure("refused", "not so", "at show x", 1),
]


@pytest.mark.parametrize("verb", CALLS)
def test_an_error_is_one_line_and_its_exit_code(at: At, daemon: FakeDaemon, verb: str) -> None:
    arguments, route = CALLS[verb]
    failure = ERRORS[len(verb) % len(ERRORS)]
    daemon.answers[route] = daemon.answers["status"] = failure
    plain = at(*arguments)
    assert (plain.code, plain.out) == (failure.exit_code, "")
    assert plain.err.count("\n") == 1 and failure.message in plain.err and failure.hint in plain.err
    told = at(*arguments, "--json")
    assert told.code == failure.exit_code
    assert told.error == {"code": failure.code, "message": failure.message, "hint": failure.hint}


@pytest.mark.parametrize("verb", sorted(set(CALLS) | APART))
def test_a_wrong_option_is_a_usage_error(at: At, verb: str) -> None:
    plain, told = at(verb, "--nonsense"), at(verb, "--nonsense", "--json")
    assert (plain.code, told.code) == (2, 2)
    assert plain.err.count("\n") == 1 and f"at {verb} --help" in plain.err
    assert told.error["code"] == "usage"


@pytest.mark.parametrize("verb", sorted(set(CALLS) | APART))
def test_help_shows_one_example(at: At, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert at(verb, "--help").code == 0
    shown = capsys.readouterr().out
    example = shown.partition("Example:")[2]
    assert re.search(rf"\bat {verb}\b", example) and len(example.strip().splitlines()) == 1
    assert all(len(line) <= 80 for line in shown.splitlines())


BODIES: list[tuple[list[str], str, dict[str, Any]]] = [
    (["add", "T", "-d", "D", "-l", "critical", "-p", "2", "--after", "3f2a"], "add",
     {"title": "T", "description": "D", "lane": "critical", "priority": 2, "after": ["3f2a"]}),
    (["rename", "3f2a", "Another title"], "rename", {"title": "Another title"}),
    (["after", "3f2a", "81bb", "90cc", "--remove", "77aa"], "after",
     {"add": ["81bb", "90cc"], "remove": ["77aa"]}),
    (["hook", "T", "furiosa", "--cli", "codex"], "hook", {"title": "T", "agent": "furiosa", "cli": "codex"}),
    (["assign", "T", "furiosa"], "hook", {"title": "T", "agent": "furiosa", "cli": None}),
    (["sling", "3f2a", "max", "-l", "experimental"], "sling", {"bead": "3f2a", "agent": "max", "lane": "experimental"}),
    (["run", "P", "--title", "T", "-l", "critical"], "run", {"prompt": "P", "title": "T", "lane": "critical"}),
    (["send-back", "3f2a", "-m", "more"], "send_back", {"text": "more"}),
    (["done", "3f2a", "--fail", "--by-me"], "done", {"fail": True, "by_me": True}),
    (["approve", "8c11", "--always"], "decide", {"approve": True, "always": True}),
    (["deny", "8c11", "-m", "no"], "decide", {"approve": False, "text": "no"}),
    (["answer", "8c11", "PostgreSQL"], "decide", {"approve": True, "text": "PostgreSQL"}),
    (["nudge", "furiosa", "-m", "go", "--timeout", "3"], "nudge", {"text": "go", "wait_seconds": 3.0}),
    (["down", "--keep-agents"], "down", {"keep_agents": True}),
]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, route, body", BODIES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_is_sent(
    at: At, daemon: FakeDaemon, arguments: list[str], route: str, body: dict[str, Any]
) -> None:
    daemon.answers["health"] = {"ok": True, "pid": 999_999_999, "version": "0.1.0", "protocol": 1}
    assert at(*arguments).code == 0
    sent = daemon.last(route).body or {}
    assert {name: sent[name] for name in body} == body


@pytest.mark.parametrize(
    "arguments, route", [(["init"], "init"), (["add", "T"], "add"), (["run", "P"], "run")]
)
def test_orders_say_where_they_were_made(
    at: At, daemon: FakeDaemon, place: Any, arguments: list[str], route: str
) -> None:
    at(*arguments)
    assert (daemon.last(route).body or {})["path"] == str(place)


@pytest.mark.parametrize(
    "arguments, route",
    [
        (["run", "P"], "run"),
        (["sling", "3f2a", "max"], "sling"),
        (["retry", "3f2a"], "retry"),
        (["resume", "--all"], "resume_all"),
    ],
)
def test_the_whole_environment_goes_along(
    at: At, daemon: FakeDaemon, arguments: list[str], route: str
) -> None:
    at.environ["UNDECODABLE"] = "\udcff"
    at(*arguments)
    body = daemon.last(route).body or {}
    assert body.get("order", body)["env"] == at.environ


def test_an_order_has_every_choice(at: At, daemon: FakeDaemon) -> None:
    at("run", "P", "--cli", "opencode", "--allow", "all", "--base", "main~1", "--land", "--model", "m")
    order = (daemon.last("run").body or {})["order"]
    del order["env"]
    chosen = {"cli": "opencode", "allow": "all", "base": "main~1", "land": True, "model": "m"}
    assert order == chosen | {"budget": None}


@pytest.mark.parametrize("flag, land", [("--land", True), ("--no-land", False), (None, None)])
def test_landing_is_left_open_unless_said(
    at: At, daemon: FakeDaemon, flag: str | None, land: bool | None
) -> None:
    at("run", "P", *([flag] if flag else []))
    assert (daemon.last("run").body or {})["order"]["land"] is land


@pytest.mark.parametrize("text", ["a" * 2_000_000, "tab\tand\x1b[31m\nlines", "naïve 漢字 \u202e"])
def test_a_prompt_from_standard_input_is_word_for_word(at: At, daemon: FakeDaemon, text: str) -> None:
    assert at("run", "-", stdin=text.encode()).code == 0
    assert (daemon.last("run").body or {})["prompt"] == text


@pytest.mark.parametrize(
    "arguments", [["run", "-"], ["answer", "8c11", "-"], ["nudge", "furiosa", "-m", "-"]]
)
@pytest.mark.parametrize("given, says", [(b"\xff\xfe", "not valid UTF-8"), (b" \n", "is empty")])
def test_standard_input_that_is_no_text(
    at: At, daemon: FakeDaemon, arguments: list[str], given: bytes, says: str
) -> None:
    outcome = at(*arguments, "--json", stdin=given)
    assert outcome.code == 2 and says in outcome.error["message"]
    assert daemon.seen == []


@pytest.mark.parametrize(
    "arguments", [["run", "\udcff"], ["add", "\udcff"], ["hook", "\udcff", "max"], ["add", "  "]]
)
def test_arguments_that_are_no_text(at: At, daemon: FakeDaemon, arguments: list[str]) -> None:
    assert at(*arguments, "--json").code == 2
    assert daemon.seen == []


def test_a_title_of_control_characters_goes_as_given_and_is_shown_visibly(at: At, daemon: FakeDaemon) -> None:
    title = "\x1b]0;owned\x07\u202e"
    daemon.answers["beads"] = {
        "beads": [{"id": BEAD_ID, "title": title, "status": "backlog", "lane": "standard"}]
    }
    at("add", title)
    assert (daemon.last("add").body or {})["title"] == title
    plain, told = at("ls"), at("ls", "--json")
    assert "\\x1b]0;owned\\x07\\u202e" in plain.out
    assert told.document["beads"][0]["title"] == title
    assert not set(title) & {"\x1b", "\x07", "\u202e"} & set(told.out)


@pytest.mark.parametrize(
    "receipt, code",
    [("accepted", 0), ("started", 0), ("answered", 0), ("queued", 75), ("sent", 75), ("failed", 1)],
)
def test_the_exit_code_of_a_nudge_is_its_receipt(at: At, daemon: FakeDaemon, receipt: str, code: int) -> None:
    daemon.answers["nudge"] = {"message": {"id": "m", "receipt": receipt, "times": {}}}
    outcome = at("nudge", "furiosa", "-m", "x")
    assert outcome.code == code and receipt in outcome.out


def test_a_patch_is_bytes_off_a_terminal(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["diff"] = b"+\x1b[2J\xc3\xa9\n"
    assert at("diff", "3f2a").out == "+\x1b[2J\u00e9\n"
    shown = at("diff", "3f2a", "--since-seen", terminal=True, colour=True).out
    assert shown == "\x1b[32m+\\x1b[2J\u00e9\x1b[0m\n"
    assert daemon.last("diff").query["since_seen"] == "1"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_patch_that_was_cut_is_no_look(at: At, daemon: FakeDaemon, terminal: bool, json: list[str]) -> None:
    daemon.answers["diff"] = b"+a\n" + CUT_DIFF
    outcome = at("diff", "3f2a", *json, terminal=terminal)
    assert outcome.code == 1 and "looked" not in {seen.route for seen in daemon.seen}
    if json:
        assert outcome.document["cut"] is True
    else:
        assert "was cut" in outcome.err and f"git diff {'b' * 12} {'a' * 12}" in outcome.err


def test_a_patch_under_json_bears_the_whole_id(at: At, daemon: FakeDaemon) -> None:
    document = at("diff", "3f2a", "--json").document
    assert (document["bead"], document["patch"]) == (BEAD_ID, daemon.answers["diff"].decode())
    assert daemon.last("diff").path["bead"] == BEAD_ID  # the same one, whatever is added meanwhile


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["show", ""], "at ls"),
        (["diff", " "], "at ls"),
        (["hook", "", "furiosa"], "at ls"),
        (["hook", "T", ""], "at agents"),
        (["stop", ""], "at agents"),
        (["explain", ""], "at agents, at ls"),
        (["logs", ""], "at agents, at ls"),
        (["approve", ""], "at approvals"),
        (["answer", "", "yes"], "at approvals"),
        (["show", "\udcff"], ""),
    ],
)
def test_a_name_that_is_none_says_where_names_are(
    at: At, daemon: FakeDaemon, arguments: list[str], hint: str
) -> None:
    outcome = at(*arguments, "--json")
    assert (outcome.code, outcome.error["code"]) == (2, "usage")
    assert outcome.error["hint"] == hint if hint else outcome.error["hint"]
    assert daemon.seen == []


def test_the_file_is_shown_before_it_is_trusted(at: At, daemon: FakeDaemon) -> None:
    outcome = at("trust")
    assert [seen.body and seen.body.get("hash") for seen in daemon.seen] == [None, "c0ffee00"]
    assert outcome.out.index("[gates]") < outcome.out.index("trusted: ")


@pytest.mark.parametrize("typed, code, asked", [(b"y\n", 0, 2), (b"n\n", 3, 1), (b"", 3, 1)])
def test_trust_asks_on_a_terminal(at: At, daemon: FakeDaemon, typed: bytes, code: int, asked: int) -> None:
    assert at("trust", stdin=typed, interactive=True).code == code
    assert len(daemon.seen) == asked


def test_no_prompt_under_json(at: At, daemon: FakeDaemon) -> None:
    assert at("trust", "--json", interactive=True).code == 0
    assert len(daemon.seen) == 2


@pytest.mark.parametrize(
    "status, settled, exit_code, allowed, code",
    [
        ("done", True, 0, None, 0),
        ("review", True, 3, "person", 3),
        ("review", True, 0, None, 1),
        ("slung", False, 0, None, 1),
        ("failed", True, 1, None, 1),
    ],
)
def test_landing_waits_for_its_outcome(
    at: At, daemon: FakeDaemon, status: str, settled: bool, exit_code: int, allowed: str | None, code: int
) -> None:
    bead = {"id": BEAD_ID, "title": "T", "status": status}
    landing = {"allowed_by": allowed, "place": None}
    waiting = {"bead": {**bead, "status": "review"}, "settled": False, "exit_code": 0, "seq": 1}
    daemon.answers["land"] = waiting
    end = {"bead": bead, "settled": settled, "exit_code": exit_code, "landing": landing, "seq": 2}
    ends = iter([waiting, end])
    daemon.answers["wait"] = lambda _seen: next(ends)
    outcome = at("land", "3f2a", "--json")
    assert (outcome.code, outcome.document["bead"]["status"]) == (code, status)
    assert [seen.route for seen in daemon.seen] == ["land", "wait", "wait"]
    assert at("land", "3f2a", "--no-wait").code == 0


@pytest.mark.parametrize("arguments", [["resume"], ["resume", "furiosa", "--all"]])
def test_resume_wants_one_or_all(at: At, daemon: FakeDaemon, arguments: list[str]) -> None:
    assert at(*arguments, "--json").error["code"] == "usage"


def test_an_unknown_verb_names_the_closest(at: At) -> None:
    assert "at show" in at("shwo").err
    assert at("frobnicate", "--json").error["hint"] == "at --help"


def test_json_as_a_value_is_no_switch(at: At, daemon: FakeDaemon) -> None:
    assert at("add", "T", "-d", "--json").out.startswith("3f2a9c1e")
    assert at("--json", "add", "T").document["bead"]["id"] == BEAD_ID


def test_events_are_read_page_by_page(at: At, daemon: FakeDaemon) -> None:
    lines = at("events", "--json").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert [seen.query["after"] for seen in daemon.seen] == ["0", "2"]
    assert [json.loads(line)["seq"] for line in at("events", "--last", "1", "--json").out.splitlines()] == [2]


def test_following_ends_when_the_daemon_was_told_to_end(at: At, daemon: FakeDaemon) -> None:
    outcome = at("events", "-f", "--after", "0")
    assert outcome.code == 75
    assert "bead.slung" in outcome.out and "told to end" in outcome.err


def test_ids_are_quoted_into_paths(at: At, daemon: FakeDaemon) -> None:
    at("show", "a/b?c=d e")
    assert daemon.last("show").path == {"bead": "a/b?c=d e"}


def test_attach_to_an_agent_without_a_terminal_shows_its_transcript(at: At, daemon: FakeDaemon) -> None:
    outcome = at("attach", "furiosa")
    assert "looking" in outcome.out and "no terminal" in outcome.err


def test_nobody_waits(at: At, daemon: FakeDaemon) -> None:
    daemon.answers["approvals"] = {"approvals": []}
    assert at("approvals").out == "Nothing waits for you.\n"


def test_a_question_is_answered_and_a_command_is_approved(at: At, daemon: FakeDaemon) -> None:
    ask = {"id": ASK_ID, "agent": "furiosa", "kind": "question", "what": "Which?", "asked_at": None}
    daemon.answers["approvals"] = {"approvals": [ask, {**ask, "kind": "command", "what": "rm -rf build\nls"}]}
    shown = at("approvals").out
    assert f"at answer {ASK_ID[:8]} TEXT" in shown and f"at approve {ASK_ID[:8]} [--always]" in shown
    assert "    rm -rf build\n    ls\n" in shown
