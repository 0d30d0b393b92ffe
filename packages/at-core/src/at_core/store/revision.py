"""Compare-and-set on a record's revision."""

from __future__ import annotations

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
    stored = mapping.decode(row)
    if stored.revision != record.revision:
        raise Conflict(mapping.kind, name)
    new = mapping.encode(record)
    changed = {
        column: value for column, value, old in zip(mapping.names, new, row, strict=True) if value != old
    }
    revision = changed["revision"] = record.revision + 1
    _write(tx, mapping, tuple(changed), tuple(changed.values()), row[mapping.names.index("id")])
    saved = mapping.decode(new)
    mapping.put["revision"](saved, revision)
    return saved


def change(tx: Rows, mapping: Mapping[R], row: Row, fields: Dict[str, Any]) -> R:
    """The record of the stored `row` with these fields changed and the next revision, saved."""
    record = mapping.decode(row)  # nobody else has it yet, so it may still be filled
    put, writes = mapping.put, mapping.writes
    values: list[Any] = []
    for name, value in fields.items():
        put[name](record, value)
        write = writes[name]
        values.append(value if value is None or write is None else write(value))
    revision = record.revision + 1
    put["revision"](record, revision)
    _write(tx, mapping, (*fields, "revision"), (*values, revision), row[mapping.names.index("id")])
    return record


def _write(
    tx: Rows, mapping: Mapping[R], names: tuple[str, ...], values: tuple[Any, ...], identity: str
) -> None:
    try:
        tx._run(mapping.update(names), *values, identity)
    except sqlite3.IntegrityError as error:
        taken = dict(zip(names, values, strict=True)).get("name", identity)
        raise Duplicate(mapping.kind, str(taken)) from error
