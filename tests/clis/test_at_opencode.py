"""The product with OpenCode itself: the daemon killed while it works and while it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from clis.conftest import Ground
from clis.kills import land_through_kills
from clis.opencode_stage import CLI, bash

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Stream, UseTools

KILLS = 6


def write(name: str) -> UseTools:
    return UseTools((CLI.write(name, "hi\n"),), text="I write it.")


@pytest.fixture
def product(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Product]:
    """A product whose `opencode` is the real one, with the scripted model behind it."""
    with product_in(ground.home / "work") as made:
        made.env |= {
            "PATH": f"{commands}{os.pathsep}{made.env['PATH']}",
            **CLI.settle(Path(made.env["HOME"]), ground.home, endpoint.url),
        }
        yield made


def test_killed_while_it_asks_and_while_it_streams_nothing_is_lost_or_repeated(
    product: Product, endpoint: Endpoint
) -> None:
    command = "curl --version; echo made > b.txt"
    marker = endpoint.script("long", write("a.txt"), bash(command), Stream(6.0))
    bead = str(product.json("run", marker, "--cli", "opencode", "--land")["bead"]["id"])
    ask = land_through_kills(product, bead, KILLS)
    assert (ask["kind"], ask["what"]) == ("command", command)
    kinds = [event["type"] for event in product.json_lines("events") if event["bead_id"] == bead]
    for kind in ("message.accepted", "turn.ended", "bead.landed"):
        assert kinds.count(kind) == 1, kind
    document = product.json("show", bead)
    sent = endpoint.sent(endpoint.exchanges())
    assert document["usage"]["output_tokens"] == sent.output
    assert endpoint.deliveries("long") == 1
    assert (product.repo / "b.txt").exists()
