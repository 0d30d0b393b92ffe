"""Budgets as a person types them: `2.50` is dollars, `200000tokens` or `200ktokens` is tokens, `none` is no limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

FORMS = "2.50, 200000tokens, 200ktokens or none; a comma only for thousands, as in 1,000"
_DIGITS = r"\d{1,12}|\d{1,3}(?:[,_]\d{3}){1,3}"
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


class AmountType(click.ParamType[dict[str, float]]):
    """One amount, as the API has it: `{"usd": 2.5}`, `{"tokens": 200000}`, or `{}` for no limit."""

    name = "amount"

    def convert(
        self, value: str | dict[str, float], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        """`value` parsed; fails with the forms that there are."""
        if isinstance(value, dict):
            return value
        word = value.strip().lower()
        if word == "none":
            return {}
        if found := re.fullmatch(rf"\$?((?:{_DIGITS})(?:\.\d{{1,9}})?|\.\d{{1,9}})", word):
            return {"usd": float(_joined(found[1]))}
        if found := re.fullmatch(rf"({_DIGITS})([km]?) ?tokens?", word):
            return {"tokens": int(_joined(found[1])) * _FACTORS[found[2]]}
        raise click.BadParameter(f"{value!r} is no budget ({FORMS})", ctx, param)


def _joined(digits: str) -> str:
    return digits.replace(",", "").replace("_", "")


AMOUNT = AmountType()


def together(amounts: tuple[dict[str, float], ...]) -> dict[str, float] | None:
    """Several amounts as one budget; None for none given, `{}` if one of them lifts every limit."""
    if not amounts:
        return None
    if not all(amounts):
        return {}
    return {unit: value for amount in amounts for unit, value in amount.items()}


def budget_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--budget`, which may be given once for dollars and once for tokens."""
    return click.option(
        "--budget",
        type=AMOUNT,
        multiple=True,
        metavar="AMOUNT",
        callback=lambda _ctx, _param, value: together(value),
        help="No turn begins beyond it: 2.50 (USD), 200000tokens, none.",
    )
