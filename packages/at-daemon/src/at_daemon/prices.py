"""Estimates of costs that a CLI does not tell: which price a model has, and what is done once it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from at_agents.decisions import Do, IntentKind
from at_core.store import Tx
from at_core.types import Bead, Price
from at_core.vocabulary import EventType
from at_daemon.ledger import Change
from at_session.vocabulary import Usage

LIBRARY = "genai-prices"
PROVIDERS = {"claude": "anthropic", "codex": "openai", "gemini": "google"}
"""Whose list prices count for a CLI that names its model alone."""


@cache
def list_name() -> str:
    """The price list with its version: what an estimate says of its source."""
    try:
        return f"price list {LIBRARY} {version(LIBRARY)} (estimate)"
    except PackageNotFoundError:
        return f"price list {LIBRARY} (estimate)"


def price_key(cli: str, model: str | None) -> str | None:
    """`provider/model` in the price list; None where the provider is not known, whose price would be a guess."""
    if not model:
        return None
    if cli in PROVIDERS:
        return f"{PROVIDERS[cli]}/{model}"
    return model if 0 < model.find("/") < len(model) - 1 else None


@dataclass(frozen=True, slots=True)
class Cost:
    """What figures cost, whether that is our estimate, where both come from, and the look-up that is still wanted."""

    usd: float | None
    estimated: bool
    source: str
    wanted: Do | None = None


def cost_of(tx: Tx, cli: str, usage: Usage, source: str) -> Cost:
    """The CLI's own cost, else an estimate if the model's price is known."""
    key = price_key(cli, usage.model)
    if usage.cost_usd is not None or key is None:
        return Cost(usage.cost_usd, False, source)
    known = tx.price(key)
    wanted = Do(f"price:{key}:{list_name()}", IntentKind.PRICE, {"model": key})
    if known is None:
        return Cost(None, False, source, wanted)
    usd = known.of(usage.input_tokens, usage.cached_tokens, usage.output_tokens)
    named = source if usd is None else f"{source}; {known.source}"
    return Cost(usd, usd is not None, named, None if known.source == list_name() else wanted)


def price_from(key: str, found: list[float] | None, at: datetime) -> Price:
    """The record of what the list said."""
    given, cached, produced = found or (None, None, None)
    return Price(
        model=key, input_usd=given, cached_usd=cached, output_usd=produced, source=list_name(), at=at
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
