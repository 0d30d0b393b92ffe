"""The live screen without a terminal: keys from bytes, what they do, and pictures of every size."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_cli.style import cells
from at_cli.top.draw import picture
from at_cli.top.feed import Feed, Refreshed
from at_cli.top.keys import Keys
from at_cli.top.model import (
    Errand,
    Fetch,
    Leave,
    Mode,
    State,
    newly_wanted,
    press,
    with_document,
    with_fetched,
    with_page,
)
from at_cli.top.paper import Paper
from at_core.errors import TryLater

NOW = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
WHEN = "2026-11-22T10:00:00.000000Z"


def agent(name: str, status: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "name": name,
        "cli": "claude",
        "status": status,
        "label": "working",
        "bead_id": f"bead-{name}",
        "bead": f"Work of {name}",
        "began_at": WHEN,
        "ended_at": None,
        "cost_usd": 0.42,
        "cost_estimated": True,
        "last": {"at": WHEN, "kind": "tool", "text": "Read: a.py"},
    } | more


def need(name: str, kind: str = "approval", reason: str = "rm -rf build") -> dict[str, Any]:
    return {
        "kind": kind,
        "bead": f"bead-{name}",
        "title": f"Work of {name}",
        "agent": name,
        "reason": reason,
        "acts": [],
        "ask": f"ask-{name}" if kind in ("approval", "question") else None,
        "blocks": 1,
        "since": WHEN,
    }


def state(*needs: dict[str, Any], agents: tuple[str, ...] = ("larch", "rook", "wren")) -> State:
    document = {"rig_name": "shop", "needs": list(needs), "agents": [agent(name) for name in agents]}
    return with_document(State(), document)


def after(start: State, *keys: str, paper: Paper = Paper(80, 23)) -> tuple[State, Any]:
    effect: Any = None
    for key in keys:
        start, effect = press(start, key, paper)
    return start, effect


@pytest.mark.parametrize(
    ("pieces", "keys"),
    [
        ([b"jk\r"], ["j", "k", "enter"]),
        ([b"\x1b[A\x1bOB\x1b[5~"], ["up", "down", "page-up"]),
        ([b"\x1b", b"[", b"A"], ["up"]),
        (["ü".encode()[:1], "ü".encode()[1:]], ["ü"]),
        ([b"\x1b[200~x\x1b[201~"], ["x"]),
        ([b"\x1b[1;5Q\x1bx\x00\x1a"], ["suspend"]),
    ],
)
def test_bytes_to_keys(pieces: list[bytes], keys: list[str]) -> None:
    reader = Keys()
    assert [key for piece in pieces for key in reader.feed(piece)] == keys
    assert not reader.waits


def test_an_escape_alone_is_a_key_once_nothing_follows() -> None:
    reader = Keys()
    assert reader.feed(b"\x1b") == [] and reader.waits
    assert reader.flush() == ["escape"] and reader.flush() == []


@given(st.lists(st.binary(max_size=12), max_size=5))
def test_no_bytes_of_a_terminal_become_a_control_character(pieces: list[bytes]) -> None:
    reader = Keys()
    found = [key for piece in pieces for key in reader.feed(piece)]
    assert all(len(key) > 1 or key.isprintable() for key in found)


def test_what_needs_me_comes_first_and_the_selection_stays_with_its_line() -> None:
    shown = state(need("wren"))
    assert [row.name for row in shown.rows] == ["wren", "larch", "rook"]
    moved, _ = after(shown, "j", "j")
    assert moved.row is not None and moved.row.name == "rook"
    again = with_document(
        moved, {"rig_name": None, "needs": [need("rook")], "agents": [agent("rook"), agent("larch")]}
    )
    assert again.row is not None and again.row.name == "rook"


@pytest.mark.parametrize(
    ("kind", "keys", "effect"),
    [
        ("approval", ["y", "y"], Errand("decide", {"ask": "ask-wren", "approve": True}, "approved")),
        ("approval", ["n", "y"], Errand("decide", {"ask": "ask-wren", "approve": False}, "denied")),
        ("approval", ["y", "n"], None),
        ("approval", ["y", "escape"], None),
        (
            "question",
            ["y", "b", "o", "backspace", "o", "enter"],
            Errand("decide", {"ask": "ask-wren", "approve": True, "text": "bo"}, "answered"),
        ),
        ("question", ["y", " ", "enter"], None),
        ("review", ["y"], None),
        ("review", ["l", "y"], Errand("land", {"bead": "bead-wren"}, "let land")),
        ("failed", ["r", "y"], Errand("retry", {"bead": "bead-wren"}, "begun again")),
        (
            "review",
            ["m", "g", "o", "enter"],
            Errand("nudge", {"agent": "wren", "wait_seconds": 0.0, "text": "go"}, "queued for wren"),
        ),
        ("review", ["d"], Fetch("diff", "bead-wren", "Work of wren", 1)),
        ("review", ["enter"], Fetch("story", "bead-wren", "Work of wren", 1)),
        ("review", ["q"], Leave.QUIT),
    ],
)
def test_keys_on_what_needs_me(kind: str, keys: list[str], effect: object) -> None:
    final, found = after(state(need("wren", kind)), *keys)
    assert found == effect
    assert final.mode is Mode.LIST


def test_nothing_is_allowed_that_was_not_seen_whole() -> None:
    long = state(need("wren", reason="\n".join(f"line {number}" for number in range(30))))
    asked, effect = after(long, "y", "y")
    assert (asked.mode, effect) == (Mode.CONFIRM, None) and "see it whole" in asked.notice
    _, effect = after(asked, "y")
    assert effect == Errand("decide", {"ask": "ask-wren", "approve": True}, "approved")


def test_the_end_of_a_long_line_is_shown_before_y_allows_it() -> None:
    command = f"curl {'harmless ' * 40}; rm -rf ~/everything"
    paper, seen = Paper(80, 8, colour=False), ""
    asked, effect = after(state(need("wren", reason=command)), "y", paper=paper)
    while effect is None:
        seen += "".join(picture(asked, paper, NOW)[2:-1])
        asked, effect = after(asked, "y", paper=paper)
    assert effect == Errand("decide", {"ask": "ask-wren", "approve": True}, "approved")
    assert command in seen


def test_a_long_question_is_read_while_its_answer_is_typed() -> None:
    paper = Paper(80, 10, colour=False)
    asking = state(need("wren", "question", "\n".join(f"line {number}" for number in range(30))))
    asked, _ = after(asking, "y", "page-down", "n", "o", paper=paper)
    shown = picture(asked, paper, NOW)
    assert "line 7" in shown and shown[-1] == "answer: no_"


def test_a_page_that_shrank_shows_its_end() -> None:
    read, _ = after(with_page(state(), "", ["x" * 600]), "G", paper=Paper(60, 8))
    assert picture(read, Paper(140, 8, colour=False), NOW)[2].startswith("xxx")


@pytest.mark.parametrize("size", [(59, 24), (80, 7)])
def test_nothing_is_allowed_where_nothing_can_be_shown(size: tuple[int, int]) -> None:
    small = Paper(*size)
    before = state(need("wren"))
    assert after(before, "y", "y", paper=small) == (before, None)
    asked, _ = after(before, "y")
    assert after(asked, "y", paper=small) == (asked, None)
    assert after(before, "q", paper=small)[1] is Leave.QUIT
    assert after(asked, "interrupt", paper=small)[1] is Leave.QUIT


def test_what_was_fetched_is_shown_to_who_waits_for_it() -> None:
    waiting, effect = after(state(need("wren", "review")), "d", "j", "k")
    read = with_fetched(waiting, 1, "Change", ["+x"])
    assert (read.mode, read.page) == (Mode.PAGE, ("+x",))


@pytest.mark.parametrize("keys", [["m", "d", "o"], ["m", "escape"], ["l"], ["/"], ["enter"], ["?", "q"]])
def test_what_comes_late_takes_nothing_from_what_a_person_does_now(keys: list[str]) -> None:
    now, _ = after(state(need("wren", "review")), "d", *keys)
    assert with_fetched(now, 1, "Change", ["+x"]) == now


def test_a_filter_shows_what_has_a_word_in_it() -> None:
    filtered, _ = after(state(need("wren")), "/", "O", "O", "enter")
    assert [row.name for row in filtered.shown] == ["rook"]
    assert len(after(filtered, "escape")[0].shown) == 3


TEXT = st.text(max_size=60)
SIZES = st.tuples(st.integers(1, 140), st.integers(1, 50))


@given(text=TEXT, size=SIZES, mode=st.sampled_from(["list", "page", "confirm", "words", "filter"]))
def test_no_text_leaves_its_line_or_acts_on_the_terminal(text: str, size: tuple[int, int], mode: str) -> None:
    shown = state(need("wren", reason=text), agents=())
    shown = with_document(
        shown, {"rig_name": text, "needs": [need("wren", reason=text)], "agents": [agent("wren", bead=text)]}
    )
    if mode == "page":
        shown = with_page(shown, text, text.split("\n"))
    elif mode != "list":
        shown, _ = after(shown, {"confirm": "y", "words": "m", "filter": "/"}[mode], *text[:20])
    for colour in (False, True):
        lines = picture(shown, Paper(*size, colour=colour), NOW)
        assert len(lines) == size[1]
        for line in lines:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line) if colour else line
            assert plain.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", plain)
            assert cells(plain) <= size[0]


def test_a_picture_of_eighty_columns() -> None:
    lines = picture(state(need("wren"), agents=("larch", "wren")), Paper(80, 12, colour=False), NOW)
    assert lines[0] == "at top: shop  1 need you, 2 of 2 at work"
    assert re.split(" {2,}", lines[2]) == [">! wren", "asks for approval", "60m", "~$0.42", "Work of wren"]
    assert lines[-1].startswith("enter  y n answer") and "rm -rf build" in "\n".join(lines)
    assert Paper(80, 12).page_lines == 9


@pytest.mark.parametrize(
    ("columns", "shown"), [(60, False), (75, False), (76, True), (80, True), (120, True)]
)
def test_what_is_left_of_the_context_yields_first_on_a_narrow_terminal(columns: int, shown: bool) -> None:
    agents = [agent("larch", context={"left_percent": 7}), agent("wren", context=None)]
    rows = with_document(State(), {"rig_name": "shop", "needs": [], "agents": agents})
    head, larch, wren = picture(rows, Paper(columns, 12, colour=False), NOW)[1:4]
    assert ("ctx" in head, " 7% Work" in larch) == (shown, shown)
    assert "~$0.42" in wren and "%" not in wren


def test_no_figure_of_a_cost_is_cut() -> None:
    costs = [(0.0004, "~<$0.01"), (0.08, "~$0.08"), (99.5, "~$99.50"), (1234.5, "~$1,234"), (0, "~$0.00")]
    for cost, words in costs:
        rows = with_document(State(), {"needs": [], "agents": [agent("wren", cost_usd=cost)]})
        assert f" {words} " in picture(rows, Paper(80, 12, colour=False), NOW)[2]


def test_a_need_that_comes_back_is_news_again() -> None:
    wren, larch = need("wren", "review"), need("larch", "review")
    known, news = newly_wanted(None, [wren])
    told = [news]
    for needs in ([wren], [wren, larch], [larch], [larch, wren]):
        known, news = newly_wanted(known, needs)
        told.append(news)
    assert told == [[], [], [larch], [], [wren]]


class OneFailure:
    """A daemon that fails one call for the document, and of which nothing happens but what a test says."""

    def __init__(self) -> None:
        self.calls = 0
        self.happens = threading.Event()
        self.asked: list[int] = []

    def call_running(self, route: str, **values: Any) -> dict[str, Any]:
        if route == "events":
            self.asked.append(values["after"])
            self.happens.wait()
            return {"events": [{}]}
        self.calls += 1
        if self.calls == 1:
            raise TryLater("timed out", "at top")
        return {"seq": self.calls}


def test_a_document_that_failed_is_asked_for_again_though_nothing_happens() -> None:
    daemon = OneFailure()
    feed = Feed(daemon, "/", lambda: None)  # type: ignore[arg-type]
    feed.start()
    assert feed.queue.get(timeout=20) == Refreshed(None)
    assert feed.queue.get(timeout=20) == Refreshed({"seq": 2})
    assert feed.queue.empty()
    daemon.happens.set()
    assert feed.queue.get(timeout=20) == Refreshed({"seq": 3})
    assert daemon.asked[0] == 2
