"""The fixtures that the package offers to its users."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLEAN = """
import pytest
from at_session.following import wait_for_output

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_a_session_left_running(session_factory):
    session = await session_factory(["sh", "-c", "setsid sleep 1000 & echo up; cat"])
    await wait_for_output(session, b"up")
    with open("pids", "w") as file:
        print(session.pid, session.holder_pid, session.run_dir, file=file)
"""

LEAVES = """
import os, subprocess
from at_session import holder_wire as wire
from at_session.processes import marked_processes, session_mark

def test_a_process_that_no_session_owns_any_more(session_factory):
    journal = session_factory.home.journal_dir / "gone"
    session_factory.started["gone"] = type("Gone", (), {"abandon": lambda self: None})()
    child = subprocess.Popen(["sleep", "1000"], env={**os.environ, wire.MARK.decode(): session_mark("gone", journal)})
    with open("pids", "w") as file:
        print(child.pid, file=file)
    while child.pid not in marked_processes("gone", journal):  # for a moment of its exec it has no environment
        pass
"""


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(code)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "test_it.py",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def is_running(pid: str) -> bool:
    """Whether there is a process of that id that has not ended; one that nobody has collected yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_sessions_are_ended_and_their_home_removed(tmp_path: Path) -> None:
    done = run(tmp_path, CLEAN)
    assert "1 passed" in done.stdout and done.returncode == 0
    agent, its_holder, folder = (tmp_path / "pids").read_text().split()
    assert [pid for pid in (agent, its_holder) if is_running(pid)] == []
    assert not Path(folder).exists()


def test_a_process_that_stays_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, LEAVES)
    pid = int((tmp_path / "pids").read_text())
    assert (
        done.returncode == 1
        and f"processes of the test's sessions were left: {{{pid}: 'sleep'}}" in done.stdout
    )
    assert not is_running(str(pid))
