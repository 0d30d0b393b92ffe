"""The holder's event loop: the agent's output to the journal, requests of clients to the agent, ending."""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import select
import struct
import time

from at_session import holder_wire as wire
from at_session.holder_clients import Client, Terminal
from at_session.holder_journal import Journal
from at_session.holder_listener import Listener
from at_session.holder_processes import Refusal, send_signal, session_processes, set_size
from at_session.holder_wire import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DISK, LINGER, HUNG, CROWDED = -1, -2, -3, -4  # names of timers, beside the numbers of signals to send
REPLIES_BOUND = (
    4096  # bytes of input that an agent has not read, beyond which its terminal's queries get no reply
)
ECHO_SECONDS = (
    150e-6  # how long an answer to a key is awaited without sleeping: a sleep and a wake take that long
)


class Holder:
    """The event loop. It sleeps in poll() without a time-out unless a timer is set."""

    def __init__(self, launch: Fields, listener: Listener, journal: Journal) -> None:
        self.launch, self.listener, self.journal = launch, listener, journal
        self.pty, self.answers = launch[b"mode"] == b"pty", launch[b"answer"] == b"1"
        self.bound, self.input_bound = int(launch[b"bound"]), int(launch[b"input_bound"])
        self.clients: dict[int, Client] = {}
        self.terminals: dict[int, tuple[Client, Terminal]] = {}  # those in our hands now
        self.timers: dict[int, float] = {}
        self.pid, self.stdin, self.trimmed = 0, -1, 0
        self.shown = 0  # end of the last record but input
        self.outputs: dict[int, int] = {}  # our end → record kind
        # Journalled input that the agent has not taken; an empty one is the end of file.
        self.pending: list[memoryview] = []
        self.query_tail, self.deaf = b"", False
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
            lost = wire.GAP_RANGE.pack(bases[0], bases[1])
            self.journal.drop_below(bases[1])
            self.journal.append(wire.K_GAP, lost)

    def record_request(self, kind: int, payload: bytes = b"", wid: bytes = b"") -> None:
        """Journal what a client asks for before doing it, or refuse it: the client can ask again."""
        if self.status is not None or self.stdin < 0:
            raise Refusal(
                "ended", "the agent has exited" if self.stdin >= 0 else "the agent's input is closed"
            )
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
            data = posix.read(fd, wire.CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: nobody has the terminal open on the other side
        if data:
            self.record(self.outputs[fd], data)
            self.show(data)
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
        for query, answer in wire.QUERIES if b"\x1b" in text else ():
            for _ in range(text.count(query) - seen.count(query)):
                if self.waiting() > REPLIES_BOUND:
                    self.leave_unanswered()
                    return
                self.record(wire.K_REPLY, answer)
                self.queue_input(answer)

    def leave_unanswered(self) -> None:
        """One who asks and never reads would have us keep replies without end."""
        if not self.deaf:
            self.record(wire.K_NOTE, b"it does not read: queries of its terminal get no reply")
        self.deaf = True

    def queue_input(self, data: bytes) -> None:
        self.pending.append(memoryview(data))
        self.feed()

    def feed(self) -> None:
        """Give the agent as much of the pending input as it takes now."""
        while self.pending and self.stdin >= 0:
            data = self.pending[0]
            try:
                taken = posix.write(self.stdin, data[: wire.CHUNK])
            except BlockingIOError:
                return
            except OSError:
                self.record(
                    wire.K_NOTE, b"the agent has closed its input; %d bytes not taken" % self.waiting()
                )
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
        """After SIGCHLD or SIGTERM: collect the dead, orphans of the session included.

        A client that finds no socket of ours sends SIGCHLD, so that we look for it, as one of any version survives it.
        """
        self.listener.keep()
        if _signal.SIGTERM in posix.read(self.wake, 100):
            self.stop(5.0)
        try:
            while (ended := posix.waitpid(-1, posix.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.status = ended[1]
        except ChildProcessError:
            pass

    def processes(self) -> list[int]:
        found = session_processes(b"%s=%s\0" % (wire.MARK, self.launch[b"mark"]), self.pid, posix.getpid())
        return list(found) or [self.pid] * (self.status is None)

    def signal_all(self, pids: list[int], number: int) -> None:
        self.record(wire.K_SIGNAL, wire.pack_fields(("signal", number), ("pids", " ".join(map(str, pids)))))
        for pid in pids:
            send_signal(pid, number)

    def stop(self, grace: float) -> None:
        """Ask politely, after `grace` seconds SIGTERM, `insist` seconds later SIGKILL, to all processes of the session."""
        if not self.stopping and self.status is None and self.launch[b"polite"] == b"eof":
            self.record(wire.K_EOF)
            self.close_input()
        elif not self.stopping and self.status is None:
            self.signal_all([self.pid], int(self.launch[b"polite"]))
        self.stopping = True
        for number, after in (
            (_signal.SIGTERM, grace),
            (_signal.SIGKILL, grace + float(self.launch[b"insist"])),
        ):
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
            self.record(wire.K_EXIT, wire.EXIT_STATUS.pack(max(code, -1), max(-code, 0)))
            if left:
                self.record(wire.K_NOTE, wire.pack_fields(("left_behind", " ".join(map(str, left)))))
                self.stop(0.0)
        if not left or self.kills == 20:  # what cannot be killed is listed in the last signal record
            self.stage = 2
            for held in list(self.terminals.values()):
                self.give_back(*held)
            self.record(wire.K_END)
            self.timers = {LINGER: time.monotonic() + float(self.launch[b"linger"])} | self.timers

    def on_timer(self, name: int, now: float) -> None:
        del self.timers[name]
        if name == DISK:
            self.journal.flush()
            self.shown = self.journal.end
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
        if not client.version and kind != wire.HELLO:
            raise ValueError
        if kind == wire.WRITE:
            return self.write(client, payload)
        given = wire.fields(payload)
        number = {key: int(value) for key, value in given.items() if value.isdigit()}
        if kind == wire.HELLO:
            if not number[b"min"] <= wire.PROTOCOL <= number[b"max"]:
                raise Refusal("version", "this holder speaks protocol %d" % wire.PROTOCOL)
            client.version = wire.PROTOCOL
        elif kind == wire.FOLLOW:
            client.request, client.told, client.screen = request, (-1, b""), given.get(b"screen") == b"1"
        elif kind == wire.CLOSE_INPUT:
            self.allow(client, number[b"fence"])
            self.record_request(wire.K_EOF)
            self.queue_input(b"")
        elif kind == wire.RESIZE and self.pty:
            self.allow(client, number[b"fence"])
            struct.pack("HH", number[b"rows"], number[b"cols"])
            self.record_request(
                wire.K_RESIZE, wire.pack_fields(("rows", number[b"rows"]), ("cols", number[b"cols"]))
            )
            self.launch.update({key: given[key] for key in (b"rows", b"cols")})
            set_size(self.stdin, self.launch)
        elif kind == wire.SIGNAL:
            if self.status is not None:
                raise Refusal("ended", "the agent has exited")
            scopes = {b"child": lambda: [self.pid], b"group": lambda: [-self.pid], b"all": self.processes}
            self.signal_all(scopes[given[b"scope"]](), number[b"signal"])
        elif kind == wire.STOP:
            self.stop(number[b"grace_ms"] / 1000)
        elif kind == wire.TRIM:
            self.trimmed = max(self.trimmed, min(number[b"offset"], self.journal.end))
            self.journal.drop_below(self.trimmed)
        elif kind == wire.LEASE:
            self.allow(client, 0 if not number[b"steal"] else self.fence)
            self.lease, self.owner, self.fence = client, given[b"owner"], self.fence + 1
        elif kind == wire.RELEASE:
            self.end_lease(client)
        elif kind == wire.TERMINAL and self.pty:
            self.take_terminal(client, number[b"from"])
        elif kind == wire.CLOSE and self.stage == 2:
            self.timers[LINGER] = 0.0
        elif kind != wire.STATUS:
            raise Refusal("unknown", "request %d is not known, or not possible now" % kind)
        return self.describe()

    def describe(self) -> bytes:
        code = -1000 if self.status is None else posix.waitstatus_to_exitcode(self.status)
        return wire.pack_fields(
            *((key, self.launch[key.encode()]) for key in ("id", "mode", "rows", "cols")), ("version", wire.PROTOCOL),
            ("pid", self.pid), ("holder", posix.getpid()), ("state", self.state()), ("first", self.journal.bases[0]),
            ("end", self.journal.end), ("waiting", self.waiting()), ("owner", self.owner), ("fence", self.fence),
            ("exit", "" if self.status is None else code), ("terminals", len(self.terminals)),
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
        fence, size = wire.WRITE_HEAD.unpack_from(payload)
        at = wire.WRITE_HEAD.size + size
        wid, data = payload[wire.WRITE_HEAD.size : at], payload[at:]
        if len(wid) < size or not all(32 < byte < 127 for byte in wid):
            raise ValueError
        if before := self.journal.written(wid):
            return wire.pack_fields(("offset", before), ("repeated", 1))
        offset = self.journal.end
        self.take_input(client, fence, data, wid)
        return wire.pack_fields(("offset", offset), ("repeated", 0))

    def take_input(self, client: Client, fence: int, data: bytes, wid: bytes = b"") -> None:
        self.allow(client, fence)
        if self.pending and self.waiting() + len(data) > self.input_bound:
            raise Refusal("input-full", "%d bytes wait for the agent to read" % self.waiting())
        self.record_request(wire.K_INPUT, data, wid)
        if self.launch[b"failpoint"] == b"after-journal":
            posix.kill(posix.getpid(), _signal.SIGKILL)
        if data:
            self.queue_input(data)

    # -- terminals of clients

    def take_terminal(self, client: Client, start: int) -> None:
        """From now on read keys from the client's terminal and show it the output, of which it has that below `start`."""
        terminal = client.terminal
        if terminal is None or terminal.active or not terminal.usable:
            raise Refusal("terminal", "no terminal was passed, or one that may block")
        self.allow(client, 0)
        if self.journal.held or start < self.shown or self.stage == 2:
            raise Refusal("behind", "the journal has more to show")
        terminal.active, self.terminals[terminal.fd] = True, (client, terminal)

    def give_back(self, client: Client, terminal: Terminal, ended: bool = False) -> None:
        """Let the client go on by itself, with what its terminal has not taken; or end its attachment."""
        del self.terminals[terminal.fd]
        head = wire.RETURNED_HEAD.pack(self.journal.end, ended)
        client.outgoing += wire.frame(wire.RETURNED, 0, head + terminal.take_rest())

    def show(self, data: bytes) -> None:
        """Write output to the terminals: none sees a byte that is not journalled, none makes the agent wait."""
        for client, terminal in list(self.terminals.values()):
            if self.journal.held or not terminal.show(data):
                self.give_back(client, terminal)

    def use_terminal(self, client: Client, terminal: Terminal, events: int) -> None:
        """Go on writing what it had not taken; give the agent what was typed."""
        if events & select.POLLOUT and not terminal.flush():
            self.give_back(client, terminal)
        elif events & ~select.POLLOUT:
            keys, leaves = terminal.keys()
            try:
                if keys:
                    self.take_input(client, 0, keys)
            except Refusal as refusal:  # what cannot be taken is dropped, as any write without an id is
                leaves = leaves or refusal.args[0] == "busy"
            if leaves:
                self.give_back(client, terminal, ended=True)
            elif keys:
                self.await_echo()

    def await_echo(self) -> None:
        until = time.monotonic() + ECHO_SECONDS
        while self.stdin in self.outputs and self.may_read() and HUNG not in self.timers:
            if self.read_output(self.stdin) or time.monotonic() > until:
                return
            posix.sched_yield()  # the agent may need this core

    # -- clients and the loop

    def accept(self) -> None:
        try:
            fd, _ = self.listener.socket._accept()  # type: ignore[attr-defined]
        except OSError:  # no descriptor is left, or whoever came has gone
            self.timers[CROWDED] = time.monotonic() + 0.5
            return
        peer = _socket.socket(fileno=fd)
        user = struct.unpack("iII", peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))[1]
        peer.setblocking(False)
        if user == posix.geteuid():
            self.clients[fd] = Client(peer)
        else:
            peer.close()

    def receive(self, client: Client) -> None:
        """Take what has arrived and answer whole requests."""
        client.receive()
        at, arrived = 0, client.incoming
        while len(arrived) - at >= wire.FRAME.size:
            size, kind, request = wire.FRAME.unpack_from(arrived, at)
            if size > wire.MAX_FRAME:
                raise ValueError
            if len(arrived) - at - wire.FRAME.size < size:
                break
            at += wire.FRAME.size + size
            try:
                reply = self.answer(client, kind, request, bytes(arrived[at - size : at]))
                client.outgoing += wire.frame(wire.OK, request, reply) if request else b""
            except Refusal as refusal:
                client.outgoing += wire.frame(wire.ERROR, request, refusal.payload())
        del arrived[:at]

    def tell(self, client: Client) -> None:
        """Tell a follower, once it has taken what it was told before, how far the journal and the state are.

        One that shows a screen is not woken for input, which it mostly has typed itself.
        """
        client.flush()
        news = self.shown if client.screen else self.journal.end, self.state()
        reads = client.told is not None and not (client.terminal and client.terminal.active)
        if reads and news != client.told and not client.outgoing:
            client.told = news
            client.outgoing += wire.frame(
                wire.NEWS, client.request, wire.pack_fields(("end", news[0]), ("state", news[1]))
            )
            client.flush()

    def serve(self, client: Client, step: "Callable[[Client], None]") -> None:
        try:
            step(client)
        except (OSError, ValueError, KeyError, struct.error):  # gone, or not speaking our protocol
            if client.terminal:
                self.terminals.pop(client.terminal.fd, None)
            del self.clients[client.peer.fileno()]
            self.end_lease(client)
            client.close()

    def interests(self) -> dict[int, int]:
        """What to poll for. A file that is not read is left out, as poll() would go on to report its hang-up."""
        wanted = {self.wake: select.POLLIN}
        if len(self.clients) < 128 and CROWDED not in self.timers:
            wanted[self.listener.socket.fileno()] = select.POLLIN
        if self.may_read() and HUNG not in self.timers:
            wanted.update(dict.fromkeys(self.outputs, select.POLLIN))
        if self.pending and self.stdin >= 0:
            wanted[self.stdin] = wanted.get(self.stdin, 0) | select.POLLOUT
        for fd, client in self.clients.items():
            wanted[fd] = select.POLLOUT if client.outgoing else select.POLLIN
        for fd, (_, terminal) in self.terminals.items():  # behind the clients: one that is gone types no more
            wanted[fd] = select.POLLIN | select.POLLOUT if terminal.unsent else select.POLLIN
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
            if fd in self.terminals:
                self.use_terminal(*self.terminals[fd], events)
            elif fd == self.wake:
                self.reap()
            elif fd == self.listener.socket.fileno():
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
