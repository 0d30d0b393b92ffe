"""The holder's side of a journal: it appends. `journal.py` reads."""

import posix
import time

from at_session.holder_wire import pack_record


class Journal:
    """Segments `<base offset, 16 hex digits>.seg` in the current folder; an offset counts the bytes of records.

    A record that cannot be written (disk full, file size limit) waits in `held`, in order. The ids of writes stay in
    the file `ids` for the journal's whole life and are looked up there, so they cost no memory.
    """

    def __init__(self, segment: int) -> None:
        self.flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_APPEND | posix.O_CLOEXEC
        self.segment, self.bases, self.end, self.ids_end = segment, [0], 0, 0
        self.held: list[tuple[int, bytes, bytes, int]] = []
        self.why = "disk full"
        self.fd, self.ids = (posix.open(name, self.flags, 0o600) for name in ("%016x.seg" % 0, "ids"))

    def append(self, kind: int, payload: bytes, wid: bytes = b"") -> None:
        when = time.time_ns()
        if self.held:
            self.flush()
        if self.held or not self.write(kind, payload, wid, when):
            self.held.append((kind, payload, wid, when))

    def flush(self) -> None:
        while self.held and self.write(*self.held[0]):
            del self.held[0]

    def write(self, kind: int, payload: bytes, wid: bytes, when: int) -> bool:
        record = pack_record(self.end, when, kind, wid, payload)
        line = b"%s %d\n" % (wid, self.end) if wid else b""
        try:
            if self.end - self.bases[-1] >= self.segment:
                fd = posix.open("%016x.seg" % self.end, self.flags, 0o600)
                posix.close(self.fd)
                self.fd = fd
                self.bases.append(self.end)
            if posix.write(self.fd, record) == len(record) and (
                not line or posix.write(self.ids, line) == len(line)
            ):
                self.end += len(record)
                self.ids_end += len(line)
                return True
        except OSError as error:
            self.why = error.strerror or self.why
        posix.ftruncate(self.fd, self.end - self.bases[-1])
        posix.ftruncate(self.ids, self.ids_end)
        return False

    def written(self, wid: bytes) -> bytes:
        """Offset, in digits, of the input record that carries this write id; empty when there is none."""
        lines = b"\n" + posix.pread(self.ids, self.ids_end, 0) if wid else b""
        return lines.partition(b"\n%s " % wid)[2].partition(b"\n")[0]

    def drop_below(self, offset: int) -> None:
        while len(self.bases) > 1 and self.bases[1] <= offset:
            try:
                posix.unlink("%016x.seg" % self.bases.pop(0))
            except OSError:
                pass  # removed by somebody else
