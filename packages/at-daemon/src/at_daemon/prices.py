"""Estimates of costs that a CLI does not tell: which price a model has, and which is still to be looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from at_agents.decisions import Do, IntentKind
from at_core.store import Tx
from at_core.types import Price
from at_session.vocabulary import Usage

LIBRARY = "genai-prices"
PROVIDERS = {"claude": "anthropic", "codex": "openai", "gemini": "google"}
"""Whose list prices count for a CLI that names its model alone."""
LOOK_AGAIN_AFTER = timedelta(minutes=10)
"""So long after a look-up that failed another one is made, if the model is used again."""


@cache
def list_name() -> str:
    """The price list with its version: what an estimate says of its source."""
    try:
        return f"price list {LIBRARY} {version(LIBRARY)} (estimate)"
    except PackageNotFoundError:
        return f"price list {LIBRARY} (estimate)"


def price_key(cli: str, model: str | None) -> str | None:
    """`provider/model` in the price list; None where the provider is not known, whose price would be a guess."""
    if not model or not model.isprintable():
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
    known, wanted = _known(tx, key)
    if known is None:
        return Cost(None, False, source, wanted)
    usd = known.of(usage.input_tokens, usage.cached_tokens, usage.output_tokens)
    named = source if usd is None else f"{source}; {known.source}"
    return Cost(usd, usd is not None, named, wanted)


def size_wanted(tx: Tx, cli: str, model: str | None) -> Do | None:
    """The look-up for the size of a model's context that its CLI does not tell, if one is still to be made."""
    key = price_key(cli, model)
    return None if key is None else _known(tx, key)[1]


def listed_size(tx: Tx, cli: str, model: str | None) -> tuple[int, str] | None:
    """The size of a model's context as the list has it, with the list's name; None where it has none."""
    key = price_key(cli, model)
    known = tx.price(key) if key is not None else None
    return None if known is None or not known.context_tokens else (known.context_tokens, known.source)


def _known(tx: Tx, key: str) -> tuple[Price | None, Do | None]:
    """What was looked up, and the look-up that is wanted because nothing was, or not in this list."""
    known = tx.price(key)
    if known is None:
        return None, Do(f"price:{key}:{list_name()}:first", IntentKind.PRICE, {"model": key})
    if known.source == list_name():
        return known, None
    # A look-up that fails moves the time of what is known, so the next use has a key of its own.
    name, again = f"price:{key}:{list_name()}:{known.at.isoformat()}", known.at + LOOK_AGAIN_AFTER
    return known, Do(name, IntentKind.PRICE, {"model": key}, again)


def prices_under_way(tx: Tx) -> frozenset[str]:
    """Keys of models that were used before their price was known, and whose first look-up is not at its end."""
    asked = {str(intent.payload["model"]) for intent in tx.open_intents() if intent.kind == IntentKind.PRICE}
    return frozenset(key for key in asked if tx.price(key) is None)
