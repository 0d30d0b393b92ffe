"""Prices of models in the store, and the costs that are estimated with them."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from at_core.store import schema
from at_core.store.insertion import put, upsert
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement, columns
from at_core.types import Price

_prices = Mapping(Price, schema.prices)
_u = schema.usage.c
_ONE = Statement(_prices.select.where(schema.prices.c.model == bindparam("model")))
_PUT = Statement(upsert(schema.prices, _prices.names, "model"))
_WITHOUT = Statement(
    select(_u.number, _u.input_tokens, _u.cached_tokens, _u.output_tokens, _u.source).where(
        _u.cost_usd.is_(None), _u.cli == bindparam("cli"), _u.model == bindparam("model")
    )
)
_MODELS = Statement(select(_u.cli, _u.model).where(_u.cost_usd.is_(None)).distinct())
_ESTIMATE = Statement(
    update(schema.usage)
    .where(_u.number == bindparam("_number"))
    .ordered_values(*columns(("cost_usd", "estimated", "source")).items())
)


class Prices(Rows):
    """What a transaction can do with prices."""

    __slots__ = ()

    def price(self, model: str) -> Price | None:
        """The newest price of `provider/model` that was looked up, if it was."""
        row = self._one(_ONE, model)
        return None if row is None else _prices.decode(row)

    def put_price(self, price: Price) -> None:
        """Keep what was looked up, in place of what was known of the model."""
        put(self, _prices, _PUT, price, price.model)

    def without_cost(self) -> list[tuple[str, str]]:
        """CLI and model of everything that has no cost."""
        return [(cli, model) for cli, model in self._all(_MODELS)]

    def estimate_costs(self, cli: str, model: str, price: Price) -> int:
        """Give every row of the CLI and its model that has no cost one by this price; how many there were."""
        rows = self._all(_WITHOUT, cli, model)
        for number, given, cached, produced, source in rows:
            cost = price.of(given, cached, produced)
            if cost is None:
                return 0
            self._run(_ESTIMATE, cost, 1, f"{source}; {price.source}" if source else price.source, number)
        return len(rows)
