"""`Store`: what a program holds. Commands go to the writer thread, readings to connections of their own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self, TypeVar

from at_core.errors import StoreError
from at_core.store import database
from at_core.store.tx import Tx
from at_core.store.writer import Command, Writer, explain

T = TypeVar("T")

READERS = 4
"""Threads, and so connections, that read at once."""


class Store:
    """One SQLite file. Make it with `Store.open`; it is a context manager.

    There is one writing store per file on a machine; any number of programs may read beside it.
    """

    def __init__(self, opened: database.Opened) -> None:
        self._opened = opened
        self._path = opened.path
        self._writer = Writer(opened.writer, opened.path) if opened.writer is not None else None
        self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._made: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._closed = False

    @classmethod
    def open(cls, path: Path | None, *, read_only: bool = False) -> Self:
        """The store at `path`, made or brought to the present format if need be; None is one in memory.

        Raises `StoreError`: another program writes it, a newer program wrote it, it is no store, it is damaged, or it
        cannot be opened. With `read_only` nothing is created, locked or migrated.
        """
        return cls(database.open_database(path, read_only=read_only))

    async def write(self, function: Callable[[Tx], T]) -> T:
        """Run `function` in a transaction on the writer thread and return its result after the commit is on disk.

        Calls that come together share one transaction; a function that raises undoes itself alone and its exception
        is raised here. After a failed commit `function` is run a second time, so it must do nothing outside `Tx`.
        Cancelling the wait does not undo a command that has begun. Raises `StoreError` (a full disk, a closed store).
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writing().submit_from_loop(loop, Command(function, future))
        return await future

    def write_now(self, function: Callable[[Tx], T]) -> T:
        """`write` for a program without an event loop: blocks until the commit."""
        future: Future[T] = Future()
        self._writing().submit(Command(function, future))
        return future.result()

    async def read(self, function: Callable[[Tx], T]) -> T:
        """Run `function` over one consistent view of everything committed, in a worker thread. It cannot write."""
        if self._path is None:
            return await self.write(function)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, function)

    def read_now(self, function: Callable[[Tx], T]) -> T:
        """`read` in the calling thread."""
        if self._path is None:
            return self.write_now(function)
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            try:
                return function(Tx(connection))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        finally:
            self._readers.put(connection)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called with the newest event's seq after each commit that added events.

        It runs on the event loop that is running now, or on the writer thread if none is; there it must not block.
        """
        self._writing().listen(callback)

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong; empty when all is well. Reads the whole file."""
        return self.read_now(lambda tx: tx.integrity())

    def close(self) -> None:
        """Finish what is queued and let go of the file. Closing twice does no harm."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        self._threads.shutdown()
        for connection in self._made:
            connection.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreError("the store was opened for reading only")
        return self._writer

    def _reader(self) -> sqlite3.Connection:
        if self._closed or self._path is None:
            raise StoreError("the store is closed")
        try:
            return self._readers.get_nowait()
        except Empty:
            connection = database.connect_reader(self._path)
            self._made.append(connection)
            return connection
