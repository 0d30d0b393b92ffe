"""What an agent starts by the way and is not its own outlives it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from at_session.session import SessionSpec, start_session
from at_session.vocabulary import Transport

pytestmark = pytest.mark.anyio


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Pids of processes that a test expects to outlive a session; they are ended after it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.parametrize(
    ("environment", "stays"),
    [({"AT_SESSION_FREE": "1"}, True), ({"AT_SESSION_MARK": "another"}, True), ({"OTHER": "1"}, False)],
)
async def test_a_daemon_that_an_agent_starts_does_not_end_with_it(
    tmp_path: Path, started: list[int], environment: dict[str, str], stays: bool
) -> None:
    pids = tmp_path / "pid"
    (words,) = (f"{name}={value}" for name, value in environment.items())
    # Its own session, its own child, and its parent gone: only what it carries tells whose it is.
    script = f"{words} setsid sh -c 'sleep 300 & echo $$ $! >{pids}; wait' </dev/null >/dev/null 2>&1 & while [ ! -s {pids} ]; do :; done"
    spec = SessionSpec("s", ("sh", "-c", script), dict(os.environ), str(tmp_path), Transport.PIPE)
    session = await start_session(spec, run_dir=tmp_path / "run", journal_dir=tmp_path / "journal")
    with anyio.fail_after(20):
        await session.wait()
    started += map(int, pids.read_text().split())
    await session.close()
    assert [Path(f"/proc/{pid}").exists() for pid in started] == [stays, stays]
