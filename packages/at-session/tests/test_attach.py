"""A person's terminal on a session, played by a PTY."""

from __future__ import annotations

import os
import pty
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from fcntl import ioctl

import anyio
import pytest

from at_session import holder_wire as wire
from at_session.attach import ANSWERED, QUESTIONS, RESTORE, Detached, QueryFilter, attach
from at_session.blocking import BlockingClient
from at_session.errors import LeaseHeld, NotATerminal
from at_session.journal import ExitStatus
from at_session.pytest_plugin import SessionFactory
from at_session.session import Session
from at_session.vocabulary import Transport

SHELL = 'stty -echo; PS1=; echo ready; while read line; do echo "<$line>"; done'


class Person:
    """A child process with a controlling terminal that runs `attach`; the test has the terminal's other side."""

    def __init__(self, session: Session, **options: object) -> None:
        result_r, result_w = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                outcome = attach(
                    session.id,
                    run_dir=session.run_dir,
                    journal_dir=session.journal.parent,
                    owner="ann",
                    **options,  # type: ignore[arg-type]
                )
                os.write(result_w, repr(outcome).encode())
            except LeaseHeld as error:
                os.write(result_w, str(error).encode())
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

    def leave(self) -> None:
        os.close(self.master)
        os.waitpid(self.pid, 0)
        os.close(self.result)


@pytest.fixture
def shell(session_factory: SessionFactory) -> Session:
    return anyio.run(lambda: session_factory(["sh", "-c", SHELL], transport=Transport.PTY))


@pytest.fixture
def attached(shell: Session) -> Iterator[Callable[..., Person]]:
    people: list[Person] = []

    def come(**options: object) -> Person:
        people.append(Person(shell, **{"offset": 0, **options}))
        return people[-1]

    yield come
    for person in people:
        person.leave()


@pytest.mark.parametrize("key", [b"\x1c", b"\x1b[92;5u", b"\x1b[27;5;92~"])
def test_typing_seeing_and_detaching(attached: Callable[..., Person], shell: Session, key: bytes) -> None:
    person = attached()
    person.see(b"ready\r\n")
    before = termios.tcgetattr(person.master)
    person.type(b"hello\n")
    person.see(b"<hello>\r\n")
    person.type(b"not run" + key)
    assert person.outcome().startswith(repr(Detached(0))[:10])
    person.see(RESTORE)
    after = termios.tcgetattr(person.master)
    assert not before[3] & termios.ICANON and after[3] & termios.ICANON and after[3] & termios.ECHO
    with BlockingClient(shell.run_dir, shell.id) as client:
        assert (client.status["state"], client.status["owner"]) == ("running", "")


def test_the_size_follows_the_terminal(attached: Callable[..., Person], shell: Session) -> None:
    person = attached()
    person.see(b"ready\r\n")
    with BlockingClient(shell.run_dir, shell.id) as client:
        client.request(wire.FOLLOW)
        person.resize(51, 123)
        while client.request(wire.STATUS)["rows"] != "51":
            client.frames()
        assert client.request(wire.STATUS)["cols"] == "123"


def test_one_person_at_a_time_unless_stolen(attached: Callable[..., Person]) -> None:
    first = attached()
    first.see(b"ready\r\n")
    second = attached()
    assert second.outcome() == "busy: held by ann"
    third = attached(steal=True)
    third.see(b"ready\r\n")
    first.type(b"x\n")
    assert first.outcome().startswith("Detached")
    third.type(b"mine\n")
    third.see(b"<mine>")


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
    os.kill(person.pid, signal.SIGKILL)
    os.waitid(os.P_PID, person.pid, os.WEXITED | os.WNOWAIT)
    with BlockingClient(shell.run_dir, shell.id) as client:
        assert (
            client.request(wire.LEASE, wire.pack_fields(("owner", "daemon"), ("steal", 0)))["owner"]
            == "daemon"
        )


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
