"""Slots of what runs at the same time, with ten ports each, so that no two beads or gates meet on one.

A bead has its slot from its set-up, else its first start, until its folder is removed, a gate while it runs. A slot on whose ports
somebody else listens just now is passed over.
"""

from __future__ import annotations

from pathlib import Path

import anyio

from at_daemon.ledger import Ledger

PORTS = 10
HIGHEST_PORT = 65535
LISTENING = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def port_of(slot: int, first_port: int) -> int | None:
    """The first of a slot's ten ports; None for a slot so high that they would be beyond the last one."""
    first = first_port + (slot - 1) * PORTS
    return first if first + PORTS - 1 <= HIGHEST_PORT else None


def slot_marks(slot: int, first_port: int) -> dict[str, str]:
    """The environment of what runs in a slot: `AT_SLOT`, and `AT_PORT`, the first of its ten ports if it has some."""
    port = port_of(slot, first_port)
    return {"AT_SLOT": str(slot)} | ({} if port is None else {"AT_PORT": str(port)})


def slot_document(slot: int | None, first_port: int) -> dict[str, int | None] | None:
    """{number, first_port, ports}; None for a bead without a slot."""
    if slot is None:
        return None
    return {"number": slot, "first_port": port_of(slot, first_port), "ports": PORTS}


async def slot_for(ledger: Ledger, owner: str, first_port: int) -> int:
    """The slot that a bead (its id) or a gate (its session's name) has, or gets now."""
    if (held := await ledger.read(lambda tx: tx.slot(owner))) is not None:
        return held
    busy = {(port - first_port) // PORTS + 1 for port in await anyio.to_thread.run_sync(listening_ports)}
    return await ledger.record(lambda change: change.tx.take_slot(owner, avoid=busy))


def listening_ports() -> set[int]:
    """TCP ports of this machine on which somebody listens; none where the system does not tell."""
    found: set[int] = set()
    for table in TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTENING:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found
