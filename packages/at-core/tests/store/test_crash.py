"""A program that is killed in the middle of its commands: what was acknowledged is there, nothing is there by half."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from at_core.store import Store
from at_core.types import BeadStatus

WRITER = """
import asyncio, os, sys
from pathlib import Path
from uuid import uuid4
from at_core.store import Store
from at_core.types import Bead, BeadStatus, Event, utc_now

def command(bead):
    def run(tx):
        tx.add_bead(bead)
        moved = tx.move_bead(bead.id, BeadStatus.HOOKED, utc_now())
        tx.append(Event(id=uuid4(), event_type="bead.hooked", bead_id=moved.id, created_at=utc_now()))
    return run

async def one(store):
    while True:
        bead = Bead.new("x" * 300)
        await store.write(command(bead))
        os.write(1, bead.id.bytes)

async def main():
    with Store.open(Path(sys.argv[1])) as store:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(one(store))

asyncio.run(main())
"""


def killed_after(path: Path, acknowledged: int) -> list[UUID]:
    """Run the writer until it has acknowledged that many commands, kill it, and return all it acknowledged."""
    said = b""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while len(said) < acknowledged * 16:
            ready, _, _ = select.select([child.stdout], [], [], 50)
            assert ready, "the writer says nothing"
            part = os.read(child.stdout.fileno(), 65536)
            assert part, "the writer ended by itself"
            said += part
        child.send_signal(signal.SIGKILL)
        while part := os.read(child.stdout.fileno(), 65536):
            said += part
    return [UUID(bytes=said[at : at + 16]) for at in range(0, len(said) - len(said) % 16, 16)]


def check(path: Path, acknowledged: set[UUID]) -> None:
    """Everything acknowledged is in the store, and every command is there whole."""
    with Store.open(path) as store:
        assert store.integrity() == []
        beads = {bead.id: bead for bead in store.read_now(lambda tx: tx.beads())}
        events = store.read_now(lambda tx: tx.events(limit=None))
    assert acknowledged <= beads.keys()
    assert {bead.status for bead in beads.values()} == {BeadStatus.HOOKED}
    assert sorted(str(event.bead_id) for event in events) == sorted(map(str, beads))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def rounds(path: Path, count: int, seed: int) -> None:
    """Kill the writer again and again at random moments of the same file."""
    chance = random.Random(seed)
    acknowledged: set[UUID] = set()
    for _ in range(count):
        acknowledged.update(killed_after(path, chance.randint(1, 400)))
        check(path, acknowledged)


def test_what_was_acknowledged_survives_sigkill(path: Path) -> None:
    rounds(path, 3, seed=1)


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_sigkill_many_times(path: Path) -> None:
    rounds(path, int(os.environ.get("AT_CRASH_ROUNDS", "100")), seed=2)
