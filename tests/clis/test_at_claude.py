"""The product with Claude Code itself: run, prove, land; approvals; no change; the daemon killed while it works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from clis.claude_stage import CLAUDE, bash
from clis.conftest import Ground
from clis.figures import figures, shown
from clis.kills import land_through_kills

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Say, Stream, UseTools

KILLS = 10


def write(name: str) -> UseTools:
    return UseTools((CLAUDE.write(name, "hi\n"),), text="I write it.")


@pytest.fixture
def product(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Product]:
    """A product whose `claude` is the real one, with the scripted model behind it."""
    with product_in(ground.home / "work") as made:
        made.env |= {
            "PATH": f"{commands}{os.pathsep}{made.env['PATH']}",
            **CLAUDE.settle(Path(made.env["HOME"]), ground.home, endpoint.url),
        }
        yield made


def test_a_run_is_proved_then_landed_with_both_trailers_and_exact_tokens(
    product: Product, endpoint: Endpoint
) -> None:
    marker = endpoint.script("first", write("hello.txt"), Say("Done."))
    document = product.json("run", f"Please write. {marker}", "--cli", "claude", "--wait", "--timeout", "50")
    bead = document["bead"]
    assert (bead["status"], document["proved"]) == ("review", True)
    assert shown(document) == figures(endpoint, endpoint.exchanges())
    assert document["usage"]["cost_usd"] > 0
    assert "+hi" in product.at("diff", bead["id"]).stdout
    landed = product.json("land", bead["id"])
    assert landed["bead"]["status"] == "done"
    message = product.git("log", "-1", "--format=%B", "main")
    assert f"Bead: {bead['id']}" in message
    assert f"Agent: {document['agent']['name']}" in message
    assert (product.repo / "hello.txt").read_text() == "hi\n"
    assert endpoint.deliveries("first") == 1


def test_with_land_it_is_done_by_itself(product: Product, endpoint: Endpoint) -> None:
    marker = endpoint.script("land", write("a.txt"), Say("Done."))
    document = product.json("run", marker, "--cli", "claude", "--wait", "--land", "--timeout", "50")
    assert document["bead"]["status"] == "done"
    assert (product.repo / "a.txt").exists()


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_command_is_asked_for_exactly_and_the_decision_is_obeyed(
    product: Product, endpoint: Endpoint, verdict: str
) -> None:
    marker = endpoint.script(
        "ask", write("a.txt"), bash("curl --version; echo made > by-command.txt"), Say("Done.")
    )
    bead = str(product.json("run", marker, "--cli", "claude")["bead"]["id"])
    product.wait(bead, "ask.opened")
    (ask,) = product.json("approvals")["approvals"]
    assert (ask["kind"], ask["what"]) == ("command", "curl --version; echo made > by-command.txt")
    product.json(verdict, ask["id"])
    product.wait(bead, "bead.proved")
    document = product.json("land", bead)
    assert document["bead"]["status"] == "done"
    assert (product.repo / "a.txt").exists()
    assert (product.repo / "by-command.txt").exists() is (verdict == "approve")


def test_no_change_fails_and_says_so(product: Product, endpoint: Endpoint) -> None:
    marker = endpoint.script("idle", Say("All done, everything works."))
    document = product.json("run", marker, "--cli", "claude", "--wait", "--timeout", "50", code=1)
    assert document["bead"]["status"] == "failed"
    assert "no change was made" in document["reasons"][0]


def test_a_refused_login_fails_within_a_minute_and_says_how_to_log_in(
    product: Product, endpoint: Endpoint
) -> None:
    marker = endpoint.script("login", *[CLAUDE.login_refused()] * 20)
    document = product.json("run", marker, "--cli", "claude", "--wait", "--timeout", "55", code=3)
    assert document["bead"]["status"] == "failed"
    assert "login" in document["reasons"][0] or "401" in document["reasons"][0]
    assert any("claude" in entry["hint"] for entry in document["attention"])


@pytest.mark.timeout(240)
def test_killed_ten_times_while_it_streams_and_while_it_waits_nothing_is_lost_or_repeated(
    product: Product, endpoint: Endpoint
) -> None:
    marker = endpoint.script("long", write("a.txt"), bash("curl --version; echo made > b.txt"), Stream(6.0))
    bead = str(product.json("run", marker, "--cli", "claude", "--land")["bead"]["id"])
    land_through_kills(product, bead, KILLS)
    events = [event for event in product.json_lines("events") if event["bead_id"] == bead]
    kinds = [event["type"] for event in events]
    assert kinds.count("message.accepted") == 1
    assert kinds.count("turn.ended") == 1
    assert kinds.count("bead.landed") == 1
    spoken = [e["payload"]["text"] for e in events if e["type"] == "text.spoken"]
    assert spoken[-1].split("\n")[:3] == ["line 1", "line 2", "line 3"]
    assert endpoint.deliveries("long") == 1
    assert (product.repo / "b.txt").exists()
