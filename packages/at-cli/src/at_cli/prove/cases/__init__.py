"""The table's rows, in the order in which they are shown."""

from __future__ import annotations

from at_cli.prove.case import Case
from at_cli.prove.cases import asks, crashes, failures, shaken, words, work

CASES: tuple[Case, ...] = (
    *work.CASES,
    *asks.CASES,
    *failures.CASES,
    *crashes.CASES,
    *words.CASES,
    *shaken.CASES,
)
