"""Start and memory of holders, as JSON lines. Run: python bench/sessions.py [sessions]"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from at_session.session import Session, SessionSpec, open_session, start_session
from at_session.vocabulary import Transport

PYTHON = getattr(sys, "_base_executable", sys.executable)


def report(
    name: str, value: float, unit: str, *, limit: float | None = None, interpreter: float | None = None
) -> None:
    """One line: the figure with its limit, or beside an interpreter that does nothing."""
    line = {"name": name, "value": round(value, 3), "unit": unit, "limit": limit, "limit_of": "value"}
    if interpreter is not None:
        line |= {"yardstick": round(interpreter, 3), "yardstick_name": "python -I -S -c pass"}
    print(json.dumps(line), flush=True)


def private_kilobytes(pid: int) -> int:
    """Memory that is this process's alone: Private_Clean and Private_Dirty of smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(
        int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:"))
    )


def interpreter_milliseconds() -> float:
    """An interpreter that does nothing, started as the holder is."""
    begun = time.perf_counter()
    subprocess.run([PYTHON, "-I", "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - begun) * 1000


async def stop(session: Session) -> None:
    """End a session of the benchmark, whatever became of the benchmark."""
    await session.stop(0)
    await session.wait()
    await session.aclose()


async def measure(count: int, folder: Path) -> None:
    sessions: list[Session] = []
    try:
        await measure_with(sessions, count, folder)
    finally:
        with anyio.CancelScope(shield=True):
            for session in sessions:
                await stop(session)


async def measure_with(sessions: list[Session], count: int, folder: Path) -> None:
    folders = {"run_dir": folder / "run", "journal_dir": folder / "journal"}
    starts, empty = [], []
    for number in range(count):
        transport = Transport.PTY if number % 2 else Transport.PIPE
        spec = SessionSpec(f"s{number}", ("cat",), os.environ, "/", transport)
        empty.append(interpreter_milliseconds())
        begun = time.perf_counter()
        sessions.append(await start_session(spec, **folders))
        starts.append((time.perf_counter() - begun) * 1000)
    median, least = statistics.median(starts), min(starts)
    report("holder: start, median", median, "ms", limit=30, interpreter=statistics.median(empty))
    report("holder: start, least", least, "ms", interpreter=min(empty))
    for session in sessions:
        await session.write("w", b"hello\n")
        await session.aclose()
    memory = [private_kilobytes(session.holder_pid) / 1024 for session in sessions]
    report(f"holder: private memory, largest of {count}", max(memory), "MB", limit=5)
    begun = time.perf_counter()
    found = [await open_session(session.id, **folders) for session in sessions]
    report(f"opening {count} sessions again", (time.perf_counter() - begun) * 1000, "ms", limit=1000)
    for again in found:
        assert isinstance(again, Session)
        await again.aclose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="at-") as name:
        anyio.run(measure, int(sys.argv[1]) if len(sys.argv) > 1 else 20, Path(name))
