"""Compare-and-set on a record's revision."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping as Dict
from typing import Any, TypeVar

from at_core.errors import Conflict, Duplicate, NotFound
from at_core.store.mapping import Mapping
from at_core.store.statement import Row, Rows, Statement
from at_core.types import Agent, Bead

R = TypeVar("R", Bead, Agent)


def save(tx: Rows, mapping: Mapping[R], by_id: Statement, record: R, name: str) -> R:
    """Replace the stored record if its revision is still the record's; returns it with the next revision.

    Raises `Conflict` when it was changed meanwhile, `NotFound` when it is gone; both call it `name`.
    """
    row = tx._one(by_id, str(record.id))
    if row is None:
        raise NotFound(mapping.kind, name)
    if row[mapping.names.index("revision")] != record.revision:
        raise Conflict(mapping.kind, name)
    new = mapping.encode(dataclasses.replace(record, revision=record.revision + 1))
    changed: dict[str, Any] = {
        column: value for column, value, old in zip(mapping.names, new, row, strict=True) if value != old
    }
    names = tuple(changed)
    _write(tx, mapping, mapping.update(names), names, (*changed.values(), str(record.id)))
    return mapping.decode(new)


def change(tx: Rows, mapping: Mapping[R], row: Row, fields: Dict[str, Any]) -> R:
    """The record of the stored `row` with these fields changed and the next revision, saved."""
    prepared = mapping.change(tuple(fields))
    record, values = prepared.apply(row, *fields.values())
    _write(tx, mapping, prepared.statement, prepared.columns, values)
    return record


def _write(
    tx: Rows, mapping: Mapping[R], statement: Statement, names: tuple[str, ...], values: tuple[Any, ...]
) -> None:
    """Run an UPDATE of these columns; its last value is the id."""
    try:
        tx._run(statement, *values)
    except sqlite3.IntegrityError as error:
        taken = dict(zip(names, values, strict=False)).get("name", values[-1])
        raise Duplicate(mapping.kind, str(taken)) from error
