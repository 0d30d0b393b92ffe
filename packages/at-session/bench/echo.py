"""Typed echo through an attached terminal against the same shell on a bare PTY. Run: python bench/echo.py [keys]"""

from __future__ import annotations

import json
import os
import pty
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from at_session.attach import attach
from at_session.session import SessionSpec, start_session
from at_session.vocabulary import Transport

SHELL = ("bash", "--norc", "--noprofile", "-i")


def until_quiet(master: int) -> None:
    """Read until nothing has come for a while: the prompt is there."""
    while select.select([master], [], [], 0.3)[0]:
        os.read(master, 65536)


def microseconds(master: int) -> float:
    """From a key typed to its echo seen."""
    begun = time.perf_counter_ns()
    os.write(master, b"x")
    while b"x" not in os.read(master, 65536):
        pass
    return (time.perf_counter_ns() - begun) / 1000


def main(keys: int, folder: Path) -> None:
    folders = {"run_dir": folder / "run", "journal_dir": folder / "journal"}
    spec = SessionSpec("shell", SHELL, {**os.environ, "PS1": "$ "}, "/", Transport.PTY)
    session = anyio.run(lambda: start_session(spec, **folders))
    bare_pid, bare = pty.fork()
    if bare_pid == 0:
        os.execvpe(SHELL[0], SHELL, dict(spec.env))
    attached_pid, attached = pty.fork()
    if attached_pid == 0:
        attach(
            "shell", run_dir=folders["run_dir"], journal_dir=folders["journal_dir"], owner="bench", offset=0
        )
        os._exit(0)
    until_quiet(bare)
    until_quiet(attached)
    plain, through = [], []
    for number in range(keys):  # in turn, so that both meet the same disturbances
        plain.append(microseconds(bare))
        through.append(microseconds(attached))
        if number % 60 == 59:
            for master in (bare, attached):
                os.write(master, b"\x15")
                until_quiet(master)
    for name, value, against, limit in (
        ("echo through at attach, median", statistics.median(through), statistics.median(plain), 2.0),
        (
            "the same, p95",
            statistics.quantiles(through, n=20)[-1],
            statistics.quantiles(plain, n=20)[-1],
            None,
        ),
    ):
        line = {"name": name, "value": round(value, 1), "unit": "us", "yardstick": round(against, 1)}
        line |= {"yardstick_name": "same shell on a bare PTY", "limit": limit, "limit_of": "ratio"}
        print(json.dumps(line))
    os.write(attached, b"\x1c")
    os.waitpid(attached_pid, 0)
    os.close(bare)
    os.waitpid(bare_pid, 0)

    async def end() -> None:
        await session.stop(0)
        await session.wait()
        await session.aclose()

    anyio.run(end)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="at-") as name:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 600, Path(name))
