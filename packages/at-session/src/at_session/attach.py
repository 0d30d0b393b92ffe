"""A person's terminal on a live session: raw bytes both ways, until the detach key or the session's end.

The terminal is passed to the holder, so that a key and its echo cross one process and not two. What the holder cannot
do without waiting (show what was written before, serve a slow terminal) is done here, by the journal and WRITE; so is
all of it when the terminal cannot be opened afresh, or with a holder that knows nothing of terminals.

The writer's lease is held by the attachment's own connection to the holder, so a daemon that restarts meanwhile is not
noticed, and the lease ends with the attachment however that ends.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import socket
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from at_session import holder_wire as wire
from at_session.blocking import BlockingClient
from at_session.errors import HolderSilent, NotATerminal, RequestRefused, SessionError
from at_session.journal import ExitStatus, JournalReader, RecordKind, ending
from at_session.protocol import Frame, write
from at_session.silence import NOBODY, over

DETACH = re.compile(b"|".join(map(re.escape, wire.DETACH_KEYS)))

# What the holder answers must not reach the terminal too, or the agent gets a second answer.
ANSWERED = re.compile(b"|".join(re.escape(query) for query, _ in wire.QUERIES))
# Of what was written before the attachment nothing may be answered: the agent no longer waits for it.
QUESTIONS = re.compile(
    rb"\x1b\[[?>=]?[\d;]*[cn]|\x1b\[\?u|\x1b\[>\d*q|\x1b\[\?[\d;]+\$p|\x1b\](?:4;\d+|1\d);\?(?:\x07|\x1b\\)|\x1bP[+$]q[^\x1b]*\x1b\\"
)
UNFINISHED = re.compile(rb"\x1b(?:[\[\]][\d;?>=$]*\x1b?)?\Z")

# Modes that programs set and a detached or killed one cannot take back: alternate screen, mouse, focus, paste, keys.
RESTORE = (
    b"\x1b[?1049l\x1b[?1000;1002;1003;1004;1006;2004l\x1b[<u\x1b[>4;0m\x1b[?1l\x1b>\x1b[?7h\x1b[?25h\x1b[0m"
)


@dataclass(frozen=True, slots=True)
class Detached:
    """The person left, or another writer took the lease; the session goes on. `offset` is where to go on."""

    offset: int


class QueryFilter:
    """Takes queries out of a stream of terminal output, also where they are split between two pieces."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern
        self.held = b""  # what may be the beginning of a query

    def feed(self, data: bytes) -> bytes:
        text = self.pattern.sub(b"", self.held + data)
        unfinished = UNFINISHED.search(text[-32:])
        self.held = unfinished.group() if unfinished else b""
        return text[: len(text) - len(self.held)]


@contextmanager
def raw_terminal(fd: int, out: int) -> Iterator[None]:
    """Raw mode for the block; the terminal's modes and settings are put back whatever ends it."""
    try:
        saved = termios.tcgetattr(fd)
    except termios.error as error:
        raise NotATerminal(fd) from error
    tty.setraw(fd, termios.TCSADRAIN)
    try:
        yield
    finally:
        _write_all(out, RESTORE)
        try:
            termios.tcsetattr(fd, termios.TCSADRAIN, saved)
        except termios.error as error:
            if error.args[0] != errno.EIO:
                raise  # EIO: it has been hung up and has no modes any more


@contextmanager
def window_changes() -> Iterator[int]:
    """A file that is readable after SIGWINCH. Main thread only."""
    read, wake = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(wake, False)
    handler = signal.signal(signal.SIGWINCH, lambda *_: None)
    previous = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(previous)
        signal.signal(signal.SIGWINCH, handler)
        os.close(read)
        os.close(wake)


@contextmanager
def opened_afresh(source: int, sink: int) -> Iterator[int | None]:
    """A non-blocking file on the terminal; None where that cannot be had, or the two are not one terminal.

    Made by opening it again, as the mode of an inherited file is shared with the shell that it comes from.
    """
    try:
        path = os.ttyname(source)
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) if path == os.ttyname(sink) else None
    except OSError:
        fd = None
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


class Attachment:
    """One attached terminal: `source` is read, `sink` written; both may be the same tty.

    `afresh` is a file of its own on the terminal, for the holder, which is using it now when `passed`.
    """

    def __init__(
        self,
        client: BlockingClient,
        journal: Path,
        source: int,
        sink: int,
        offset: int | None,
        afresh: int | None,
    ) -> None:
        self.client = client
        self.journal = journal
        self.source, self.sink = source, sink
        self.limit = self.start = int(client.status["end"])
        self.reader = JournalReader(journal, self.start if offset is None else offset)
        self.old, self.live = QueryFilter(QUESTIONS), QueryFilter(ANSWERED)
        self.afresh = () if afresh is None else (afresh,)
        self.may_pass, self.passed = afresh is not None, False
        self.left = False
        self.ended = False

    def resize(self, *, redraw: bool = False) -> None:
        """Give the agent our size. `redraw` changes it twice, as only a change makes it draw everything anew."""
        size = os.get_terminal_size(self.sink)
        rows, cols = max(size.lines, 2), max(size.columns, 1)
        for lines in (rows - 1, rows) if redraw else (rows,):
            self.client.post(wire.RESIZE, wire.pack_fields(("rows", lines), ("cols", cols), ("fence", 0)))

    def type(self) -> None:
        """Pass on what was typed, or leave: on the detach key, or when the terminal is gone."""
        try:
            data = os.read(self.source, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        key = DETACH.search(data)
        typed = data[: key.start()] if key else data
        if typed:
            self.client.post(wire.WRITE, write("", typed, 0))
        self.left = not data or key is not None

    def take(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == wire.NEWS:
                self.limit = int(frame.fields()["end"])
            elif frame.kind == wire.RETURNED:
                self.take_back(frame.payload)
            elif frame.kind == wire.ERROR:
                try:
                    frame.fields()
                except RequestRefused as refusal:
                    taken = refusal.code in ("busy", "fence") and not self.passed  # else the holder will tell
                    self.left = self.left or taken
        self.show(self.limit)

    def show(self, limit: int | None) -> None:
        while not self.ended and (records := self.reader.read(limit)):
            for record in records:
                self.ended = self.ended or record.kind is RecordKind.END
                if record.kind is RecordKind.OUTPUT:
                    chosen = self.old if record.offset < self.start else self.live
                    _write_all(self.sink, chosen.feed(record.data))

    def pass_terminal(self) -> None:
        """Let the holder read and write the terminal, if nothing has come that is not shown. It keeps the file."""
        passed, self.afresh = self.afresh, ()
        self.passed = True
        try:
            self.client.request(wire.TERMINAL, wire.pack_fields(("from", self.reader.offset)), passed)
        except RequestRefused as refusal:
            self.passed, self.may_pass = False, refusal.code == "behind"
        except ConnectionError:
            self.passed = False
            raise

    def take_back(self, payload: bytes) -> None:
        """Go on where the holder has stopped: it was about to wait for the terminal, or the attachment has ended."""
        offset, ended = wire.RETURNED_HEAD.unpack_from(payload)
        self.passed, self.left = False, bool(ended)
        _write_all(self.sink, self.live.feed(payload[wire.RETURNED_HEAD.size :]))
        self.reader.close()
        self.reader, self.limit = JournalReader(self.journal, offset), max(self.limit, offset)

    def reclaim(self) -> None:
        """Whatever has ended the attachment: the holder has let go of the terminal when this returns."""
        if self.passed:
            self.client.socket.settimeout(1.0)
            try:
                self.client.socket.shutdown(socket.SHUT_WR)
                while self.client.socket.recv(1 << 16):
                    pass
            except OSError:
                pass  # it is gone, or hangs

    def run(self, changes: int) -> None:
        """Until the person leaves, the lease is taken away or the session has ended. Raises ConnectionError, HolderSilent."""
        while not self.ended and not self.left:
            if self.may_pass and not self.passed and not self.live.held:
                self.pass_terminal()
            poll = select.poll()
            poll.register(changes, select.POLLIN)
            poll.register(self.client.socket, select.POLLIN)
            if not self.passed:
                poll.register(self.source, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(0 if self.client.waiting else None)}
            if changes in ready:
                os.read(changes, 100)
                self.resize()
            if self.source in ready:
                self.type()
            if self.client.waiting or self.client.socket.fileno() in ready:
                self.take(self.client.frames())


def attach(
    session_id: str,
    *,
    run_dir: Path,
    journal_dir: Path,
    owner: str,
    steal: bool = False,
    offset: int | None = None,
    prelude: bytes = b"",
    source: int = 0,
    sink: int = 1,
) -> Detached | ExitStatus:
    r"""Connect a terminal (`source` is read, `sink` written) to a session on a PTY; Ctrl-\ detaches.

    `prelude` is written first, for instance a screen, and the journal shown from `offset` on; without an offset the
    agent is made to redraw. Raises LeaseHeld when another writer is there and `steal` is not set, NotATerminal,
    SessionEnded, HolderLost when the holder is gone, and HolderSilent when it does not answer, which is no proof of that.
    The terminal is always put back.
    """
    journal = journal_dir / session_id
    try:
        connected = BlockingClient(run_dir, session_id)
    except NOBODY:
        raise over(session_id, journal) from None
    with connected as client:
        fields = wire.pack_fields(("owner", owner), ("steal", int(steal)))
        try:
            client.request(wire.LEASE, fields)
        except ConnectionError:
            raise _closed(run_dir, session_id, journal) from None
        lost = False
        with raw_terminal(source, sink), window_changes() as changes, opened_afresh(source, sink) as afresh:
            attachment = Attachment(client, journal, source, sink, offset, afresh)
            try:
                _write_all(sink, prelude)
                client.send(wire.FOLLOW, wire.pack_fields(("screen", 1)))
                attachment.resize(redraw=offset is None)
                attachment.show(attachment.limit)
                attachment.run(changes)
            except ConnectionError:
                lost = True
                if not attachment.passed:
                    attachment.show(None)
            finally:
                attachment.reclaim()
                attachment.reader.close()
    status = ending(journal)[0] if attachment.ended else None
    if status is not None:
        return status
    if lost:
        raise _closed(run_dir, session_id, journal)
    return Detached(attachment.reader.offset)


def _closed(run_dir: Path, session_id: str, journal: Path) -> SessionError:
    """What it means that the connection is over: that of a holder which listens still was not the last one."""
    try:
        BlockingClient(run_dir, session_id).close()
    except NOBODY:
        return over(session_id, journal)
    except HolderSilent as silent:
        return silent
    return HolderSilent(session_id, "it closed the connection")


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return  # the terminal has been closed; its input will tell
