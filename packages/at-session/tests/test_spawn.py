"""Starts of holders, good and failed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import at_session
from at_session.errors import HolderFailed
from at_session.processes import holders_of
from at_session.pytest_plugin import SessionFactory, SessionHome

UPDATED = """
import sys, anyio
from pathlib import Path
from at_session import spawn
from at_session.session import SessionSpec, start_session
from at_session.vocabulary import Transport

folder, run, journal = map(Path, sys.argv[1:])
assert Path(spawn.__file__).is_relative_to(folder)
for path in folder.glob("at_session/holder*.py"):  # what an update puts there needs parts that we do not know
    path.write_text("from at_session.holder_of_tomorrow import everything")

async def main():
    for name in ("first", "second"):
        spec = SessionSpec(name, ("true",), {"PATH": "/bin:/usr/bin"}, "/", Transport.PIPE, linger_seconds=0)
        session = await start_session(spec, run_dir=run, journal_dir=journal)
        print((await session.wait()).code)

anyio.run(main)
"""


def test_a_program_that_runs_goes_on_starting_holders_after_an_update_on_disk(
    session_home: SessionHome, tmp_path: Path
) -> None:
    package = Path(at_session.__file__).parent
    shutil.copytree(package, tmp_path / "at_session", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", UPDATED, str(tmp_path), str(session_home.run_dir)]
    done = subprocess.run(
        [*command, str(session_home.journal_dir)],
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["0", "0"], "")


SILENT = """
import os, time
{fork}
os.close(1)
{then}
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fork", "then", "said"),
    [
        ("", "os._exit(7)", "without a word .exit code 7 of its first process"),
        ("", "os.kill(os.getpid(), 9)", "without a word .signal 9 of its first process"),
        ("", "time.sleep(1000)", "without a word .its first process still ran"),
        ("if os.fork(): os._exit(0)", "time.sleep(1000)", "without a word .exit code 0 of its first process"),
        ("if os.fork(): os._exit(0)\ntime.sleep(1000)", "", "within 0.3 s"),
        ("time.sleep(1000)", "", "within 0.3 s"),
    ],
)
async def test_nothing_is_left_of_a_holder_that_says_nothing(
    session_factory: SessionFactory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fork: str,
    then: str,
    said: str,
) -> None:
    script = tmp_path / "holder.py"
    script.write_text(SILENT.format(fork=fork, then=then))
    monkeypatch.setattr("at_session.spawn.bundled_holder", lambda _: script)
    if "within" in said:
        monkeypatch.setattr("at_session.spawn.START_SECONDS", 0.3)
    home = session_factory.home
    with pytest.raises(HolderFailed, match=said):
        await session_factory(["true"], id="s")
    assert holders_of(home.run_dir, "s") == []
    with pytest.raises(ChildProcessError):  # no child is left, not even a zombie
        os.waitpid(-1, os.WNOHANG)
    assert not (home.journal_dir / "s").exists()


@pytest.mark.anyio
async def test_the_socket_that_a_killed_holder_left_is_in_no_ones_way(
    session_factory: SessionFactory, session_home: SessionHome
) -> None:
    session_home.run_dir.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(session_home.run_dir / "again.sock"))
    session = await session_factory(["true"], id="again")
    assert (await session.wait()).code == 0


@pytest.mark.anyio
async def test_a_socket_on_which_somebody_listens_is_left_alone(
    session_factory: SessionFactory, session_home: SessionHome
) -> None:
    session_home.run_dir.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(session_home.run_dir / "taken.sock"))
        other.listen()
        with pytest.raises(HolderFailed) as failed:
            await session_factory(["true"], id="taken")
    assert failed.value.stage == "socket" and (session_home.run_dir / "taken.sock").is_socket()
