"""The headless terminal: bytes of a PTY in, what a person would see out.

Bytes are kept until somebody looks (or `BACKLOG_BYTES` have gathered), then the engine reads them at once. An idle
terminal gives its engine back with `drop` and rebuilds it from its own snapshot at the next look.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any, Self

from at_session.engines import SCROLLBACK_ROWS, Engine, default_engine
from at_session.engines.quarantine import Deaths, FeedGuard, Unguarded
from at_session.engines.repaint import repaint
from at_session.engines.screen import Cell, Cursor, Modes, RenderableContent, Row, Size, trimmed
from at_session.errors import SnapshotRejected, SnapshotUnavailable

__all__ = ["RenderableContent", "Terminal"]

# What gathers before it is read unasked. A flood of short lines is read at about 3 MB/s, so this is 80 ms at worst.
BACKLOG_BYTES = 256 << 10
# A slow engine would stand still for a second here; it skips to the newest bytes instead.
SLOW_BACKLOG_BYTES = 1 << 20
KEPT_BYTES = 64 << 10
CANCEL = b"\x18"
LARGEST_SIDE = 1000
MAGIC = b"ATTERM\x01\n"
HEADER = struct.Struct("<III")
"""After the magic: length and CRC-32 of the header (JSON), and CRC-32 of the rest."""

FAST = 1
"""zlib's level 1: libghostty-vt's state shrinks to a tenth of its size at 130 MB/s."""


class Terminal:
    """A terminal of `rows` × `cols` (1–1000 each) that keeps up to `scrollback` rows above the screen.

    `engine` is chosen by `default_engine` unless given. `offset` is the place in the session's stream of the first
    byte that will be fed. `guard` marks the reading of bytes, see `at_session.engines.quarantine`.
    """

    def __init__(
        self,
        rows: int = 24,
        cols: int = 80,
        scrollback: int = SCROLLBACK_ROWS,
        engine: type[Engine] | None = None,
        *,
        guard: FeedGuard | None = None,
        offset: int = 0,
    ) -> None:
        degraded = None
        if engine is None:
            choice = default_engine()
            engine, degraded = choice.engine, choice.degraded
        self._type = engine
        self._degraded = degraded or engine.limitation
        self._engine: Engine | None = None
        self._saved: bytes | None = None
        self._guard: FeedGuard = guard or Unguarded()
        # Asked once: a session released later goes on in a new terminal, with the bytes this one did not read.
        self._quarantined = self._guard.quarantined
        self._size = self._engine_size = _checked_size(rows, cols)
        self._limit = scrollback
        self._offset = self._read_to = offset
        self._backlog: list[bytes | Size] = []
        self._backlog_bytes = 0
        self._skipped_bytes = 0
        self._shown: RenderableContent | None = None

    @property
    def size(self) -> Size:
        return self._size

    @property
    def offset(self) -> int:
        """Where in the stream the next byte belongs: the bytes fed so far, added to the first offset."""
        return self._offset

    @property
    def engine_name(self) -> str:
        return self._type.name

    @property
    def degraded(self) -> str | None:
        """Why what is shown may not be exact, in words for a person; `None` when it is."""
        if self._quarantined:
            return str(self._quarantined)
        if self._skipped_bytes:
            return f"{self._degraded}; {self._skipped_bytes} bytes came too fast for it and were skipped"
        return self._degraded

    @property
    def quarantined(self) -> Deaths | None:
        """Set when this session's bytes are not read any more because they killed the process."""
        return self._quarantined

    @property
    def dropped(self) -> bool:
        """No engine is held at the moment."""
        return self._engine is None

    def feed(self, data: bytes) -> None:
        """Take the stream's next bytes. They are read when somebody looks, or when 256 KiB have gathered.

        A slow engine (pyte) skips all but the newest 64 KiB once 1 MiB has gathered, and `degraded` says so.
        """
        if not data:
            return
        self._backlog.append(bytes(data))
        self._backlog_bytes += len(data)
        self._offset += len(data)
        if self._type.slow and self._backlog_bytes >= SLOW_BACKLOG_BYTES:
            self._skip()
        elif not self._type.slow and self._backlog_bytes >= BACKLOG_BYTES:
            self._read()

    def resize(self, rows: int, cols: int) -> None:
        """Takes effect after the bytes fed before it. Raises `ValueError` for a size out of range."""
        size = _checked_size(rows, cols)
        if size != self._size:
            self._size = size
            self._shown = None
            self._backlog.append(size)

    def text(self) -> str:
        """The screen's rows, joined by newlines, without the spaces at their ends."""
        return self.renderable_content().text

    def renderable_content(self) -> RenderableContent:
        """What is on the screen now. Looking again costs nothing, and wakes no engine, while no bytes have come."""
        if self._shown is None or self._shown.offset != self._offset:
            engine = self._read()
            self._shown = self._quarantine_notice() if engine is None else self._look(engine)
        return self._shown

    def _look(self, engine: Engine) -> RenderableContent:
        with self._guard.reading(self._offset, self._offset):
            return RenderableContent(
                rows=engine.screen(),
                cursor=engine.cursor(),
                size=self._size,
                title=engine.title(),
                modes=engine.modes(),
                scrollback_length=engine.scrollback_length(),
                offset=self._offset,
            )

    def _quarantine_notice(self) -> RenderableContent:
        """The reason on an otherwise empty screen, broken at the right edge."""
        rows, cols = self._size.rows, self._size.cols
        message = f"No screen: {self._quarantined}."
        lines = [message[at : at + cols] for at in range(0, len(message), cols)][:rows]
        notice = [trimmed([Cell(letter) for letter in line]) for line in lines] + [Row()] * rows
        return RenderableContent(
            tuple(notice[:rows]), Cursor(visible=False), self._size, "", Modes(), 0, self._offset
        )

    def scrollback(self, start: int, count: int) -> tuple[Row, ...]:
        """Rows that left the screen, from `start` (0 is the oldest kept), fewer where they end."""
        engine = self._read()
        if engine is None:
            return ()
        with self._guard.reading(self._offset, self._offset):
            return engine.scrollback(max(0, start), max(0, count))

    def repaint(self) -> bytes:
        """A terminal stream that draws the present screen, for somebody who starts to watch."""
        return repaint(self.renderable_content())

    def drop(self) -> bool:
        """Give the engine's memory back until somebody looks; what is kept is a compressed snapshot.

        False, and nothing happens, where no snapshot can be taken (see `snapshot`).
        """
        if self._engine is None:
            return True
        try:
            with self._guard.reading(self._read_to, self._read_to):
                self._saved = zlib.compress(self._engine.save(), FAST)
        except SnapshotUnavailable:
            return False
        self._engine.close()
        self._engine = None
        return True

    def snapshot(self) -> bytes:
        """The exact state, unfinished sequences included, for `from_snapshot`. Does not depend on the process.

        Raises `SnapshotUnavailable` inside a sequence too long to keep, and in quarantine.
        """
        engine = self._read()
        if engine is None:
            raise SnapshotUnavailable(str(self.quarantined))
        with self._guard.reading(self._offset, self._offset):
            state = zlib.compress(engine.save(), FAST)
        picture = zlib.compress(self.repaint(), FAST)
        header = {
            "engine": engine.name,
            "version": engine.version,
            "rows": self._size.rows,
            "cols": self._size.cols,
            "scrollback": self._limit,
            "offset": self._offset,
            "state": len(state),
        }
        head = json.dumps(header, separators=(",", ":")).encode()
        rest = state + picture
        return MAGIC + HEADER.pack(len(head), zlib.crc32(head), zlib.crc32(rest)) + head + rest

    @classmethod
    def from_snapshot(
        cls, data: bytes, engine: type[Engine] | None = None, *, guard: FeedGuard | None = None
    ) -> Self:
        """The terminal `data` was taken of: it shows the same and goes on the same.

        A snapshot of another engine, or another version of it, restores the screen but not the scrollback nor
        unfinished sequences; `degraded` then says so. Raises `SnapshotRejected` for damaged bytes.
        """
        header, state, picture = _parsed(data)
        try:
            rows, cols, limit = int(header["rows"]), int(header["cols"]), int(header["scrollback"])
            offset, made_by = int(header["offset"]), str(header["version"])
            terminal = cls(rows, cols, limit, engine, guard=guard, offset=offset)
        except (KeyError, TypeError, ValueError) as damage:
            raise SnapshotRejected(f"its header lacks or misstates {damage}") from damage
        if made_by == terminal._type.version:
            terminal._saved = state
            # Read now, so that damage is reported here and not at some later look.
            terminal._read()
        else:
            terminal._degraded = f"the screen was restored approximately from a snapshot made by {made_by}"
            terminal._backlog.append(_inflated(picture))
        return terminal

    def _read(self) -> Engine | None:
        """The engine, up to date; `None` in quarantine, where bytes are counted but not kept."""
        if self._quarantined:
            self._backlog.clear()
            self._backlog_bytes = 0
            return None
        if self._engine is not None and not self._backlog:
            return self._engine
        with self._guard.reading(self._read_to, self._offset):
            engine = self._engine = self._engine or self._built()
            for entry in _joined(self._backlog):
                if isinstance(entry, Size):
                    engine.resize(entry.rows, entry.cols)
                    self._engine_size = entry
                else:
                    engine.feed(entry)
        self._backlog.clear()
        self._backlog_bytes = 0
        self._read_to = self._offset
        return engine

    def _skip(self) -> None:
        """Forget the older part of the backlog. CAN ends whatever sequence the gap cut open."""
        newest = b"".join(entry for entry in self._backlog if isinstance(entry, bytes))[-KEPT_BYTES:]
        self._skipped_bytes += self._backlog_bytes - len(newest)
        self._backlog = [self._size, CANCEL + newest]
        self._backlog_bytes = len(newest)

    def _built(self) -> Engine:
        size, saved = self._engine_size, self._saved
        if saved is None:
            return self._type(size.rows, size.cols, self._limit)
        engine = self._type.restore(_inflated(saved), size.rows, size.cols, self._limit)
        self._saved = None
        return engine


def _checked_size(rows: int, cols: int) -> Size:
    if not (1 <= rows <= LARGEST_SIDE and 1 <= cols <= LARGEST_SIDE):
        raise ValueError(f"a terminal of {rows} rows and {cols} columns; each must be 1–{LARGEST_SIDE}")
    return Size(rows, cols)


def _joined(backlog: list[bytes | Size]) -> list[bytes | Size]:
    """Neighbouring bytes in one piece: an engine is called once, not once for every read of the PTY."""
    joined: list[bytes | Size] = []
    pieces: list[bytes] = []
    for entry in backlog:
        if isinstance(entry, Size):
            joined += [b"".join(pieces), entry]
            pieces = []
        else:
            pieces.append(entry)
    return [*joined, b"".join(pieces)]


def _parsed(data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    start = len(MAGIC) + HEADER.size
    if len(data) < start or not data.startswith(MAGIC):
        raise SnapshotRejected("it does not begin like one")
    length, head_sum, rest_sum = HEADER.unpack_from(data, len(MAGIC))
    head, rest = data[start : start + length], data[start + length :]
    if zlib.crc32(head) != head_sum or zlib.crc32(rest) != rest_sum:
        raise SnapshotRejected("its checksum does not match")
    try:
        header = json.loads(head)
        state = int(header["state"])
    except (ValueError, KeyError, TypeError) as damage:
        raise SnapshotRejected(f"its header does not parse ({damage})") from damage
    return header, rest[:state], rest[state:]


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error as damage:
        raise SnapshotRejected(f"it does not decompress ({damage})") from damage
