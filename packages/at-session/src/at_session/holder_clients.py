"""What the holder keeps of a client: its connection, and the terminal that it may have passed."""

import _socket
import posix
import struct

from at_session import holder_wire as wire

UNSENT = 65536  # bytes kept for a terminal that takes none; then its client takes over and reads the journal


def unfinished(data: bytes) -> bytes:
    """The end of the data with which a terminal query may begin: it is shown, or not, once the rest is known."""
    for size in range(wire.LONGEST_QUERY - 1, 0, -1):
        if any(query.startswith(data[-size:]) for query, _ in wire.QUERIES):
            return data[-size:]
    return b""


class Terminal:
    """A person's terminal, opened afresh by the client that passed it and therefore ours to use without blocking."""

    def __init__(self, fd: int) -> None:
        self.fd, self.usable = fd, posix.isatty(fd) and not posix.get_blocking(fd)
        self.active = False  # True: keys are read here and output is written here
        self.query, self.unsent = b"", b""

    def keys(self) -> tuple[bytes, bool]:
        """What was typed, up to a detach key, and True if there was one or the terminal has been hung up."""
        try:
            data = posix.read(self.fd, wire.CHUNK)
        except BlockingIOError:
            return b"", False
        except OSError:
            data = b""
        typed = data
        for key in wire.DETACH_KEYS:
            typed = typed.partition(key)[0]
        return typed, not data or len(typed) < len(data)

    def show(self, data: bytes) -> bool:
        """Write output without the queries that the holder answers. False: the terminal has fallen behind."""
        if self.query or b"\x1b" in data:
            data = self.query + data
            for query, _ in wire.QUERIES:
                data = data.replace(query, b"")
            self.query = unfinished(data)
            data = data[: len(data) - len(self.query)]
        self.unsent = self.unsent + data if self.unsent else data
        return self.flush()

    def flush(self) -> bool:
        """Write what the terminal takes now. False when too much is left, or it was hung up."""
        try:
            while self.unsent:
                self.unsent = self.unsent[posix.write(self.fd, self.unsent) :]
        except BlockingIOError:
            return len(self.unsent) <= UNSENT
        except OSError:
            return False
        return True

    def take_rest(self) -> bytes:
        """What was not written; it is the client's to write now."""
        rest, self.query, self.unsent, self.active = self.unsent + self.query, b"", b"", False
        return rest


class Client:
    """One connection. `told` is the news a follower has had, None when it does not follow."""

    def __init__(self, peer: _socket.socket) -> None:
        self.peer, self.version, self.request, self.screen = peer, 0, 0, False
        self.told: tuple[int, bytes] | None = None
        self.incoming, self.outgoing = bytearray(), bytearray()
        self.terminal: Terminal | None = None

    def receive(self) -> None:
        """Take what has arrived. Raises OSError when the peer is gone. One terminal is kept of those passed."""
        data, passed, *_ = self.peer.recvmsg(wire.CHUNK, _socket.CMSG_LEN(4))
        for _, _, packed in passed:
            (fd,) = struct.unpack("i", packed)
            if self.terminal:
                posix.close(fd)
            else:
                self.terminal = Terminal(fd)
        if not data:
            raise OSError("closed by the peer")
        self.incoming += data

    def flush(self) -> None:
        """Send what the socket takes now. Raises OSError when the peer is gone."""
        try:
            while self.outgoing:
                del self.outgoing[: self.peer.send(self.outgoing[: wire.CHUNK])]
        except BlockingIOError:
            pass

    def close(self) -> None:
        self.peer.close()
        if self.terminal:
            posix.close(self.terminal.fd)
