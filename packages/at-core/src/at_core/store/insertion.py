"""Adding a record that must be new, and the statement that adds or replaces one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import Insert, insert

from at_core.errors import Duplicate
from at_core.record import Record
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement, columns

R = TypeVar("R", bound=Record)


def insert_new(tx: Rows, mapping: Mapping[R], record: R, name: str) -> None:
    """Insert the record; raises `Duplicate`, which calls it `name`, when a unique column is taken."""
    put(tx, mapping, mapping.insert, record, name)


def put(tx: Rows, mapping: Mapping[R], statement: Statement, record: R, name: str) -> None:
    """Run an INSERT with the record's values; raises `Duplicate`, which calls it `name`, when one is taken."""
    try:
        tx._run(statement, *mapping.encode(record))
    except sqlite3.IntegrityError as error:
        raise Duplicate(mapping.kind, name) from error


def upsert(table: Table, names: Iterable[str], *key: str) -> Insert:
    """INSERT that replaces the row of the same key in place: its number, and so its order, stays."""
    clause = insert(table).values(columns(names))
    return clause.on_conflict_do_update(
        index_elements=[table.c[name] for name in key],
        set_={name: clause.excluded[name] for name in names if name not in key},
    )
