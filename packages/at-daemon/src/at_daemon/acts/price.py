"""Looking up what a model costs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from at_core.errors import Refused
from at_core.types import Intent
from at_daemon.executor import Effect
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.prices import note_price, price_from

PROGRAM = Path(__file__).parent.parent / "price_list.py"
LOOK_UP_SECONDS = 60.0


async def look_up(parts: Parts, intent: Intent) -> Effect:
    """Ask the price list, in a process of its own, and give costs to what was used without one."""
    key = str(intent.payload["model"])
    try:
        with anyio.fail_after(LOOK_UP_SECONDS):
            done = await anyio.run_process([sys.executable, "-I", str(PROGRAM), key], check=False, env={})
    except TimeoutError:
        raise Refused(f"no price of {key} was found in {LOOK_UP_SECONDS:.0f} s", "at costs") from None
    if done.returncode:
        said = done.stderr[-200:].decode("utf-8", "replace")
        raise Refused(f"the price list ended with exit code {done.returncode}: {said}", "at costs")
    found = json.loads(done.stdout)[key]

    def note(change: Change) -> None:
        bead = change.tx.bead(intent.bead_id) if intent.bead_id else None
        note_price(change, price_from(key, found, change.now), bead)

    return Effect(note)
