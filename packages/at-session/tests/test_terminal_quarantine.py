"""A stream that kills the process is found at the next start; after two deaths only that session is not read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from at_session.engines.quarantine import RECORD, SLOTS, Deaths, QuarantineLedger
from at_session.errors import SnapshotUnavailable
from at_session.terminal import Terminal

CHILD = """
import os, signal, sys
from pathlib import Path
from at_session.engines.avt import AvtEngine
from at_session.engines.quarantine import QuarantineLedger
from at_session.terminal import Terminal

class Fragile(AvtEngine):
    def feed(self, data):
        super().feed(data)
        if b"poison" in data:
            os.abort() if sys.argv[2] == "SIGABRT" else os.kill(os.getpid(), getattr(signal, sys.argv[2]))

ledger = QuarantineLedger(Path(sys.argv[1]))
for session, stream in (("good", b"fine"), ("bad", sys.argv[3].encode()), ("other", b"well")):
    terminal = Terminal(engine=Fragile, guard=ledger.guard(session), offset=100)
    terminal.feed(stream)
    print(session, terminal.text().splitlines()[0], flush=True)
"""


def run(marker: Path, stream: str = "poison", signal_name: str = "SIGABRT") -> tuple[int, list[str]]:
    """One life of a process that reads three sessions: its exit status and what it got to show."""
    command = [sys.executable, "-I", "-c", CHILD, str(marker), signal_name, stream]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("signal_name", ["SIGABRT", "SIGKILL"])
def test_two_deaths_quarantine_only_that_session(tmp_path: Path, signal_name: str) -> None:
    marker = tmp_path / "reading"
    died = -getattr(signal, signal_name)
    for _ in range(2):
        assert run(marker, signal_name=signal_name) == (died, ["good fine"])
    status, shown = run(marker, signal_name=signal_name)
    assert status == 0
    assert shown[0] == "good fine"
    assert shown[1].startswith("bad No screen: the process died 2 times while reading bytes 100–106")
    assert shown[2] == "other well"


def die(marker: Path, start: int, end: int, session: str = "bad") -> None:
    """What a process leaves that dies while reading: a record that nobody clears."""
    ledger = QuarantineLedger(marker)
    ledger.guard(session).reading(start, end).__enter__()
    ledger.close()


def read_well(marker: Path, start: int, end: int, session: str = "bad") -> None:
    ledger = QuarantineLedger(marker)
    with ledger.guard(session).reading(start, end):
        pass
    ledger.close()


def test_a_death_by_chance_is_forgiven_by_the_next_good_read(tmp_path: Path) -> None:
    marker = tmp_path / "reading"
    for _ in range(3):
        die(marker, 100, 106)
        read_well(marker, 50, 106)
    assert QuarantineLedger(marker).deaths("bad") is None


@pytest.mark.parametrize("start, end, session", [(50, 105, "bad"), (100, 106, "good")])
def test_other_reads_forgive_nothing(tmp_path: Path, start: int, end: int, session: str) -> None:
    marker = tmp_path / "reading"
    die(marker, 100, 106)
    read_well(marker, start, end, session)
    assert QuarantineLedger(marker).deaths("bad") == Deaths(1, 100, 106)


@pytest.fixture
def quarantined(tmp_path: Path) -> QuarantineLedger:
    """A ledger in which session `bad` died twice while reading bytes 5 to 9."""
    for _ in range(2):
        die(tmp_path / "reading", 5, 9)
    return QuarantineLedger(tmp_path / "reading")


def test_a_quarantined_terminal_says_so_and_keeps_counting(quarantined: QuarantineLedger) -> None:
    terminal = Terminal(4, 40, guard=quarantined.guard("bad"), offset=5)
    terminal.feed(b"x" * (3 << 20))
    terminal.resize(5, 50)
    content = terminal.renderable_content()
    assert terminal.text().replace("\n", "").startswith("No screen: the process died 2 times")
    assert terminal.degraded == str(Deaths(2, 5, 9))
    assert (content.offset, content.size.cols, len(content.rows)) == (5 + (3 << 20), 50, 5)
    assert terminal.scrollback(0, 10) == ()
    assert terminal.dropped
    with pytest.raises(SnapshotUnavailable):
        terminal.snapshot()


def test_a_released_session_is_read_by_a_new_terminal(quarantined: QuarantineLedger, tmp_path: Path) -> None:
    before = Terminal(guard=quarantined.guard("bad"))
    quarantined.release("bad")
    after = Terminal(guard=quarantined.guard("bad"))
    for terminal in (before, after):
        terminal.feed(b"hello")
    assert before.text().startswith("No screen")
    assert after.text().startswith("hello")
    assert QuarantineLedger(tmp_path / "reading").quarantined("bad") is None


def test_a_python_error_is_no_death(tmp_path: Path) -> None:
    ledger = QuarantineLedger(tmp_path / "reading")
    with pytest.raises(ZeroDivisionError), ledger.guard("s").reading(0, 1):
        raise ZeroDivisionError
    assert QuarantineLedger(tmp_path / "reading").deaths("s") is None


def test_sessions_read_in_several_threads_have_a_record_each(tmp_path: Path) -> None:
    ledger = QuarantineLedger(tmp_path / "reading")
    inside = threading.Barrier(5)

    def read(session: str) -> None:
        with ledger.guard(session).reading(0, 7):
            inside.wait()
            inside.wait()

    threads = [threading.Thread(target=read, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    inside.wait()
    armed = [record for record in RECORD.iter_unpack((tmp_path / "reading").read_bytes()) if record[0]]
    assert sorted(name[:1].decode() for *_, name in armed) == list("abcd")
    inside.wait()
    for thread in threads:
        thread.join()
    assert not any((tmp_path / "reading").read_bytes()[:: RECORD.size])


@pytest.mark.parametrize("counts", ["", "{", "[]", '{"s": [1]}', '{"s": "x"}', '{"s": 3}'])
def test_a_damaged_ledger_starts_empty(tmp_path: Path, counts: str) -> None:
    (tmp_path / "reading.json").write_text(counts)
    ledger = QuarantineLedger(tmp_path / "reading")
    assert ledger.deaths("s") is None


@pytest.mark.parametrize("size", [0, 10, RECORD.size * SLOTS + 50])
def test_a_marker_file_of_another_size_is_made_right(tmp_path: Path, size: int) -> None:
    (tmp_path / "reading").write_bytes(bytes(size))
    with QuarantineLedger(tmp_path / "reading").guard("s").reading(0, 1):
        assert os.stat(tmp_path / "reading").st_size == RECORD.size * SLOTS
    assert os.stat(tmp_path / "reading").st_mode & 0o777 in (0o600, 0o644)


def test_a_session_id_too_long_for_the_record_is_refused(tmp_path: Path) -> None:
    ledger = QuarantineLedger(tmp_path / "reading")
    with pytest.raises(ValueError, match="at most 128"):
        ledger.guard("é" * 65)
