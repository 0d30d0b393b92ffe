"""A person's terminal on a session, played by a PTY."""

from __future__ import annotations

import os
import pty
import resource
import select
import shutil
import signal
import socket
import struct
import tempfile
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path

import anyio
import pytest

from at_session import holder_wire as wire
from at_session.attach import ANSWERED, QUESTIONS, RESTORE, Detached, QueryFilter, attach
from at_session.blocking import BlockingClient
from at_session.errors import HolderLost, LeaseHeld, NotATerminal, RequestRefused
from at_session.following import output_of
from at_session.journal import ExitStatus, JournalReader, RecordKind
from at_session.protocol import FrameParser
from at_session.pytest_plugin import SessionFactory
from at_session.session import Session
from at_session.vocabulary import Transport

SHELL = 'stty -echo; PS1=; echo ready; while read line; do echo "<$line>"; done'


class Person:
    """A child process with a controlling terminal that runs `attach`; the test has the terminal's other side.

    `screen` is a terminal of its own to show the session on.
    """

    def __init__(
        self, session: Session, *, run_dir: Path | None = None, screen: int = 1, **options: object
    ) -> None:
        result_r, result_w = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            try:
                outcome = attach(
                    session.id,
                    run_dir=run_dir or session.run_dir,
                    journal_dir=session.journal.parent,
                    owner="ann",
                    sink=screen,
                    **options,  # type: ignore[arg-type]
                )
                os.write(result_w, repr(outcome).encode() if os.get_blocking(0) else b"left non-blocking")
            except (LeaseHeld, HolderLost, KeyboardInterrupt) as error:
                os.write(result_w, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.close(result_w)
        self.result = result_r
        self.seen = b""

    def see(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.master, 4096)

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def resize(self, rows: int, cols: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def outcome(self) -> str:
        return os.read(self.result, 4096).decode()

    def raw(self) -> bool:
        return not termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO)

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def leave(self) -> None:
        if self.master >= 0:
            self.hang_up()
        os.waitpid(self.pid, 0)
        os.close(self.result)


def status_of(session: Session) -> dict[str, str]:
    """The holder's word, once it has seen the end of the connections that have ended by now."""
    with BlockingClient(session.run_dir, session.id) as client:
        return client.request(wire.STATUS)


def wait_for_terminals(session: Session, count: int) -> None:
    """Until the holder itself reads and writes this many."""
    with BlockingClient(session.run_dir, session.id) as client:
        while client.request(wire.STATUS)["terminals"] != str(count):
            pass


def journal_of(session: Session, kind: RecordKind) -> bytes:
    with BlockingClient(session.run_dir, session.id) as client:
        reader, end = JournalReader(session.journal), int(client.status["end"])
    data = b""
    while records := reader.read(end):
        data += output_of(records, kind)
    reader.close()
    return data


@pytest.fixture
def shell(session_factory: SessionFactory) -> Session:
    return anyio.run(lambda: session_factory(["sh", "-c", SHELL], transport=Transport.PTY))


@pytest.fixture
def people() -> Iterator[list[Person]]:
    come: list[Person] = []
    yield come
    for person in come:
        person.leave()


@pytest.fixture
def attached(shell: Session, people: list[Person]) -> Callable[..., Person]:
    def come(session: Session = shell, **options: object) -> Person:
        people.append(Person(session, **{"offset": 0, **options}))  # type: ignore[arg-type]
        return people[-1]

    return come


@pytest.mark.parametrize("key", [b"\x1c", b"\x1b[92;5u", b"\x1b[27;5;92~"])
def test_typing_seeing_and_detaching(attached: Callable[..., Person], shell: Session, key: bytes) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    assert person.raw()
    person.type(b"hello\n")
    person.see(b"<hello>\r\n")
    person.type(b"not run" + key + b"not typed")
    assert person.outcome().startswith("Detached")
    person.see(RESTORE)
    assert not person.raw()
    assert journal_of(shell, RecordKind.INPUT) == b"hello\nnot run"
    with BlockingClient(shell.run_dir, shell.id) as client:
        assert (client.status["state"], client.status["owner"]) == ("running", "")


def test_the_size_follows_the_terminal(attached: Callable[..., Person], shell: Session) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    with BlockingClient(shell.run_dir, shell.id) as client:
        client.request(wire.FOLLOW)
        person.resize(51, 123)
        while client.request(wire.STATUS)["rows"] != "51":
            client.frames()
        assert client.request(wire.STATUS)["cols"] == "123"


def test_one_person_at_a_time_unless_stolen(attached: Callable[..., Person], shell: Session) -> None:
    first = attached()
    first.see(b"ready\r\n")
    second = attached()
    assert second.outcome() == "LeaseHeld: busy: held by ann"
    third = attached(steal=True)
    third.see(b"ready\r\n")
    wait_for_terminals(shell, 2)
    third.type(b"mine\n")
    third.see(b"<mine>")
    first.see(b"<mine>")  # it goes on to see, until it types
    first.type(b"x\n")
    assert first.outcome().startswith("Detached")
    third.type(b"still mine\n")
    third.see(b"<still mine>")
    assert journal_of(shell, RecordKind.INPUT) == b"mine\nstill mine\n"


def test_the_end_of_the_session_is_told(attached: Callable[..., Person], shell: Session) -> None:
    person = attached(prelude=b"a screen")
    person.see(b"a screen")
    person.see(b"ready\r\n")
    person.type(b"\x04")
    person.see(RESTORE)
    assert person.outcome() == repr(ExitStatus(0, None))


def test_a_killed_attachment_gives_the_lease_back(attached: Callable[..., Person], shell: Session) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    os.kill(person.pid, signal.SIGKILL)
    os.waitid(os.P_PID, person.pid, os.WEXITED | os.WNOWAIT)
    with BlockingClient(shell.run_dir, shell.id) as client:
        status = client.request(wire.LEASE, wire.pack_fields(("owner", "daemon"), ("steal", 0)))
    assert (status["owner"], status["terminals"]) == ("daemon", "0")


def test_key_and_echo_need_nobody_but_the_holder(attached: Callable[..., Person], shell: Session) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    os.kill(person.pid, signal.SIGSTOP)
    person.type(b"hello\n")
    person.see(b"<hello>\r\n")
    assert journal_of(shell, RecordKind.INPUT) == b"hello\n"
    assert journal_of(shell, RecordKind.OUTPUT) == person.seen
    os.kill(person.pid, signal.SIGCONT)
    person.type(b"\x1c")
    assert person.outcome() == repr(Detached(int(status_of(shell)["end"])))


def test_an_interrupted_attachment_has_its_terminal_back(
    attached: Callable[..., Person], shell: Session
) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    os.kill(person.pid, signal.SIGINT)
    assert person.outcome() == "KeyboardInterrupt: "
    assert not person.raw()
    assert status_of(shell)["terminals"] == "0"


def test_a_killed_holder_is_told(attached: Callable[..., Person], shell: Session) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    agent = os.pidfd_open(shell.pid)
    os.kill(shell.holder_pid, signal.SIGKILL)
    assert person.outcome().startswith("HolderLost")
    person.see(RESTORE)
    assert not person.raw()
    select.select([agent], [], [])
    os.close(agent)


def test_a_terminal_that_is_hung_up_ends_the_attachment(
    attached: Callable[..., Person], shell: Session
) -> None:
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    person.hang_up()
    assert person.outcome().startswith("Detached")
    assert (status_of(shell)["state"], status_of(shell)["owner"]) == ("running", "")


LINES = 100_000
FLOOD = f'stty -echo; echo ready; read go; seq -f %09.0f {LINES}; read line; echo "<$line>"; read end'


def test_a_terminal_that_takes_nothing_makes_nobody_wait(
    attached: Callable[..., Person], session_factory: SessionFactory
) -> None:
    flood = anyio.run(lambda: session_factory(["sh", "-c", FLOOD], transport=Transport.PTY))
    person = attached(flood)
    person.see(b"ready\r\n")
    wait_for_terminals(flood, 1)
    person.type(b"go\n")
    with BlockingClient(flood.run_dir, flood.id) as client:
        client.request(wire.FOLLOW)
        while b"%09d\r\n" % LINES not in journal_of(flood, RecordKind.OUTPUT):
            client.frames()
        assert client.request(wire.STATUS)["terminals"] == "0"
    person.see(b"%09d\r\n" % LINES)
    assert person.seen == journal_of(flood, RecordKind.OUTPUT)
    wait_for_terminals(flood, 1)
    person.type(b"there\n")
    person.see(b"<there>")


def test_nothing_is_shown_that_could_not_be_journalled(
    attached: Callable[..., Person], shell: Session
) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    person = attached()
    person.see(b"ready\r\n")
    wait_for_terminals(shell, 1)
    end = int(status_of(shell)["end"])
    room = wire.RECORD.size + len(b"hello\n")  # for the input, and not for the answer
    resource.prlimit(shell.holder_pid, resource.RLIMIT_FSIZE, (end + room, resource.RLIM_INFINITY))
    person.type(b"hello\n")
    with BlockingClient(shell.run_dir, shell.id) as client:
        news = client.request(wire.FOLLOW)
        while not news["state"].startswith("blocked"):
            news = client.frames()[-1].fields()
    assert select.select([person.master], [], [], 0)[0] == []
    resource.prlimit(shell.holder_pid, resource.RLIMIT_FSIZE, unlimited)
    person.see(b"<hello>\r\n")
    wait_for_terminals(shell, 1)
    assert journal_of(shell, RecordKind.OUTPUT) == person.seen


QUESTION = r"stty -echo; echo ready; read a; printf 'a\033'; read a; printf '[cb\033[5nc\033[31md\n'; read a"


def test_queries_are_answered_once_and_not_shown(
    attached: Callable[..., Person], session_factory: SessionFactory
) -> None:
    asking = anyio.run(lambda: session_factory(["sh", "-c", QUESTION], transport=Transport.PTY))
    person = attached(asking)
    person.see(b"ready\r\n")
    wait_for_terminals(asking, 1)
    person.type(b"\n")
    person.see(b"\na")
    person.type(b"\n")
    person.see(b"abc\x1b[31md\r\n")
    assert journal_of(asking, RecordKind.REPLY) == b"\x1b[0n\x1b[?62;22c"


def test_two_terminals_are_served_by_the_client(attached: Callable[..., Person], shell: Session) -> None:
    screen, slave = os.openpty()
    tty.setraw(slave)
    person = attached(screen=slave)
    assert os.read(screen, 7) == b"ready\r\n"
    person.type(b"hello\n")
    assert os.read(screen, 9) == b"<hello>\r\n"
    assert status_of(shell)["terminals"] == "0"
    person.type(b"\x1c")
    assert person.outcome().startswith("Detached")
    os.close(screen)
    os.close(slave)


def pump(source: socket.socket, target: socket.socket, change: bytes) -> None:
    """Pass frames on; those of type TERMINAL as `change`."""
    parser = FrameParser()
    while data := source.recv(1 << 16):
        for frame in parser.feed(data):
            kind = change[0] if frame.kind == wire.TERMINAL else frame.kind
            target.sendall(wire.frame(kind, frame.request, frame.payload))
    target.shutdown(socket.SHUT_WR)


@pytest.fixture
def older_holder(shell: Session, tmp_path: Path) -> Iterator[Path]:
    """A folder with a socket on which the shell's holder is one that has never heard of TERMINAL."""
    no_such_request = b"\x3f"
    run_dir = Path(tempfile.mkdtemp(prefix="at-"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as holder:
        listener.bind(str(run_dir / f"{shell.id}.sock"))
        listener.listen()
        holder.connect(str(shell.run_dir / f"{shell.id}.sock"))

        def serve() -> None:
            with listener.accept()[0] as client:
                back = threading.Thread(target=pump, args=(holder, client, b"\0"))
                back.start()
                pump(client, holder, no_such_request)
                back.join()

        server = threading.Thread(target=serve)
        server.start()
        yield run_dir
        server.join()
    shutil.rmtree(run_dir)


def test_a_holder_that_knows_no_terminals_is_served_as_ever(
    older_holder: Path, attached: Callable[..., Person], shell: Session
) -> None:
    person = attached(run_dir=older_holder)
    person.see(b"ready\r\n")
    person.type(b"hello\n")
    person.see(b"<hello>\r\n")
    assert status_of(shell)["terminals"] == "0"
    person.type(b"\x1c")
    assert person.outcome().startswith("Detached")
    person.see(RESTORE)


def test_what_is_no_terminal_or_may_block_is_refused(shell: Session) -> None:
    def refusal(*passed: int) -> str:
        with BlockingClient(shell.run_dir, shell.id) as client, pytest.raises(RequestRefused) as caught:
            client.request(wire.TERMINAL, wire.pack_fields(("from", 1 << 40)), passed)
        return caught.value.code

    def files() -> int:
        with BlockingClient(shell.run_dir, shell.id):
            return len(os.listdir(f"/proc/{shell.holder_pid}/fd"))

    before = files()
    master, slave = os.openpty()
    null = os.open(os.devnull, os.O_RDWR | os.O_NONBLOCK)
    assert [refusal(), refusal(slave), refusal(null), refusal(null, slave)] == ["terminal"] * 4
    os.set_blocking(slave, False)
    with BlockingClient(shell.run_dir, shell.id) as client:
        with pytest.raises(RequestRefused, match="behind"):
            client.request(wire.TERMINAL, wire.pack_fields(("from", 0)), (slave,))
        everything = wire.pack_fields(("from", client.status["end"]))
        assert client.request(wire.TERMINAL, everything, (slave,))["terminals"] == "1"
        with pytest.raises(RequestRefused, match="terminal"):
            client.request(wire.TERMINAL, everything)
    for fd in (master, slave, null):
        os.close(fd)
    assert (files(), status_of(shell)["terminals"]) == (before, "0")


def test_only_a_terminal_can_be_attached(shell: Session) -> None:
    with open(os.devnull, "rb") as null, pytest.raises(NotATerminal):
        attach(
            shell.id,
            run_dir=shell.run_dir,
            journal_dir=shell.journal.parent,
            owner="ann",
            source=null.fileno(),
            sink=null.fileno(),
        )


@pytest.mark.parametrize(
    ("pattern", "text", "left"),
    [
        (ANSWERED, b"a\x1b[cb\x1b]11;?\x1b\\c\x1b[5n\x1b[6nd", b"abc\x1b[6nd"),
        (ANSWERED, b"\x1b[31mred\x1b[0m\x1b]0;title\x07", b"\x1b[31mred\x1b[0m\x1b]0;title\x07"),
        (QUESTIONS, b"\x1b[6n\x1b[?6n\x1b[>c\x1b[?u\x1b]4;1;?\x07\x1b[?2026$p\x1b[>0qx", b"x"),
        (
            QUESTIONS,
            b"\x1b[2;5H\x1b[?25h\x1b[1mtext\x1b]8;;http://x\x07",
            b"\x1b[2;5H\x1b[?25h\x1b[1mtext\x1b]8;;http://x\x07",
        ),
    ],
)
def test_queries_are_taken_out_wherever_they_are_split(pattern: object, text: bytes, left: bytes) -> None:
    for size in range(1, len(text) + 1):
        query_filter = QueryFilter(pattern)  # type: ignore[arg-type]
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert b"".join(map(query_filter.feed, pieces)) == left
