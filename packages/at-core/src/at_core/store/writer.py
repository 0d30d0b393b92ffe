"""The one writer thread: commands that arrive while a transaction is under way share the next one (group commit).

Each command runs in its own savepoint, so one that raises undoes only itself. If the transaction as a whole fails (a
full disk), its commands are run again one by one, each in a transaction of its own: the ones that fit get through.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from at_core.errors import StoreError
from at_core.store.tx import Tx

MAX_BATCH = 256
"""Commands that share one transaction at most; bounds what a failed one repeats."""


@dataclass(slots=True, eq=False)
class Command:
    """A function to run in a transaction and where its outcome goes: a future of a loop, or of a waiting thread."""

    function: Callable[[Tx], Any]
    future: asyncio.Future[Any] | Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection. `submit` may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._queue: SimpleQueue[Command | None] = SimpleQueue()
        self._listeners: list[tuple[asyncio.AbstractEventLoop | None, Callable[[int], None]]] = []
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, command: Command) -> None:
        """Queue it; its future is resolved after the commit. Raises `StoreError` once the store is closed."""
        with self._closing:
            if self._closed:
                raise StoreError("the store is closed")
            self._queue.put(command)

    def listen(self, callback: Callable[[int], None]) -> None:
        """Call back after each commit that added events: on the loop that runs now, else on the writer thread."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        self._listeners.append((loop, callback))

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (batch := self._next_batch()) is not None:
            newest = self._run_batch(batch)
            if newest:
                self._notify(newest)
            _resolve(batch)

    def _next_batch(self) -> list[Command] | None:
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                command = self._queue.get_nowait()
            except Empty:
                break
            if command is None:
                self._queue.put(None)  # the end comes after this batch; nothing can be queued behind it
                break
            batch.append(command)
        return batch

    def _run_batch(self, batch: list[Command]) -> int:
        """Run and commit; returns the newest event. Every command has its result or error afterwards."""
        try:
            return self._transaction(batch)
        except sqlite3.Error as error:
            if len(batch) > 1:
                return max(self._run_batch([command]) for command in batch)
            batch[0].error = explain(error, self._path)
            return 0

    def _transaction(self, batch: list[Command]) -> int:
        connection = self._connection
        newest = 0
        try:
            connection.execute("BEGIN IMMEDIATE")
            for command in batch:
                newest = max(newest, self._run_command(command))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return newest

    def _run_command(self, command: Command) -> int:
        connection = self._connection
        tx = Tx(connection)
        command.result = command.error = None
        connection.execute("SAVEPOINT command")
        try:
            command.result = command.function(tx)
        except BaseException as error:  # it is the caller's own, and is raised where the caller waits
            if not connection.in_transaction or (isinstance(error, sqlite3.Error) and not _is_own(error)):
                raise  # SQLite gave the transaction up, or cannot go on with it
            connection.execute("ROLLBACK TO command")
            command.error = explain(error, self._path) if isinstance(error, sqlite3.Error) else error
            tx.newest_seq = 0
        connection.execute("RELEASE command")
        return tx.newest_seq

    def _notify(self, newest: int) -> None:
        for loop, callback in self._listeners:
            if loop is None:
                callback(newest)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(callback, newest)


def _is_own(error: sqlite3.Error) -> bool:
    """Whether the command's statement is at fault, not the disk or the file."""
    return isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError)


def _resolve(batch: list[Command]) -> None:
    """Hand the outcomes over, waking each loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[Command]] = {}
    for command in batch:
        if isinstance(command.future, Future):
            _settle(command)
        else:
            loops.setdefault(command.future.get_loop(), []).append(command)
    for loop, commands in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_all, commands)


def _settle_all(commands: list[Command]) -> None:
    for command in commands:
        _settle(command)


def _settle(command: Command) -> None:
    if command.future.done():
        return  # whoever waited was cancelled
    try:
        if command.error is None:
            command.future.set_result(command.result)
        else:
            command.future.set_exception(command.error)
    except InvalidStateError:
        return  # cancelled this very moment


def explain(error: sqlite3.Error, path: Path | None) -> StoreError:
    """SQLite's failure in words a person can act on."""
    name = getattr(error, "sqlite_errorname", "") or ""
    where = "the store" if path is None else f"the store {path}"
    if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and _is_full(path)):
        told = StoreError(f"the disk is full: {where} cannot be written", "free some space, then try again")
    elif name.startswith("SQLITE_IOERR"):
        told = StoreError(
            f"{where} cannot be written: {error} ({name})", "check the disk and its limits, then try again"
        )
    elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        told = StoreError(f"another program holds {where}", "close it, then try again")
    elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        told = StoreError(f"{where} is damaged or no store: {error}", "move it aside; a new one is made")
    elif name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")):
        told = StoreError(f"{where} cannot be opened for this: {error}", "check its owner and mode")
    else:
        told = StoreError(f"{where}: {error}")
    told.__cause__ = error
    return told


def _is_full(path: Path | None) -> bool:
    if path is None:
        return False
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    return room.f_bavail == 0
