"""Looking up what a model costs, and what follows once that is known."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime
from pathlib import Path

import anyio

from at_core.errors import TryLater
from at_core.types import Bead, Intent, Price
from at_core.vocabulary import EventType
from at_daemon.executor import MOST_ATTEMPTS, Effect
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.prices import list_name, price_key

PROGRAM = Path(__file__).parent.parent / "price_list.py"
LOOK_UP_SECONDS = 60.0
UNANSWERED = "the price list gave no answer"


async def look_up(parts: Parts, intent: Intent) -> Effect:
    """Ask the price list, in a process of its own, and give costs to what was used without one."""
    return await looked_up(intent, PROGRAM, LOOK_UP_SECONDS)


async def looked_up(intent: Intent, program: Path, seconds: float) -> Effect:
    """What a program of the price list came to. Raises TryLater; after the last attempt the failure is what is noted."""
    key = str(intent.payload["model"])
    try:
        found = await _answer(key, program, seconds)
    except TryLater as error:
        if intent.attempts < MOST_ATTEMPTS:
            raise
        reason = str(error)
        return Effect(lambda change: note_failure(change, intent, key, reason))
    return Effect(
        lambda change: note_price(change, price_from(key, found, change.now), _bead(change, intent))
    )


async def _answer(key: str, program: Path, seconds: float) -> list[float | None] | None:
    try:
        with anyio.fail_after(seconds):
            done = await anyio.run_process([sys.executable, "-I", str(program), key], check=False, env={})
    except TimeoutError:
        raise TryLater(f"the price list did not answer within {seconds:g} s", "at costs") from None
    except OSError as error:
        raise TryLater(f"the price list could not be asked: {error}", "at costs") from None
    if done.returncode:
        said = done.stderr[-200:].decode("utf-8", "replace")
        raise TryLater(f"the price list ended with exit code {done.returncode}: {said}", "at costs")
    try:
        found: list[float | None] | None = json.loads(done.stdout)[key]
    except (ValueError, LookupError, TypeError):
        raise TryLater("the answer of the price list cannot be read", "at costs") from None
    return found


def price_from(key: str, found: list[float | None] | None, at: datetime) -> Price:
    """The record of what the list said."""
    given, cached, produced, size = found or (None, None, None, None)
    return Price(
        model=key,
        input_usd=given,
        cached_usd=cached,
        output_usd=produced,
        source=list_name(),
        at=at,
        context_tokens=int(size) if size else None,
    )


def note_price(change: Change, price: Price, bead: Bead | None = None) -> None:
    """Keep a price, and have it count for everything that was used of the model and has no cost.

    `bead` is the one that it was looked up for.
    """
    change.tell(
        EventType.USAGE_PRICED, bead, said={key: each for key, each in price.to_json().items() if key != "at"}
    )
    change.tx.put_price(price)
    for cli, model in change.tx.without_cost():
        if price_key(cli, model) == price.model:
            change.tx.estimate_costs(cli, model, price)
    change.touch_waiting()  # some may have waited for what was spent to be known


def note_failure(change: Change, intent: Intent, key: str, reason: str) -> None:
    """Keep that the list could not be asked: until it can, the model has the price of an older list, or none."""
    known = change.tx.price(key) or Price(model=key, source=UNANSWERED, at=change.now)
    change.tx.put_price(dataclasses.replace(known, at=change.now))
    change.tell(EventType.INTENT_FAILED, _bead(change, intent), intent=intent.key, reason=reason)
    change.touch_waiting()


def _bead(change: Change, intent: Intent) -> Bead | None:
    return change.tx.bead(intent.bead_id) if intent.bead_id else None
