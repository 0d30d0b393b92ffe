"""Opening a store's file: folder and file modes, the writer's lock, pragmas, and its format.

The lock is `flock` on a file beside the store, not SQLite's own: SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log
that several connections write and checkpoint (sqlite.org/wal.html, the WAL-reset bug), and a second writer should be
told at once who it is that keeps it out. The kernel lets go of the lock with the process, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from at_core.errors import StoreError
from at_core.store.schema import FORMAT, VERSION_TABLE, creation
from at_core.store.writer import explain

_BUSY_MS = 5000
_STATEMENTS = 256
_CHECKPOINT_PAGES = 4000
_WAL_BYTES_KEPT = 64 << 20


@dataclass(slots=True)
class Opened:
    """What opening gave: the writing connection (None for a reader) and the descriptor that holds the lock."""

    path: Path | None
    writer: sqlite3.Connection | None
    lock: int | None

    def close(self) -> None:
        """Close the connection first: the lock covers its last checkpoint."""
        if self.writer is not None:
            self.writer.close()
        if self.lock is not None:
            os.close(self.lock)


def open_database(path: Path | None, *, read_only: bool) -> Opened:
    """Open, lock and migrate. Raises `StoreError`."""
    if path is None:
        connection = _connect(":memory:")
        _set_pragmas(connection)
        _create(connection)
        return Opened(None, connection, None)
    path = Path(os.path.abspath(path))
    if read_only:
        reader = connect_reader(path)
        try:
            _require_format(reader, path)
        finally:
            reader.close()
        return Opened(path, None, None)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise StoreError(f"the store {path} cannot be made: {error.strerror}", "check its folder") from error
    try:
        return Opened(path, _open_writer(path), lock)
    except BaseException:  # whatever ends it, the lock is given back
        os.close(lock)
        raise


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises `StoreError`."""
    try:
        connection = _connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    return connection


def _connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    # The transactions are ours alone, and a connection is used by one thread at a time but not always by the same.
    return sqlite3.connect(
        database, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS, uri=uri
    )


def _lock(path: Path) -> int:
    """The descriptor of the held lock; its file says who holds it."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            f"the store {path} is open for writing in another process (pid {holder})",
            "at status shows the daemon; at down stops it",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _open_writer(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(path, 0o600)
        connection = _connect(f"file:{quote(os.fsencode(path))}", uri=True)
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened: {error.strerror}", "check its owner and mode"
        ) from error
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        found = read_format(connection)
        _require_known(found, path)
        _set_pragmas(connection)
        _migrate(connection, found)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except BaseException:  # whatever ends it, no connection is left open
        connection.close()
        raise
    return connection


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
        f"journal_size_limit = {_WAL_BYTES_KEPT}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def read_format(connection: sqlite3.Connection) -> str | None:
    """The format the file is in; None for a new, empty file. Raises `StoreError` for another program's database."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise StoreError("the file is another program's database", "name another file as cache.sqlite_path")
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    return None if row is None else str(row[0])


def _require_format(connection: sqlite3.Connection, path: Path) -> None:
    try:
        found = read_format(connection)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if found != FORMAT:
        raise StoreError(
            f"the store {path} is in format {found or 'none'}, this program reads {FORMAT}",
            "start the daemon of the newest auto-tundra you have: at up",
        )


def _require_known(found: str | None, path: Path) -> None:
    if found in (None, FORMAT):
        return  # alembic costs a quarter of a second to import; only a file in an older format needs it
    from at_core.store.migrations.run import known_formats

    if found not in known_formats():
        raise StoreError(
            f"the store {path} was written by a newer auto-tundra (format {found}; this one knows up to {FORMAT})",
            "install that version again, or move the file aside to begin anew",
        )


def _migrate(connection: sqlite3.Connection, found: str | None) -> None:
    if found is None:
        _create(connection)
    elif found != FORMAT:
        from at_core.store.migrations.run import upgrade

        upgrade(connection, FORMAT)


def _create(connection: sqlite3.Connection) -> None:
    """Make the present tables at once; the migrations come to the same (a test compares them)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in creation():
            connection.execute(statement)
        connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (FORMAT,))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
