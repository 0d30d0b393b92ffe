"""One child process run to its end in a worker thread.

Measured on a small repository, a chain of 25 git processes through `anyio.open_process` costs 1 ms more for each than
`Popen` in a thread (asyncio before Python 3.12 starts a thread for each child anyway, to wait for it).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio import to_thread

LOWEST = 19
"""On Linux the priority for the disk follows from that for the processor."""


@dataclass(frozen=True)
class Ran:
    """What one process gave: exit code and both outputs as bytes; `cut` if it was ended for writing too much."""

    returncode: int
    stdout: bytes
    stderr: bytes
    cut: bool = False


@dataclass(frozen=True)
class Command:
    """What to run. `stdin` bytes are fed to it; `most` is how many bytes of output are read before it is ended.

    `patient`: it leaves processor and disk to others.
    """

    arguments: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes | IO[bytes] | None
    stdout: IO[bytes] | None
    most: int | None
    pass_fds: Sequence[int]
    patient: bool = False


class Child:
    """Runs a command once; cancelling `run` ends the process with its whole group."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = False

    async def run(self) -> Ran:
        """Start it and wait for its end. Raises `FileNotFoundError` if there is no such program."""
        ended = False
        try:
            ran = await to_thread.run_sync(self._work, abandon_on_cancel=True)
            ended = True
        finally:
            if not ended:
                self._give_up()
        return ran

    def _work(self) -> Ran:
        command = self._command
        with tempfile.TemporaryFile() if command.most is not None else nullcontext() as errors:
            process = self._start(errors)
            if process is None:
                return Ran(-signal.SIGKILL, b"", b"")
            with process:
                if command.most is not None:
                    return self._read_some(process, command.most, errors)
                stdin = command.stdin if isinstance(command.stdin, bytes) else None
                stdout, stderr = process.communicate(stdin)
                return Ran(process.returncode, stdout or b"", stderr)

    def _start(self, errors: IO[bytes] | None) -> subprocess.Popen[bytes] | None:
        command = self._command
        source: int | IO[bytes] | None = (
            command.stdin if not isinstance(command.stdin, bytes) else subprocess.PIPE
        )
        with self._guard:
            if self._given_up:
                return None
            self._process = subprocess.Popen(
                list(command.arguments),
                stdin=subprocess.DEVNULL if source is None else source,
                stdout=subprocess.PIPE if command.stdout is None else command.stdout,
                stderr=subprocess.PIPE if errors is None else errors,
                cwd=command.cwd,
                env=command.env,
                start_new_session=True,
                pass_fds=command.pass_fds,
            )
            if command.patient:
                with suppress(OSError):  # it has ended
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, LOWEST)
            return self._process

    def _read_some(self, process: subprocess.Popen[bytes], most: int, errors: IO[bytes] | None) -> Ran:
        assert process.stdout is not None and errors is not None
        stdout = process.stdout.read(most)
        cut = len(stdout) == most
        if cut:
            end_group(process.pid)
        returncode = process.wait()
        errors.seek(0)
        return Ran(returncode, stdout, errors.read(), cut)

    def _give_up(self) -> None:
        with self._guard:
            self._given_up = True
            if self._process is not None and self._process.returncode is None:
                end_group(self._process.pid)


def end_group(leader: int) -> None:
    """End the process group of a session that a process of ours leads."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
