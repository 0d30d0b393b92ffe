"""One session in trouble is the trouble of one session: the daemon, the other agents and `at down` go on."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from acceptance.product import Product

PROMPT = "ask sh echo hello"
LONG = "stream 3; write work.txt one"
SOON_SECONDS = 20.0
DOWN_SECONDS = 30.0
"""The command contract's."""


def session_of(product: Product, bead: str) -> str:
    """The session in which the bead's agent runs."""
    started = product.wait(bead, "agent.started")
    return str(started["payload"]["session"])


def holder_of(product: Product, session: str) -> int:
    """The process that holds a session."""
    wanted, found = os.fsencode(f"{session}.launch"), []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            if entry.name.isdigit() and wanted in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    (pid,) = found
    return pid


def label_of(product: Product, bead: str) -> str:
    """What `at show` calls the bead's agent."""
    return str(product.json("show", bead)["agent"]["label"])


def gate_begun(product: Product, bead: str) -> Path:
    """The journal's file of the bead's gate, once the gate has said `begun`."""
    product.wait(bead, "work.collected")
    begun: list[Path] = []
    while not begun:
        product.json("status")
        found = (product.home / "journal").glob("gate-*/*.seg")
        begun = [segment for segment in found if b"begun" in segment.read_bytes()]
    return begun[0]


def test_garbage_in_a_journal_costs_one_session(product: Product) -> None:
    harmed, other = product.start(LONG), product.start(LONG)
    session = session_of(product, harmed)
    product.wait(harmed, "text.spoken")
    (segment,) = (product.home / "journal" / session).glob("*.seg")
    with segment.open("ab") as file:
        file.write(b"garbage")
    lost = product.wait(harmed, "agent.lost")
    assert lost["payload"]["session"] == session
    assert product.run_to_rest(other)["bead"]["status"] == "review"
    began = time.monotonic()
    assert product.at("down").code == 0
    assert time.monotonic() - began < SOON_SECONDS
    assert product.processes() == []


def test_garbage_in_a_gates_journal_ends_the_gate_and_proves_nothing(product: Product) -> None:
    product.settings('[gates]\ncheck = "echo begun; while sleep 0.2; do echo tick; done"\n')
    bead = product.start("write a.txt x")
    segment = gate_begun(product, bead)
    with segment.open("ab") as file:
        file.write(b"garbage")
    blocked = product.wait(bead, "bead.blocked")
    assert "could not run" in blocked["payload"]["reason"]
    assert not product.json("show", bead)["proved"]
    assert not list((product.home / "gates").iterdir())
    assert not list((product.home / "journal").glob("gate-*"))


def test_a_gate_whose_holder_is_frozen_ends_with_its_time_limit(product: Product) -> None:
    product.settings(
        '[gates.check]\nrun = "echo begun; while sleep 0.2; do echo tick; done"\ntimeout_seconds = 4\n'
    )
    bead = product.start("write a.txt x")
    segment = gate_begun(product, bead)
    os.kill(holder_of(product, segment.parent.name), signal.SIGSTOP)
    finished = product.wait(bead, "gate.finished")
    assert not finished["payload"]["ok"]
    assert product.wait(bead, "bead.sent_back")


def test_an_agent_whose_holder_is_frozen_while_the_daemon_starts_is_unknown_and_goes_on(
    product: Product,
) -> None:
    bead = product.start(LONG)
    session = session_of(product, bead)
    product.wait(bead, "text.spoken")
    holder = holder_of(product, session)
    daemon = product.daemon_pid()
    os.kill(holder, signal.SIGSTOP)
    try:
        os.kill(daemon, signal.SIGKILL)
        assert label_of(product, bead) == "unknown"
        assert product.daemon_pid() != daemon
    finally:
        os.kill(holder, signal.SIGCONT)
    assert product.run_to_rest(bead)["bead"]["status"] == "review"
    seen = [event["type"] for event in product.json_lines("events") if event["bead_id"] == bead]
    assert seen.count("agent.started") == 1 and "agent.lost" not in seen


def test_down_ends_a_frozen_session_by_force_in_the_end(product: Product) -> None:
    bead = product.start(LONG)
    holder = holder_of(product, session_of(product, bead))
    os.kill(holder, signal.SIGSTOP)
    began = time.monotonic()
    assert product.at("down").code == 0
    assert time.monotonic() - began < DOWN_SECONDS
    assert product.processes() == []


def test_stop_ends_a_frozen_session_and_it_can_be_resumed(product: Product) -> None:
    bead = product.start("stream 3; write work.txt one")
    holder = holder_of(product, session_of(product, bead))
    product.wait(bead, "text.spoken")
    os.kill(holder, signal.SIGSTOP)
    os.kill(product.daemon_pid(), signal.SIGKILL)
    document = product.json("show", bead)
    assert [(want["kind"], want["hint"]) for want in document["attention"]] == [
        ("unknown", f"at stop {document['agent']['name']}")
    ]
    assert product.at("stop", document["agent"]["name"]).code == 0
    assert product.json("show", bead)["agent"]["label"] == "stopped"
    product.json("resume", document["agent"]["name"])
    assert product.run_to_rest(bead)["proved"]


def test_stop_ends_a_session_that_froze_while_it_was_followed(product: Product) -> None:
    bead = product.start(LONG)
    holder = holder_of(product, session_of(product, bead))
    product.wait(bead, "text.spoken")
    os.kill(holder, signal.SIGSTOP)
    assert product.at("stop", product.json("show", bead)["agent"]["name"]).code == 0
    assert product.json("show", bead)["agent"]["label"] == "stopped"
