"""The holder: one process that owns one agent's PTY or pipes, journals both directions and outlives its starter.

    python -I -S holder.py <launch file>

One file, standard library only; docs/protocol.md describes its formats, which clients import from here, so they exist
once. Why C modules (`_socket`, `_signal`, `posix`) and not `socket`, `signal`, `os`: their Python halves import enum
and collections, measured at +8 to +15 ms of start and +1.2 MB of private memory, against 30 ms and 5 MB allowed.
"""

import _ctypes
import _signal  # type: ignore[import-not-found]
import _socket
import binascii
import fcntl
import posix
import select
import struct
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Fields = dict[bytes, bytes]

# ---- formats -----------------------------------------------------------------------------------------------------

PROTOCOL = 1  # the only version so far; HELLO negotiates
FRAME = struct.Struct("<IBI")  # length of the payload, type, request number
MAX_FRAME = 8 << 20
HELLO, WRITE, CLOSE_INPUT, FOLLOW, RESIZE, SIGNAL, STOP, STATUS, TRIM, LEASE, RELEASE, CLOSE = range(1, 13)
OK, ERROR, NEWS = range(64, 67)
WRITE_HEAD = struct.Struct("<QB")  # fence, length of the write id; then the id, then the bytes

RECORD = struct.Struct("<IIQQBBH")  # crc32 of what follows, payload length, offset, time (ns), kind, 0, id length
K_START, K_OUTPUT, K_STDERR, K_INPUT, K_REPLY, K_EOF, K_RESIZE, K_SIGNAL, K_EXIT, K_GAP, K_NOTE, K_END = range(1, 13)
EXIT_STATUS = struct.Struct("<ii")  # exit code or -1, signal number or 0
GAP_RANGE = struct.Struct("<QQ")  # offsets [from, to) that are no longer kept

MARK = b"AT_SESSION_MARK"
CHUNK = 65536
DISK, LINGER, HUNG = -1, -2, -3  # names of timers, beside the numbers of signals to send

# Terminal queries whose honest answer does not depend on the screen. The cursor position (ESC[6n) does and is left to
# whoever shows the screen; kitty's ESC[?u is answered by silence, which says "no". ESC[c is last, as programs send it
# behind other queries to learn that no more answers come.
COLOURS = ((b"10", b"d0d0/d0d0/d0d0"), (b"11", b"1010/1010/1010"))
QUERIES = [
    *((b"\x1b]%s;?%s" % (n, end), b"\x1b]%s;rgb:%s%s" % (n, rgb, end)) for n, rgb in COLOURS for end in (b"\7", b"\x1b\\")),
    *((b"\x1b[5n", b"\x1b[0n"), (b"\x1b[0c", b"\x1b[?62;22c"), (b"\x1b[c", b"\x1b[?62;22c")),
]


def fields(payload: bytes) -> Fields:
    """Decode `key=value` texts, each ended by NUL. Raises ValueError on anything else."""
    if payload and payload[-1]:
        raise ValueError
    return dict(text.split(b"=", 1) for text in payload.split(b"\0")[:-1])


def pack_fields(*pairs: tuple[str, object]) -> bytes:
    """Encode `key=value` texts; values are bytes, str or int and hold no NUL."""
    return b"".join(b"%s=%s\0" % (k.encode(), v if isinstance(v, bytes) else str(v).encode()) for k, v in pairs)


def frame(kind: int, request: int, payload: bytes = b"") -> bytes:
    return FRAME.pack(len(payload), kind, request) + payload


def pack_record(offset: int, when: int, kind: int, wid: bytes, payload: bytes) -> list[bytes]:
    """Header (with the write id behind it) and payload of one journal record."""
    head = RECORD.pack(0, len(wid) + len(payload), offset, when, kind, 0, len(wid))[4:] + wid
    return [binascii.crc32(payload, binascii.crc32(head)).to_bytes(4, "little") + head, payload]


class Refusal(Exception):
    """Answered with ERROR; `args` are the code and the message."""


def attempt(code: str, function: "Callable[..., Any]", *args: object) -> "Any":
    """Call; an OSError becomes a Refusal of this code."""
    try:
        return function(*args)
    except OSError as error:
        raise Refusal(code, str(error)) from None


# ---- the journal -------------------------------------------------------------------------------------------------


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
        self.held.append((kind, payload, wid, time.time_ns()))
        self.flush()

    def flush(self) -> None:
        while self.held and self.write(*self.held[0]):
            del self.held[0]

    def write(self, kind: int, payload: bytes, wid: bytes, when: int) -> bool:
        parts = pack_record(self.end, when, kind, wid, payload)
        size = len(parts[0]) + len(payload)
        line = b"%s %d\n" % (wid, self.end) if wid else b""
        try:
            if self.end - self.bases[-1] >= self.segment:
                fd = posix.open("%016x.seg" % self.end, self.flags, 0o600)
                posix.close(self.fd)
                self.fd = fd
                self.bases.append(self.end)
            if posix.writev(self.fd, parts) == size and (not line or posix.write(self.ids, line) == len(line)):
                self.end += size
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


# ---- processes ---------------------------------------------------------------------------------------------------


def slurp(path: str) -> bytes:
    """A file's content; empty if it cannot be read, as with processes that end meanwhile or are not ours."""
    try:
        with open(path, "rb", 0) as file:
            return file.read()
    except OSError:
        return b""


def become_subreaper() -> None:
    """Orphans of the session become our children, wherever they fled (PR_SET_CHILD_SUBREAPER is 36).

    `_ctypes` alone costs 60 kB. Elsewhere than on Linux only the mark finds them.
    """
    if sys.platform == "linux":
        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 2), "prctl")  # type: ignore[arg-type]
        _ctypes.call_cdeclfunction(prctl, (36, 1, 0, 0, 0))


def session_processes(mark: bytes, leader: int, reaper: int) -> dict[int, bytes]:
    """Living processes of a session, pid → name: by kernel session, mark or adoption, and all their descendants.

    `leader` is the agent's pid, `reaper` the holder's; 0 leaves that criterion out. Empty where there is no /proc.
    """
    parents: dict[int, tuple[int, bytes]] = {}
    found: dict[int, bytes] = {}
    for name in posix.listdir("/proc") if sys.platform == "linux" else ():
        stat = slurp("/proc/%s/stat" % name) if name.isdigit() else b""
        command, _, rest = stat.partition(b"(")[2].rpartition(b")")
        if not rest or int(name) == posix.getpid():
            continue
        parent, _group, session = map(int, rest.split()[1:4])
        if rest.split()[0] in b"ZX" and parent != reaper:  # ours are reaped on SIGCHLD, and are there until then
            continue
        parents[int(name)] = parent, command
        if leader and session == leader or reaper and parent == reaper or mark in slurp("/proc/%s/environ" % name):
            found[int(name)] = command
    while more := {pid: name for pid, (up, name) in parents.items() if up in found and pid not in found}:
        found.update(more)
    return found


def send_signal(pid: int, number: int) -> None:
    try:
        posix.kill(pid, number)
    except OSError:
        pass  # gone in the meantime, or not ours to signal


def set_size(fd: int, launch: Fields) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(launch[b"rows"]), int(launch[b"cols"]), 0, 0))


def spawn(launch: Fields, argv: list[bytes], env: Fields) -> tuple[int, list[int]]:
    """Start the agent; return its pid and our ends: [master] or [stdin, stdout, stderr]. Raises OSError.

    It leads a kernel session of its own; the PTY becomes its controlling terminal by being opened in it.
    """
    if launch[b"mode"] == b"pty":
        master, slave = attempt("pty", posix.openpty)
        set_size(master, launch)
        ours, theirs = [master], [slave]
        tty = posix.ttyname(slave)
        actions: list[Any] = [(posix.POSIX_SPAWN_OPEN, fd, tty, posix.O_RDWR, 0) for fd in range(3)]
    else:
        pairs = [posix.pipe(), posix.pipe(), posix.pipe()]
        ours, theirs = [pairs[0][1], pairs[1][0], pairs[2][0]], [pairs[0][0], pairs[1][1], pairs[2][1]]
        actions = [(posix.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(theirs)]
    defaults = _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}
    umask = posix.umask(int(launch[b"umask"]))
    pid = posix.posix_spawn(
        launch[b"exe"], argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=defaults
    )
    posix.umask(umask)
    for fd in theirs:
        posix.close(fd)
    for fd in ours:
        posix.set_blocking(fd, False)
    return pid, ours


# ---- the loop ----------------------------------------------------------------------------------------------------


class Client:
    """One connection. `told` is the news a follower has had, None when it does not follow."""

    def __init__(self, fd: int) -> None:
        self.fd, self.version, self.request, self.screen = fd, 0, 0, False
        self.told: tuple[int, bytes] | None = None
        self.incoming, self.outgoing = bytearray(), bytearray()

    def flush(self) -> None:
        """Send what the socket takes now. Raises OSError when the peer is gone."""
        try:
            while self.outgoing:
                del self.outgoing[: posix.write(self.fd, self.outgoing[:CHUNK])]
        except BlockingIOError:
            pass


class Holder:
    """The event loop. It sleeps in poll() without a time-out unless a timer is set."""

    def __init__(self, launch: Fields, listener: _socket.socket, journal: Journal) -> None:
        self.launch, self.listener, self.journal = launch, listener, journal
        self.pty, self.answers = launch[b"mode"] == b"pty", launch[b"answer"] == b"1"
        self.bound, self.input_bound = int(launch[b"bound"]), int(launch[b"input_bound"])
        self.clients: dict[int, Client] = {}
        self.timers: dict[int, float] = {}
        self.pid, self.stdin, self.trimmed, self.shown = 0, -1, 0, 0  # shown: end of the last record but input
        self.outputs: dict[int, int] = {}  # our end → record kind
        self.pending: list[memoryview] = []  # journalled input that the agent has not taken; empty: end of file
        self.query_tail = b""
        self.lease: Client | None = None
        self.owner, self.fence = b"", 0
        self.status: int | None = None  # the agent's, of waitpid
        self.stage = 0  # 0 running, 1 exit recorded, 2 end recorded
        self.stopping, self.kills, self.disk_wait = False, 0, 0.1
        self.poll, self.polled = select.poll(), dict[int, int]()
        self.wake, wake_w = posix.pipe()
        posix.set_blocking(self.wake, False)
        posix.set_blocking(wake_w, False)
        _signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        for number in (_signal.SIGCHLD, _signal.SIGTERM):
            _signal.signal(number, lambda *_: None)

    def record(self, kind: int, payload: bytes = b"") -> None:
        """Journal what has happened; on a full disk it waits, and the agent's output is left unread."""
        self.journal.append(kind, payload)
        self.shown = self.journal.end
        if self.journal.held:
            self.timers.setdefault(DISK, time.monotonic() + self.disk_wait)
        bases = self.journal.bases
        if self.pty and len(bases) > 1 and self.journal.end - bases[0] > self.bound:
            lost = GAP_RANGE.pack(bases[0], bases[1])
            self.journal.drop_below(bases[1])
            self.journal.append(K_GAP, lost)

    def record_request(self, kind: int, payload: bytes = b"", wid: bytes = b"") -> None:
        """Journal what a client asks for before doing it, or refuse it: the client can ask again."""
        if self.status is not None or self.stdin < 0:
            raise Refusal("ended", "the agent has exited" if self.stdin >= 0 else "the agent's input is closed")
        if not self.journal.held:
            self.journal.append(kind, payload, wid)
            if not self.journal.held:
                return
            self.journal.held.clear()
        raise Refusal("disk", self.journal.why)

    def state(self) -> bytes:
        if self.journal.held:
            return b"blocked: " + self.journal.why.encode()
        if self.stage == 2 or not self.may_read():
            return b"ended" if self.stage == 2 else b"full"
        return b"running" if self.status is None else b"exited"

    # -- the agent's output and input

    def may_read(self) -> bool:
        """No on a full disk, and with pipes on a full journal. What a dead agent left in its pipes is little."""
        full = self.journal.end - max(self.trimmed, self.journal.bases[0]) >= self.bound
        return not self.journal.held and not (full and not self.pty and self.status is None)

    def read_output(self, fd: int) -> bool:
        """Journal what one read gives. False when nothing was there."""
        try:
            data = posix.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: nobody has the terminal open on the other side
        if data:
            self.record(self.outputs[fd], data)
            if self.pty and self.answers:
                self.answer_queries(data)
        elif self.pty and self.status is None:
            self.timers[HUNG] = time.monotonic() + 1.0  # not read until then: the agent may open it again
        else:
            del self.outputs[fd]
            posix.close(fd)
            if fd == self.stdin:
                self.stdin = -1
        return bool(data)

    def answer_queries(self, data: bytes) -> None:
        seen, text = self.query_tail, self.query_tail + data
        self.query_tail = text[-7:]  # one less than the longest query
        for query, answer in QUERIES if b"\x1b" in text else ():
            for _ in range(text.count(query) - seen.count(query)):
                self.record(K_REPLY, answer)
                self.queue_input(answer)

    def queue_input(self, data: bytes) -> None:
        self.pending.append(memoryview(data))
        self.feed()

    def feed(self) -> None:
        """Give the agent as much of the pending input as it takes now."""
        while self.pending and self.stdin >= 0:
            data = self.pending[0]
            try:
                taken = posix.write(self.stdin, data[:CHUNK])
            except BlockingIOError:
                return
            except OSError:
                self.record(K_NOTE, b"the agent has closed its input; %d bytes not taken" % self.waiting())
                taken, data = 0, data[:0]
            if not data:
                self.close_input()
            elif taken == len(data):
                del self.pending[0]
            else:
                self.pending[0] = data[taken:]

    def waiting(self) -> int:
        return sum(map(len, self.pending))

    def close_input(self) -> None:
        self.pending.clear()
        if self.stdin >= 0 and not self.pty:
            posix.close(self.stdin)
            self.stdin = -1

    # -- ending

    def reap(self) -> None:
        """After SIGCHLD or SIGTERM: collect the dead, orphans of the session included."""
        if _signal.SIGTERM in posix.read(self.wake, 100):
            self.stop(5.0)
        try:
            while (ended := posix.waitpid(-1, posix.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.status = ended[1]
        except ChildProcessError:
            pass

    def processes(self) -> list[int]:
        found = session_processes(b"%s=%s\0" % (MARK, self.launch[b"id"]), self.pid, posix.getpid())
        return list(found) or [self.pid] * (self.status is None)

    def signal_all(self, pids: list[int], number: int) -> None:
        self.record(K_SIGNAL, pack_fields(("signal", number), ("pids", " ".join(map(str, pids)))))
        for pid in pids:
            send_signal(pid, number)

    def stop(self, grace: float) -> None:
        """Ask politely, after `grace` seconds SIGTERM, `insist` seconds later SIGKILL, to all processes of the session."""
        if not self.stopping and self.status is None and self.launch[b"polite"] == b"eof":
            self.record(K_EOF)
            self.close_input()
        elif not self.stopping and self.status is None:
            self.signal_all([self.pid], int(self.launch[b"polite"]))
        self.stopping = True
        for number, after in ((_signal.SIGTERM, grace), (_signal.SIGKILL, grace + float(self.launch[b"insist"]))):
            self.timers[number] = min(self.timers.get(number, 1e18), time.monotonic() + after)

    def advance(self) -> None:
        """Go from the agent's death to the end record; each step waits until what came before it is journalled."""
        reads = 0  # bounded, as a process left behind may write for ever; a pipe or PTY holds less than this
        for fd in list(self.outputs):
            while reads < 256 and self.may_read() and fd in self.outputs and self.read_output(fd):
                reads += 1
        if not self.may_read():
            return
        left = self.processes()
        if self.stage == 0:
            self.stage = 1
            code = posix.waitstatus_to_exitcode(self.status or 0)
            self.record(K_EXIT, EXIT_STATUS.pack(max(code, -1), max(-code, 0)))
            if left:
                self.record(K_NOTE, pack_fields(("left_behind", " ".join(map(str, left)))))
                self.stop(0.0)
        if not left or self.kills == 20:  # what cannot be killed is listed in the last signal record
            self.stage = 2
            self.record(K_END)
            self.timers = {LINGER: time.monotonic() + float(self.launch[b"linger"])} | self.timers

    def on_timer(self, name: int, now: float) -> None:
        del self.timers[name]
        if name == DISK:
            self.journal.flush()
            self.disk_wait = min(self.disk_wait * 2, 5.0) if self.journal.held else 0.1
            if self.journal.held:
                self.timers[DISK] = now + self.disk_wait
        elif name > 0 and self.stage < 2 and (left := self.processes()):
            self.signal_all(left, name)
            if name == _signal.SIGKILL:
                self.kills += 1
                self.timers[name] = now + 0.05 * self.kills  # a fork may have raced the look

    # -- requests

    def answer(self, client: Client, kind: int, request: int, payload: bytes) -> bytes:
        """Perform a request and return the payload of its OK. Raises Refusal; ValueError, KeyError if malformed."""
        if not client.version and kind != HELLO:
            raise ValueError
        if kind == WRITE:
            return self.write(client, payload)
        given = fields(payload)
        number = {key: int(value) for key, value in given.items() if value.isdigit()}
        if kind == HELLO:
            if not number[b"min"] <= PROTOCOL <= number[b"max"]:
                raise Refusal("version", "this holder speaks protocol %d" % PROTOCOL)
            client.version = PROTOCOL
        elif kind == FOLLOW:
            client.request, client.told, client.screen = request, (-1, b""), given.get(b"screen") == b"1"
        elif kind == CLOSE_INPUT:
            self.allow(client, number[b"fence"])
            self.record_request(K_EOF)
            self.queue_input(b"")
        elif kind == RESIZE and self.pty:
            self.allow(client, number[b"fence"])
            struct.pack("HH", number[b"rows"], number[b"cols"])
            self.record_request(K_RESIZE, pack_fields(("rows", number[b"rows"]), ("cols", number[b"cols"])))
            self.launch.update({key: given[key] for key in (b"rows", b"cols")})
            set_size(self.stdin, self.launch)
        elif kind == SIGNAL:
            if self.status is not None:
                raise Refusal("ended", "the agent has exited")
            scopes = {b"child": lambda: [self.pid], b"group": lambda: [-self.pid], b"all": self.processes}
            self.signal_all(scopes[given[b"scope"]](), number[b"signal"])
        elif kind == STOP:
            self.stop(number[b"grace_ms"] / 1000)
        elif kind == TRIM:
            self.trimmed = max(self.trimmed, min(number[b"offset"], self.journal.end))
            self.journal.drop_below(self.trimmed)
        elif kind == LEASE:
            self.allow(client, 0 if not number[b"steal"] else self.fence)
            self.lease, self.owner, self.fence = client, given[b"owner"], self.fence + 1
        elif kind == RELEASE:
            self.end_lease(client)
        elif kind == CLOSE and self.stage == 2:
            self.timers[LINGER] = 0.0
        elif kind != STATUS:
            raise Refusal("unknown", "request %d is not known, or not possible now" % kind)
        return self.describe()

    def describe(self) -> bytes:
        code = -1000 if self.status is None else posix.waitstatus_to_exitcode(self.status)
        return pack_fields(
            *((key, self.launch[key.encode()]) for key in ("id", "mode", "rows", "cols")), ("version", PROTOCOL),
            ("pid", self.pid), ("holder", posix.getpid()), ("state", self.state()), ("first", self.journal.bases[0]),
            ("end", self.journal.end), ("waiting", self.waiting()), ("owner", self.owner), ("fence", self.fence),
            ("exit", "" if self.status is None else code),
        )  # fmt: skip

    def allow(self, client: Client, fence: int) -> None:
        """Raise Refusal unless this client may write, given the lease and the fence it names (0: none)."""
        if fence and (self.lease is None or fence != self.fence):
            raise Refusal("fence", "the lease %d has ended" % fence)
        if not fence and self.lease not in (None, client):
            raise Refusal("busy", "held by %s" % self.owner.decode("utf-8", "replace"))

    def end_lease(self, client: Client) -> None:
        if self.lease is client:
            self.lease, self.owner = None, b""

    def write(self, client: Client, payload: bytes) -> bytes:
        fence, size = WRITE_HEAD.unpack_from(payload)
        at = WRITE_HEAD.size + size
        wid, data = payload[WRITE_HEAD.size : at], payload[at:]
        if len(wid) < size or not all(32 < byte < 127 for byte in wid):
            raise ValueError
        if before := self.journal.written(wid):
            return pack_fields(("offset", before), ("repeated", 1))
        self.allow(client, fence)
        if self.pending and self.waiting() + len(data) > self.input_bound:
            raise Refusal("input-full", "%d bytes wait for the agent to read" % self.waiting())
        offset = self.journal.end
        self.record_request(K_INPUT, data, wid)
        if self.launch[b"failpoint"] == b"after-journal":
            posix.kill(posix.getpid(), _signal.SIGKILL)
        if data:
            self.queue_input(data)
        return pack_fields(("offset", offset), ("repeated", 0))

    # -- clients and the loop

    def accept(self) -> None:
        fd, _ = self.listener._accept()  # type: ignore[attr-defined]
        peer = _socket.socket(fileno=fd)
        user = struct.unpack("iII", peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))[1]
        posix.set_blocking(peer.detach(), False)
        if user == posix.geteuid():
            self.clients[fd] = Client(fd)
        else:
            posix.close(fd)

    def receive(self, client: Client) -> None:
        """Take what has arrived and answer whole requests."""
        data = posix.read(client.fd, CHUNK)
        if not data:
            raise OSError("closed by the peer")
        at, arrived = 0, client.incoming
        arrived += data
        while len(arrived) - at >= FRAME.size:
            size, kind, request = FRAME.unpack_from(arrived, at)
            if size > MAX_FRAME:
                raise ValueError
            if len(arrived) - at - FRAME.size < size:
                break
            at += FRAME.size + size
            try:
                reply = self.answer(client, kind, request, bytes(arrived[at - size : at]))
                client.outgoing += frame(OK, request, reply) if request else b""
            except Refusal as refusal:
                pairs = zip(("code", "message"), refusal.args, strict=True)
                client.outgoing += frame(ERROR, request, pack_fields(*pairs))
        del arrived[:at]

    def tell(self, client: Client) -> None:
        """Tell a follower, once it has taken what it was told before, how far the journal and the state are.

        One that shows a screen is not woken for input, which it mostly has typed itself.
        """
        client.flush()
        news = self.shown if client.screen else self.journal.end, self.state()
        if client.told is not None and news != client.told and not client.outgoing:
            client.told = news
            client.outgoing += frame(NEWS, client.request, pack_fields(("end", news[0]), ("state", news[1])))
            client.flush()

    def serve(self, client: Client, step: "Callable[[Client], None]") -> None:
        try:
            step(client)
        except (OSError, ValueError, KeyError, struct.error):  # gone, or not speaking our protocol
            posix.close(client.fd)
            del self.clients[client.fd]
            self.end_lease(client)

    def interests(self) -> dict[int, int]:
        """What to poll for. A file that is not read is left out, as poll() would go on to report its hang-up."""
        wanted = {self.wake: select.POLLIN}
        if len(self.clients) < 128:
            wanted[self.listener.fileno()] = select.POLLIN
        if self.may_read() and HUNG not in self.timers:
            wanted.update(dict.fromkeys(self.outputs, select.POLLIN))
        if self.pending and self.stdin >= 0:
            wanted[self.stdin] = wanted.get(self.stdin, 0) | select.POLLOUT
        for fd, client in self.clients.items():
            wanted[fd] = select.POLLOUT if client.outgoing else select.POLLIN
        return wanted

    def turn(self) -> None:
        """Wait for the next events and handle them."""
        if (interests := self.interests()) != self.polled:
            self.poll, self.polled = select.poll(), interests
            for fd, events in interests.items():
                self.poll.register(fd, events)
        waits = [at for name, at in self.timers.items() if name != LINGER or not self.journal.held]
        wait = max(0.0, (min(waits) - time.monotonic()) * 1000 + 1) if waits else None
        for fd, events in self.poll.poll(wait):
            if fd == self.wake:
                self.reap()
            elif fd == self.listener.fileno():
                self.accept()
            elif fd in self.clients and events & ~select.POLLOUT:
                self.serve(self.clients[fd], self.receive)
            if fd == self.stdin and events & (select.POLLOUT | select.POLLERR):
                self.feed()
            if fd in self.outputs and events & ~select.POLLOUT:
                self.read_output(fd)
        now = time.monotonic() if waits else 0.0
        for name in [name for name, at in self.timers.items() if at <= now and name != LINGER]:
            self.on_timer(name, now)
        if self.status is not None and self.stage < 2:
            self.advance()
        for client in list(self.clients.values()):
            self.serve(client, self.tell)

    def run(self) -> None:
        while self.journal.held or self.timers.get(LINGER, 1e18) > time.monotonic():
            self.turn()


# ---- start -------------------------------------------------------------------------------------------------------


def read_launch(path: str) -> tuple[Fields, list[bytes], Fields]:
    """Settings, argv and environment from the launch file: fields, of which `arg` and `env` occur many times."""
    pairs = [text.split(b"=", 1) for text in slurp(path).split(b"\0")[:-1]]
    env = dict(value.split(b"=", 1) for key, value in pairs if key == b"env")
    return dict(pairs), [value for key, value in pairs if key == b"arg"], env


def listen(path: bytes) -> _socket.socket:
    """Bind by relative name from the socket's folder: a path may be longer than the 107 bytes of sun_path."""
    posix.chdir(path.rpartition(b"/")[0])
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    posix.umask(0o177)
    listener.bind(path.rpartition(b"/")[2])
    posix.umask(0o077)
    listener.listen(64)
    return listener


def start(path: str) -> Holder:
    """Everything until the agent runs. Raises Refusal."""
    become_subreaper()
    launch, argv, env = attempt("launch", read_launch, path)
    listener = attempt("socket", listen, launch[b"socket"])
    posix.unlink(path)  # it holds the environment; not before the socket is there, so that we can be found
    attempt("journal", posix.chdir, launch[b"journal"])
    holder = Holder(launch, listener, attempt("journal", Journal, int(launch[b"segment"])))
    attempt("cwd", posix.chdir, launch[b"cwd"])
    holder.pid, ours = attempt("exec", spawn, launch, argv, env)
    posix.chdir(launch[b"journal"])
    holder.stdin = ours[0]
    holder.outputs = {ours[0]: K_OUTPUT} if holder.pty else {ours[1]: K_OUTPUT, ours[2]: K_STDERR}
    names = ("id", "mode", "rows", "cols")
    holder.record(K_START, pack_fields(("pid", holder.pid), *((name, launch[name.encode()]) for name in names)))
    return holder


def main(path: str) -> None:
    posix.closerange(3, 65536)  # what a starter left inheritable would be kept open for as long as we live
    if posix.fork():
        posix._exit(0)  # so that the starter has no child to reap, and we lead no session that could get a terminal
    for number in (_signal.SIGHUP, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_IGN)
    holder = None
    try:
        holder = start(path)
        ready = frame(OK, 0, holder.describe())
    except Refusal as refusal:
        ready = frame(ERROR, 0, pack_fields(*zip(("code", "message"), refusal.args, strict=True)))
    try:
        posix.write(1, ready)
    except OSError:
        pass  # the starter has died; the session goes on without it
    posix.dup2(0, 1)
    if holder:
        holder.run()
        posix.unlink(holder.launch[b"socket"])


if __name__ == "__main__":
    main(sys.argv[1])
