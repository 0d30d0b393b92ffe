"""Reading journals: from the stream a holder sends, and from disk when the holder is gone.

The formats are defined in `at_session.holder` and described in docs/protocol.md. A journal is one sequence of records;
a record's offset is the number of bytes of all records before it, so `Record.next` is where reading goes on.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from at_session import holder_wire as wire
from at_session.errors import JournalDamaged

READ_SIZE = 1 << 18


class RecordKind(IntEnum):
    """What a record tells. `STATE` is sent to followers and never on disk."""

    START = wire.K_START
    OUTPUT = wire.K_OUTPUT
    STDERR = wire.K_STDERR
    INPUT = wire.K_INPUT
    REPLY = wire.K_REPLY
    EOF = wire.K_EOF
    RESIZE = wire.K_RESIZE
    SIGNAL = wire.K_SIGNAL
    EXIT = wire.K_EXIT
    GAP = wire.K_GAP
    NOTE = wire.K_NOTE
    END = wire.K_END
    STATE = wire.NEWS


KINDS = frozenset(int(kind) for kind in RecordKind)


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How the agent ended: `code` 0..255, or None and the `signal` that ended it."""

    code: int | None
    signal: int | None


@dataclass(frozen=True, slots=True)
class Record:
    """One journal record. `time_ns` is wall time since the epoch; `write_id` is set on identified input."""

    offset: int
    next: int
    time_ns: int
    kind: RecordKind
    data: bytes
    write_id: str | None = None

    def exit_status(self) -> ExitStatus:
        """Of an EXIT record."""
        code, signal = wire.EXIT_STATUS.unpack(self.data)
        return ExitStatus(None if code < 0 else code, signal or None)

    def gap(self) -> tuple[int, int]:
        """Of a GAP record: the offsets [from, to) that are no longer kept."""
        start, stop = wire.GAP_RANGE.unpack(self.data)
        return start, stop

    def fields(self) -> dict[str, str]:
        """Of a START, RESIZE or SIGNAL record."""
        return text_fields(self.data)


def text_fields(payload: bytes) -> dict[str, str]:
    """Decode the `key=value` texts of a payload; bytes that are not UTF-8 survive as surrogates."""
    decode = "surrogateescape"
    return {k.decode(errors=decode): v.decode(errors=decode) for k, v in wire.fields(payload).items()}


class RecordParser:
    """Bytes of a journal in, records out, from a given offset on. Bytes may be split anywhere."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Record]:
        """Records completed by `data`. Raises JournalDamaged where the next one has a wrong checksum or offset."""
        self._buffer += data
        found: list[Record] = []
        at = 0
        with memoryview(self._buffer) as view:
            try:
                while (record := self._parse(view, at)) is not None:
                    found.append(record)
                    at += record.next - record.offset
                    self.offset = record.next
            except JournalDamaged:
                if not found:
                    raise
        del self._buffer[:at]
        return found

    def _parse(self, view: memoryview, at: int) -> Record | None:
        size = wire.RECORD.size
        if len(view) - at < size:
            return None
        crc, length, offset, when, kind, _, id_size = wire.RECORD.unpack_from(view, at)
        if offset != self.offset or id_size > length or kind not in KINDS:
            raise JournalDamaged(self.offset)
        end = at + size + length
        if len(view) < end:
            return None
        if binascii.crc32(view[at + 4 : end]) != crc:
            raise JournalDamaged(self.offset)
        body = at + size
        write_id = bytes(view[body : body + id_size]).decode("ascii") if id_size else None
        data = bytes(view[body + id_size : end])
        return Record(offset, offset + size + length, when, RecordKind(kind), data, write_id)


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments kept in a journal folder, as (base offset, file), oldest first. Other files are left alone."""
    return sorted((int(path.stem, 16), path) for path in folder.glob("[0-9a-f]" * 16 + ".seg"))


class JournalReader:
    """Records of a journal's files from `offset` on, which must be a record's.

    Where records are no longer kept, or are damaged, a GAP record covers them. A torn record at the end is not there.
    """

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self._folder = folder
        self._parser = RecordParser(offset)
        self._file: BinaryIO | None = None
        self._base = -1

    @property
    def offset(self) -> int:
        """Where the next record starts."""
        return self._parser.offset

    def read(self, limit: int | None = None) -> list[Record]:
        """The next records, of 256 kB or one record; empty at the end.

        `limit` is how far the journal is known to be written; None reads what is there, for a journal that no
        holder writes any more. Raises JournalDamaged where nothing below the limit can be read: what a program said
        there, a question perhaps, is lost, so that going on behind it would be to wait for an answer to nothing.
        """
        while limit is None or self.offset < limit:
            if self._file is None and not self._open():
                return self._gap(ends=limit is None)
            assert self._file is not None
            size = READ_SIZE if limit is None else min(READ_SIZE, limit - self._base - self._file.tell())
            data = self._file.read(size)
            try:
                found = self._parser.feed(data)
            except JournalDamaged:
                found, data = [], b""
            if found:
                return found
            if not data:
                self._leave()
        return []

    def close(self) -> None:
        """Close the file; reading may go on."""
        self._leave()
        self._base = -1

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._parser = RecordParser(self.offset)

    def _open(self) -> bool:
        """Open the segment of the offset; False when it is not kept, or is the one just read to its end."""
        kept = [entry for entry in segments(self._folder) if entry[0] <= self.offset]
        if not kept or kept[-1][0] == self._base:
            return False
        self._base, path = kept[-1]
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return False  # dropped between the two looks
        self._file.seek(self.offset - self._base)
        return True

    def _gap(self, *, ends: bool) -> list[Record]:
        start, self._base = self.offset, -1
        following = [base for base, _ in segments(self._folder) if base > start]
        if not following and ends:
            return []
        if not following:
            raise JournalDamaged(start)
        self._parser = RecordParser(following[0])
        return [Record(start, following[0], 0, RecordKind.GAP, wire.GAP_RANGE.pack(start, following[0]))]


def read_records(folder: Path, offset: int = 0) -> Iterator[Record]:
    """All records of a journal that no holder writes any more, from `offset` on."""
    reader = JournalReader(folder, offset)
    try:
        while found := reader.read():
            yield from found
    finally:
        reader.close()


def _read_segment(path: Path, base: int) -> Iterator[Record]:
    parser = RecordParser(base)
    try:
        with path.open("rb") as file:
            while data := file.read(READ_SIZE):
                yield from parser.feed(data)
    except (JournalDamaged, FileNotFoundError):
        return  # torn by a crash, or dropped while being read


def ending(folder: Path) -> tuple[ExitStatus | None, bool]:
    """The recorded exit, and whether the journal is complete (its END record was written)."""
    complete = False
    for base, path in reversed(segments(folder)):
        exit_status = None
        for record in _read_segment(path, base):
            if record.kind is RecordKind.EXIT:
                exit_status = record.exit_status()
            complete = complete or record.kind is RecordKind.END
        if exit_status is not None:
            return exit_status, complete
    return None, complete


def written(folder: Path, write_id: str) -> int | None:
    """Offset of the input record with this write id, or None when it never was journalled.

    The list of ids outlives dropped segments. The holder adds an id after the record, so a holder killed in between
    leaves one record that only the last segment knows.
    """
    try:
        for line in (folder / "ids").read_text("ascii").splitlines():
            known, _, offset = line.partition(" ")
            if known == write_id:
                return int(offset)
    except FileNotFoundError:
        return None
    base, path = segments(folder)[-1]
    return next((r.offset for r in _read_segment(path, base) if r.write_id == write_id), None)
