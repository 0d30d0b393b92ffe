"""The machine stays awake as long as agents are at work, and not a moment longer."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from acceptance.product import Product

STAND_IN = """#!/bin/sh
echo "begin $*" > "$HOME/inhibited"
cat > /dev/null
echo end > "$HOME/inhibited"
"""


@pytest.fixture
def inhibited(product: Product, tmp_path: Path) -> Iterator[TextIO]:
    """A system's tool that tells when it is begun and when it ends, a line each."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemd-inhibit").write_text(STAND_IN)
    (tools / "systemd-inhibit").chmod(0o755)
    product.env["PATH"] = f"{tools}:{product.env['PATH']}"
    pipe = Path(product.env["HOME"]) / "inhibited"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDWR), buffering=1, closefd=True) as lines:
        yield lines


def silent(lines: TextIO) -> bool:
    """Whether nothing was told that was not read."""
    return not select.select([lines], [], [], 0)[0]


def test_it_is_held_off_while_an_agent_works_and_not_while_it_waits_for_a_person(
    product: Product, inhibited: TextIO
) -> None:
    product.at("config", "general.keep_awake", "true")
    bead = product.start("stream 3; ask Shall I?; write a.txt a", "--title", "One")
    began = inhibited.readline()
    assert "--what=idle:sleep" in began and "--why=agents are at work" in began
    product.wait(bead, "ask.opened")
    assert inhibited.readline() == "end\n"
    assert silent(inhibited)


def test_nothing_is_held_unless_it_is_wanted_and_nothing_outlives_the_daemon(
    product: Product, inhibited: TextIO
) -> None:
    assert product.run("write a.txt a")["proved"]
    assert silent(inhibited)
    product.at("config", "general.keep_awake", "true")
    product.start("stream 60")
    assert inhibited.readline().startswith("begin")
    product.kill_daemon()
    assert inhibited.readline() == "end\n"


def test_where_it_cannot_be_held_off_that_is_told_once(
    product: Product, inhibited: TextIO, tmp_path: Path
) -> None:
    (tmp_path / "tools/systemd-inhibit").write_text("#!/bin/sh\nexit 1\n")
    product.at("config", "general.keep_awake", "true")
    bead = product.start("stream 5; write a.txt a")
    product.run_to_rest(bead)
    told = [event for event in product.json_lines("events") if event["type"] == "keep_awake.failed"]
    assert len(told) == 1 and "exit code 1" in told[0]["payload"]["reason"]
    assert silent(inhibited)
