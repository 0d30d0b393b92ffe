"""The product with Codex itself: run, prove, land; approvals; a usage limit; the daemon killed while it works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from clis.codex_stage import CODEX, escalated, shell
from clis.conftest import Ground
from clis.figures import figures, shown
from clis.kills import land_through_kills

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Say, Stream, UseTools

KILLS = 10


def write(name: str) -> UseTools:
    return UseTools((CODEX.write(name, "hi\n"),), text="I write it.")


@pytest.fixture
def product(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Product]:
    """A product whose `codex` is the real one, with the scripted model behind it."""
    with product_in(ground.home / "work") as made:
        made.env |= {
            "PATH": f"{commands}{os.pathsep}{made.env['PATH']}",
            "TMPDIR": "/tmp",
            **CODEX.settle(Path(made.env["HOME"]), ground.home, endpoint.url),
        }
        yield made


def test_a_run_that_commits_by_itself_is_proved_then_landed_with_exact_tokens(
    product: Product, endpoint: Endpoint
) -> None:
    commit = shell("git add -A && git commit -q -m 'Say hi'")
    marker = endpoint.script("first", write("hello.txt"), commit, Say("Done."))
    document = product.json("run", f"Please write. {marker}", "--cli", "codex", "--wait", "--timeout", "50")
    bead = document["bead"]
    assert (bead["status"], document["proved"]) == ("review", True)
    assert shown(document) == figures(endpoint, endpoint.exchanges())
    assert product.json("land", bead["id"])["bead"]["status"] == "done"
    assert (product.repo / "hello.txt").read_text() == "hi\n"
    assert "Say hi" in product.git("log", "--format=%s", "main")
    assert endpoint.deliveries("first") == 1


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_command_is_asked_for_exactly_and_the_decision_is_obeyed(
    product: Product, endpoint: Endpoint, verdict: str
) -> None:
    command = "curl --version; echo made > by-command.txt"
    marker = endpoint.script("ask", write("a.txt"), escalated(command), Say("Done."))
    bead = str(product.json("run", marker, "--cli", "codex")["bead"]["id"])
    product.wait(bead, "ask.opened")
    (ask,) = product.json("approvals")["approvals"]
    assert (ask["kind"], ask["what"]) == ("command", command)
    product.json(verdict, ask["id"])
    product.wait(bead, "bead.proved")
    assert product.json("land", bead)["bead"]["status"] == "done"
    assert (product.repo / "by-command.txt").exists() is (verdict == "approve")


def test_a_refused_login_fails_and_says_how_to_log_in(product: Product, endpoint: Endpoint) -> None:
    marker = endpoint.script("login", CODEX.login_refused())
    document = product.json("run", marker, "--cli", "codex", "--wait", "--timeout", "55", code=3)
    assert document["bead"]["status"] == "failed"
    assert any("codex login" in entry["hint"] for entry in document["attention"])


def test_a_usage_limit_is_parked_until_the_reset_that_the_cli_gave(
    product: Product, endpoint: Endpoint
) -> None:
    marker = endpoint.script("quota", CODEX.quota(1_900_000_000))
    bead = str(product.json("run", marker, "--cli", "codex")["bead"]["id"])
    product.wait(bead, "limit.reached")
    document = product.json("show", bead)
    assert document["bead"]["status"] == "slung"
    (entry,) = [each for each in document["attention"] if each["kind"] == "limit"]
    assert entry["reset_at"] == "2030-03-17T17:46:40Z"


def test_a_nudge_in_mid_turn_waits_for_a_turn_of_its_own(product: Product, endpoint: Endpoint) -> None:
    marker = endpoint.script("work", write("a.txt"), Stream(2.0))
    document = product.json("run", marker, "--cli", "codex")
    bead, agent = str(document["bead"]["id"]), str(document["agent"]["name"])
    product.wait(bead, "message.started")
    nudged = endpoint.script("nudge", write("b.txt"), Say("And b."))
    product.at("nudge", agent, "-m", f"Write b as well. {nudged}")
    assert endpoint.wait_for(lambda: len(endpoint.of("nudge")) == 2, 40)
    product.wait(bead, "bead.proved")
    assert (endpoint.deliveries("work"), endpoint.deliveries("nudge")) == (1, 1)
    events = [event for event in product.json_lines("events") if event["bead_id"] == bead]
    spoken = [event["payload"]["text"] for event in events if event["type"] == "text.spoken"]
    assert spoken[-1] == "And b."
    assert spoken[-3].splitlines()[-1] == "line 10"
    assert [event["type"] for event in events].count("turn.ended") == 2


def test_killed_ten_times_while_it_streams_and_while_it_waits_nothing_is_lost_or_repeated(
    product: Product, endpoint: Endpoint
) -> None:
    ask = escalated("curl --version; echo made > b.txt")
    marker = endpoint.script("long", write("a.txt"), ask, Stream(6.0))
    bead = str(product.json("run", marker, "--cli", "codex", "--land")["bead"]["id"])
    land_through_kills(product, bead, KILLS)
    events = [event for event in product.json_lines("events") if event["bead_id"] == bead]
    kinds = [event["type"] for event in events]
    assert [kinds.count(each) for each in ("message.accepted", "turn.ended", "bead.landed")] == [1, 1, 1]
    spoken = [event["payload"]["text"] for event in events if event["type"] == "text.spoken"]
    assert spoken[-1].split("\n")[:3] == ["line 1", "line 2", "line 3"]
    assert endpoint.deliveries("long") == 1
    assert (product.repo / "b.txt").exists()
