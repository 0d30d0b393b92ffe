"""Sessions that a person began with Claude Code or Codex themselves go on in a clone, and know what was said before."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from acceptance.product import PATIENCE_SECONDS, Product, product_in
from clis.claude_stage import CLAUDE
from clis.codex_stage import CODEX
from clis.conftest import Ground

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Say, UseTools

KINDS: dict[str, Any] = {"claude": CLAUDE, "codex": CODEX}
BEGUN = "We call the answer forty-two."


def own_claude(product: Product, prompt: str) -> str:
    """The person's own session in their checkout; its id."""
    session = str(uuid4())
    words = ("claude", "-p", prompt, "--session-id", session, "--permission-mode", "acceptEdits")
    assert BEGUN in called(product, *words)
    return session


def own_codex(product: Product, prompt: str) -> str:
    """The same with Codex, which chooses the id."""
    lines = called(product, "codex", "exec", "--json", "-s", "workspace-write", prompt).splitlines()
    started = next(line for line in map(json.loads, lines) if line["type"] == "thread.started")
    return str(started["thread_id"])


def called(product: Product, *words: str) -> str:
    return subprocess.run(
        words,
        cwd=product.repo,
        env=product.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    ).stdout


OWN: dict[str, Callable[[Product, str], str]] = {"claude": own_claude, "codex": own_codex}


@pytest.fixture
def product(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Product]:
    """A product beside the real CLIs, with the scripted model behind them."""
    with product_in(ground.home / "work") as made:
        made.env |= {"PATH": f"{commands}{os.pathsep}{made.env['PATH']}", "TMPDIR": "/tmp"}
        for kind in KINDS.values():
            made.env |= kind.settle(Path(made.env["HOME"]), ground.home, endpoint.url)
        yield made


@pytest.mark.parametrize("cli", KINDS)
def test_the_conversation_goes_on_in_a_clone_of_the_checkout(
    product: Product, endpoint: Endpoint, cli: str
) -> None:
    session = OWN[cli](product, endpoint.script("own", Say(BEGUN)))
    product.write("mine.txt", "not committed\n")
    before = product.git("status", "--porcelain")
    more = endpoint.script("more", UseTools((KINDS[cli].write("more.txt", "more\n"),)), Say("Written."))
    document = product.json("adopt", session, "-m", more, "--wait", "--timeout", "80")
    assert document["agent"]["cli"] == cli
    assert (document["agent"]["session_id"] == session) is (cli == "claude")  # codex: a copy of another id
    assert not (product.repo / "more.txt").exists()
    assert (document["proved"], document["evidence"]["diff"]["files"]) == (True, 2)
    assert BEGUN in json.dumps(endpoint.of("more")[0].body)
    assert endpoint.deliveries("more") == 1
    assert product.git("status", "--porcelain") == before
