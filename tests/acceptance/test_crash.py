"""The daemon is killed: at every named place, and at random under eight agents. Nothing is lost, nothing repeated."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from acceptance.product import Product

from at_daemon.failpoints import NAMES

ROUNDS = int(os.environ.get("AT_CRASH_ROUNDS", "12"))
SEED = int(os.environ.get("AT_CRASH_SEED", "1"))
PASSAGE = {
    "store.before-commit": 9,
    "store.after-commit": 9,
    "ingest.before-commit": 3,
    "ingest.after-commit": 3,
}
"""The first passages of these lie before the daemon answers, or before the agent has said anything."""


def events_of(product: Product, bead: str) -> list[dict[str, Any]]:
    """All events of one bead, in order."""
    return [event for event in product.happened() if event["bead_id"] == bead]


def lines_spoken(events: list[dict[str, Any]]) -> list[str]:
    """What the agent said, line by line."""
    spoken = [event["payload"]["text"] for event in events if event["type"] == "text.spoken"]
    return [line for text in spoken for line in text.splitlines() if line.startswith("line ")]


def assert_done_once(product: Product, bead: str, lines: int) -> None:
    """The bead landed exactly once, its prompt was taken exactly once, and its lines came once each and in order."""
    events = events_of(product, bead)
    counted = Counter(event["type"] for event in events)
    assert lines_spoken(events) == [f"line {number}" for number in range(1, lines + 1)]
    accepted = Counter(e["payload"]["message"] for e in events if e["type"] == "message.accepted")
    assert set(accepted.values()) == {1}, "a prompt was taken more than once"
    assert counted["message.queued"] == 1, "a prompt was made again"
    assert counted["turn.ended"] == 1
    assert counted["bead.landed"] == 1
    assert product.git("log", "main", "--merges", "--format=%B").count(f"Bead: {bead}") == 1
    assert product.json("show", bead)["bead"]["status"] == "done"


@pytest.mark.parametrize("place", NAMES)
def test_killed_at_a_named_place_it_ends_as_if_nothing_had_happened(product: Product, place: str) -> None:
    product.settings('[gates]\ncheck = "test -e made"\n[worktree]\nsetup = "true"\nteardown = "true"\n')
    assert product.at("down").code == 0
    assert product.at("up", AT_FAILPOINT=f"{place}:{PASSAGE.get(place, 1)}").code == 0
    first = product.daemon_pid()
    bead = product.start("stream 0.6; write work.txt one\nshell touch made", "--land")
    product.wait(bead, "ask.opened")
    for ask in product.json("approvals")["approvals"]:
        # The daemon that takes it may be the one that dies before it answers; what it took is on record.
        assert product.at("approve", ask["id"]).code in (0, 69)
    product.wait(bead, "folder.removed")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    assert_done_once(product, bead, lines=lines_for(0.6))


@pytest.mark.crash
@pytest.mark.timeout(1200)
def test_killed_at_random_under_eight_agents(product: Product) -> None:
    dice = random.Random(SEED)
    product.settings('[gates]\ncheck = "true"\n')
    seconds = max(3.0, float(ROUNDS))
    beads = [product.start(f"stream {seconds}; write file-{n}.txt {n}", "--land") for n in range(8)]
    adopted: list[float] = []
    for _ in range(ROUNDS):
        threading.Event().wait(dice.uniform(0.02, 0.6))
        product.kill_daemon()
        began = time.monotonic()
        assert product.at("up").code == 0
        adopted.append(time.monotonic() - began)
    for bead in beads:
        product.wait(bead, "folder.removed")
    for bead in beads:
        assert_done_once(product, bead, lines=lines_for(seconds))
    assert sorted(path.name for path in product.repo.glob("file-*.txt")) == [
        f"file-{n}.txt" for n in range(8)
    ]
    assert product.git("status", "--porcelain") == ""
    adopted.sort()
    p95 = adopted[int(len(adopted) * 0.95) - 1]
    print(f"killed {ROUNDS} times with seed {SEED}; up again (command, start, adoption) p95 {p95:.2f} s")


def lines_for(seconds: float) -> int:
    """How many lines the demo agent says in a `stream`."""
    from at_session.demo.steps import LINES_PER_SECOND

    return round(seconds * LINES_PER_SECOND)


def test_a_daemon_that_dies_in_a_stream_of_words_tells_each_line_once(product: Product) -> None:
    bead = product.start("stream 6; write a.txt a")
    for lines in (2, 12):
        while len(said(product, bead)) < lines:
            pass
        product.kill_daemon()
    product.run_to_rest(bead)
    assert said(product, bead) == [f"line {number}" for number in range(1, 31)]


def said(product: Product, bead: str) -> list[str]:
    return [row["text"] for row in product.json_lines("logs", bead) if row["text"].startswith("line ")]
