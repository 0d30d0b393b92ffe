"""The product with Codex itself: a nudge in mid-turn; the daemon killed while it works and while it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from clis.codex_stage import CODEX, escalated
from clis.conftest import Ground
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
