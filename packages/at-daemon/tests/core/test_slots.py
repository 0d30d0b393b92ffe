"""Slots and ports of what runs at the same time."""

from __future__ import annotations

import socket

import anyio
import pytest

from at_agents.decisions import Do, IntentKind
from at_core.types import BeadStatus
from at_daemon import slots
from at_daemon.acts.proof import gate_session_id
from at_daemon.leftovers import free_stale_slots
from at_daemon.slots import PORTS, listening_ports, port_of, slot_document, slot_for, slot_marks
from at_daemon.testing import Desk

FIRST = 21000


@pytest.mark.parametrize(
    ("slot", "marks"),
    [
        (1, {"AT_SLOT": "1", "AT_PORT": "21000"}),
        (2, {"AT_SLOT": "2", "AT_PORT": "21010"}),
        (4453, {"AT_SLOT": "4453", "AT_PORT": "65520"}),
        (4454, {"AT_SLOT": "4454"}),
    ],
)
def test_a_slot_has_ten_ports_of_its_own_as_long_as_there_are_some(slot: int, marks: dict[str, str]) -> None:
    assert slot_marks(slot, FIRST) == marks
    port = port_of(slot, FIRST)
    assert slot_document(slot, FIRST) == {"number": slot, "first_port": port, "ports": PORTS}


def test_who_listens_is_seen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert port not in listening_ports()
        listener.listen()
        assert port in listening_ports()


def test_a_slot_is_kept_and_one_with_a_port_in_use_is_passed_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "listening_ports", lambda: {22, FIRST + PORTS + 3, 65535})
    taken = [anyio.run(slot_for, desk.ledger, owner, FIRST) for owner in ("a", "b", "a", "c")]
    assert taken == [1, 3, 1, 4]


def test_slots_of_beads_that_are_gone_and_of_gates_that_are_over_are_given_back(desk: Desk) -> None:
    bead, gone = desk.bead(desk.agent("wren")), desk.bead(desk.agent("teal"), BeadStatus.BACKLOG)
    running, over = (Do(name, IntentKind.GATE, {}) for name in ("running", "over"))
    desk.do(lambda change: change.intend(running, None, None))
    (intent,) = desk.do(lambda change: change.tx.open_intents())
    kept = [str(bead.id), gate_session_id(intent)]
    for owner in (*kept, str(gone.id), f"gate-{over.key}"):
        anyio.run(slot_for, desk.ledger, owner, FIRST)
    desk.do(lambda change: change.tx.remove_bead(gone.id))
    desk.do(lambda change: free_stale_slots(change.tx))
    assert [each.owner for each in desk.do(lambda change: change.tx.slots())] == kept
