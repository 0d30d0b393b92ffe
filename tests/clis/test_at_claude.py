"""The product with Claude Code itself: the daemon killed while it works and while it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from clis.claude_stage import CLAUDE, bash
from clis.conftest import Ground
from clis.kills import land_through_kills

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Stream, UseTools

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


@pytest.mark.timeout(600)
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
