"""The program that looks prices up: `python -I price_list.py PROVIDER/MODEL...` prints JSON and ends.

A process of its own, because the list costs more time and memory to load than a daemon should have (figures in
`docs/dependencies.md`), and is needed once for each model. It never touches the network: the list ships with the
library, and nothing here asks for a newer one.

The answer: `{"PROVIDER/MODEL": [input, cached, output, context]}` in USD per million tokens, and the size of the context in tokens; each is
null where the list has none, and all of it where the list does not know the model. Prices that rise with the size of a request are those of the smallest size.
"""

from __future__ import annotations

import json
import sys

from genai_prices import Usage, calc_price

SAMPLE = 1000
"""Tokens that are priced: few enough for the smallest size."""


def look_up(key: str) -> list[float | None] | None:
    """Prices of input, of cache reads and of output, and the size of the context; None where the list does not know the model."""
    provider, _, model = key.partition("/")
    samples = (
        Usage(input_tokens=SAMPLE),
        Usage(input_tokens=SAMPLE, cache_read_tokens=SAMPLE),
        Usage(output_tokens=SAMPLE),
    )
    try:
        priced = [calc_price(sample, model_ref=model, provider_id=provider) for sample in samples]
    except (LookupError, ValueError):
        return None
    prices = [round(float(each.total_price) * 1_000_000 / SAMPLE, 9) for each in priced]
    return [*prices, priced[0].model.context_window or None]


if __name__ == "__main__":
    print(json.dumps({key: look_up(key) for key in sys.argv[1:]}))
