"""SQL built with SQLAlchemy Core, compiled once to text with positional parameters, run by the driver itself.

Why not `Connection.execute`: it costs several times what SQLite needs for the statement (measured by bench/store.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import ClauseElement

from at_core.errors import StoreError

Value = str | int | float | bytes | None
Row = tuple[Any, ...]

_DIALECT = sqlite.dialect(paramstyle="qmark")


class Statement:
    """One compiled statement. `names` are its open parameters in the order in which `values` must be given."""

    __slots__ = ("_constants", "has_constants", "names", "sql")

    def __init__(self, clause: ClauseElement) -> None:
        compiled: Any = clause.compile(dialect=_DIALECT)
        order: list[str] = compiled.positiontup or []
        binds = compiled.binds
        fixed = {
            place: binds[name].effective_value for place, name in enumerate(order) if not binds[name].required
        }
        self.sql = str(compiled)
        self.names = tuple(name for place, name in enumerate(order) if place not in fixed)
        self._constants = fixed
        self.has_constants = bool(fixed)

    def parameters(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """The values of all places: those given and the constants of the statement."""
        given = iter(values)
        places = len(values) + len(self._constants)
        return tuple(self._constants[at] if at in self._constants else next(given) for at in range(places))


class Rows:
    """A connection inside a transaction, and how statements run on it. `Tx` and its aggregates build on it."""

    __slots__ = ("_connection", "newest_seq")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.newest_seq = 0
        """The newest event that this transaction added, 0 for none."""

    @property
    def changes(self) -> int:
        """Grows with everything that is written: what was read at the same number is so still in this transaction."""
        return self._connection.total_changes

    def _execute(self, statement: Statement, values: tuple[Value, ...]) -> sqlite3.Cursor:
        parameters = statement.parameters(values) if statement.has_constants else values
        try:
            return self._connection.execute(statement.sql, parameters)
        except UnicodeEncodeError:
            # A lone surrogate has no UTF-8; such a text is kept as bytes so that it comes back as it was given.
            return self._connection.execute(statement.sql, tuple(map(_as_bytes, parameters)))
        except OverflowError as error:
            raise StoreError("a number is beyond 64 bits", "give a smaller one") from error

    def _one(self, statement: Statement, *values: Value) -> Row | None:
        return self._execute(statement, values).fetchone()  # type: ignore[no-any-return]  # a row or None

    def _all(self, statement: Statement, *values: Value) -> list[Row]:
        return self._execute(statement, values).fetchall()

    def _run(self, statement: Statement, *values: Value) -> int:
        """How many rows were changed."""
        return self._execute(statement, values).rowcount


def _as_bytes(value: Value) -> Value:
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return value.encode("utf-8", "surrogatepass")
    return value


def columns(names: Iterable[str]) -> dict[str, Any]:
    """Column name to open parameter of the same name."""
    return {name: bindparam(name) for name in names}
