"""The one writer thread: commands that arrive while a transaction is under way share the next one (group commit).

A command that raises before it wrote anything, which is nearly every refusal, leaves nothing to undo. If it had written,
the transaction is rolled back and its commands run again one by one, each in a transaction of its own. The same is done
when the transaction as a whole fails (a full disk): the commands that fit get through. Rejected: a savepoint around each
command, which made every command dearer by a tenth for the sake of the rare one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from at_core.errors import NoSpaceLeft, StoreError
from at_core.store.tx import Tx

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_BATCH = 256
"""No more commands are fetched into a transaction beyond this; bounds what a failed one repeats."""


@dataclass(slots=True, eq=False)
class Command:
    """A function to run in a transaction and where its outcome goes: a future of a loop, or of a waiting thread."""

    function: Callable[[Tx], Any]
    future: asyncio.Future[Any] | Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection. `submit` and `submit_from_loop` may be called from any thread and loop."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._queue: SimpleQueue[list[Command] | None] = SimpleQueue()
        self._gathering: dict[asyncio.AbstractEventLoop, list[Command]] = {}
        self._listeners: list[tuple[asyncio.AbstractEventLoop | None, Callable[[int], None]]] = []
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, *commands: Command) -> None:
        """Queue them; their futures are resolved after the commit. Raises `StoreError` once the store is closed."""
        if threading.get_ident() == self._thread.ident:
            raise StoreError("a command cannot wait for another command of the same store")
        with self._closing:
            if self._closed:
                raise StoreError("the store is closed")
            self._queue.put(list(commands))

    def submit_from_loop(self, loop: asyncio.AbstractEventLoop, command: Command) -> None:
        """Queue it with all others of this turn of the loop, which must be the one that runs.

        Handing them over one by one would start a transaction for the first alone and make both threads fight for the
        interpreter meanwhile.
        """
        gathered = self._gathering.get(loop)
        if gathered is None:
            self._gathering[loop] = [command]
            loop.call_soon(self._hand_over, loop)
        else:
            gathered.append(command)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        commands = self._gathering.pop(loop)
        try:
            self.submit(*commands)
        except StoreError as error:
            for command in commands:
                command.error = error
            _settle_all(commands)

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
        batch = self._queue.get()
        while batch is not None and len(batch) < MAX_BATCH:
            try:
                more = self._queue.get_nowait()
            except Empty:
                break
            if more is None:
                self._queue.put(None)  # the end comes after this batch; nothing can be queued behind it
                break
            batch += more
        return batch

    def _run_batch(self, batch: list[Command]) -> int:
        """Run and commit; returns the newest event. Every command has its result or error afterwards."""
        try:
            return self._transaction(batch)
        except _Spoiled as spoiled:
            if len(batch) > 1:
                return max(self._run_batch([command]) for command in batch)
            error = spoiled.error
            batch[0].error = explain(error, self._path) if isinstance(error, sqlite3.Error) else error
            return 0

    def _transaction(self, batch: list[Command]) -> int:
        connection = self._connection
        tx = Tx(connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for command in batch:
                self._run_command(command, tx)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _Spoiled(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return tx.newest_seq

    def _run_command(self, command: Command, tx: Tx) -> None:
        """Raises `_Spoiled` when the transaction cannot go on as it is."""
        connection = self._connection
        changes = connection.total_changes
        command.result = command.error = None
        try:
            command.result = command.function(tx)
        except BaseException as error:  # it belongs to the caller, who gets it raised
            if isinstance(error, sqlite3.Error) or connection.total_changes != changes:
                raise _Spoiled(error) from error
            command.error = error

    def _notify(self, newest: int) -> None:
        for loop, callback in self._listeners:
            if loop is not None:
                _call(loop, callback, newest)
                continue
            try:
                callback(newest)
            except Exception:  # noqa: BLE001 - a listener's mistake must not end the only writer
                _log.exception("a listener of the store raised")


class _Spoiled(Exception):
    """The transaction must be rolled back because of `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _resolve(batch: list[Command]) -> None:
    """Hand the outcomes over, waking each loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[Command]] = {}
    for command in batch:
        if isinstance(command.future, Future):
            _settle(command)
        else:
            loops.setdefault(command.future.get_loop(), []).append(command)
    for loop, commands in loops.items():
        _call(loop, _settle_all, commands)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[T], object], argument: T) -> None:
    try:
        loop.call_soon_threadsafe(function, argument)
    except RuntimeError:
        return  # the loop is closed, and with it everyone who waited on it


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
        told: StoreError = NoSpaceLeft(where)
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
