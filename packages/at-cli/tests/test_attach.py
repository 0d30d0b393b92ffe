"""`at attach`: a person's terminal on a real session, and what stands in the way of one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator

import anyio
import pytest

from at_cli.testing import BEAD_ID, At, FakeDaemon
from at_session.pytest_plugin import SessionFactory
from at_session.session import Session
from at_session.vocabulary import Transport

GREETING = "stty -echo; echo ready; read word; echo got $word; read word"


@pytest.fixture
def session(daemon: FakeDaemon, session_factory: SessionFactory) -> str:
    """Id of a session on a PTY that the daemon calls furiosa's."""

    async def start() -> Session:
        made = await session_factory(["/bin/sh", "-c", GREETING], transport=Transport.PTY)
        await made.aclose()
        return made

    made = anyio.run(start)
    daemon.answers["session"] = {
        "session": made.id,
        "run_dir": str(session_factory.home.run_dir),
        "journal_dir": str(session_factory.home.journal_dir),
        "transport": "pty",
        "live": True,
        "agent": "furiosa",
        "bead": BEAD_ID,
        "title": "Fix the \x1b]2;clock\x07",
    }
    return made.id


Talk = Callable[[str, bytes], None]


@pytest.fixture
def attached(at: At, session: str) -> Iterator[tuple[subprocess.Popen[bytes], Talk]]:
    """`at attach` on a terminal, and a function that waits for a text and then types."""
    master, slave = os.openpty()
    environ = {**at.environ, "TERM": "xterm"}
    command = [sys.executable, "-m", "at_cli", "attach", "furiosa"]
    process = subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""

    def talk(awaited: str, typed: bytes) -> None:
        nonlocal seen
        while awaited.encode() not in seen:
            assert select.select([master], [], [], 40)[0], seen
            try:
                seen += os.read(master, 65536)
            except OSError:  # Linux says EIO once the last process at the other end is gone
                raise AssertionError(seen) from None
        if typed:
            os.write(master, typed)

    yield process, talk
    process.kill()
    process.wait()
    os.close(master)


def test_what_is_typed_reaches_the_agent_and_its_end_ends_it(
    attached: tuple[subprocess.Popen[bytes], Talk],
) -> None:
    process, talk = attached
    talk("attached to furiosa", b"hello\r")
    talk("got hello", b"bye\r")
    talk("furiosa has ended", b"")
    assert process.wait(40) == 0


def test_the_detach_key_leaves_the_agent_at_work(attached: tuple[subprocess.Popen[bytes], Talk]) -> None:
    process, talk = attached
    talk(f"\x1b[22;0t\x1b]2;furiosa: Fix the \\x1b]2;clock\\x07 ({BEAD_ID[:8]})\x1b\\", b"hello\r")
    talk("got hello", b"\x1c")
    talk("\x1b[23;0t", b"")
    talk("left furiosa, it goes on", b"")
    assert process.wait(40) == 0


def test_a_terminal_is_wanted(at: At, session: str) -> None:
    outcome = at("attach", "furiosa")
    assert outcome.code == 2 and "at logs furiosa -f" in outcome.err


@pytest.mark.parametrize("live, says", [(False, "is not running"), (True, "cannot attach")])
def test_an_agent_that_is_gone(at: At, daemon: FakeDaemon, live: bool, says: str) -> None:
    daemon.answers["session"] = {
        "session": "gone",
        "run_dir": str(daemon.home.run),
        "journal_dir": str(daemon.home.journal),
        "transport": "pty",
        "live": live,
    }
    outcome = at("attach", "furiosa", interactive=True)
    assert outcome.code == (1 if live else 0) and says in outcome.err
