"""Start on demand: one daemon for a home folder, brought up by whichever face needs it first.

The face holds `run/start.lock` while it starts one, so that twenty faces at once start one child. The child gets a
pipe and writes one line of JSON to it when it answers, `{"ready": {"pid"}}`, or says why it cannot:
`{"error": {"code", "message", "hint", "exit_code"}}`. A pipe that closes without a line is a child that died. Before
that it may say `{"starting": "what", "pid": N}`. On a machine that has far more to do than it can, loading the
daemon's parts alone takes longer than anybody should wait for a daemon that hangs; so the limit is for a child that
neither says anything nor uses the processor.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from at_core.client import error_of
from at_core.errors import AtError, DaemonUnreachable
from at_core.paths import Home
from at_core.wire import connect

START_SECONDS = float(os.environ.get("AT_START_SECONDS") or 5.0)
"""How long a daemon may take to answer; the variable is for machines that are slow or very busy."""
COMMAND = (sys.executable, "-P", "-m", "at_daemon")
"""`-P`: the folder in which a face is called is never searched for modules."""
READY_DESCRIPTOR = 3
_STEP_SECONDS = 0.02
_MOST_WAITS = 12
_OUTPUT_LIMIT = 1_000_000
_MARK = re.compile(r"AT_(SESSION|SLOT|BEAD|AGENT|GATE|PORT)(\d*|_(?!_).*)")
"""What marks the processes of an agent: a daemon that an agent's own call starts is none. Settings such as
AT_AGENTS__CLAUDE__ALLOW are no marks."""
_FREE = {"AT_SESSION_FREE": "1"}
"""A holder ends what its agent leaves behind; a daemon that an agent's own call started is not the agent's."""


def ensure_daemon(home: Home, environ: Mapping[str, str], command: Sequence[str] | None = None) -> None:
    """Return when a daemon answers; start `command` (default: at_daemon) if none does, and wait until it was idle and
    silent for 5 s, or 60 s in all.

    The child is told `--home` and `--ready-fd`, has the caller's umask (git writes into the person's repository
    through it) and the rest of its detachment is its own work. Raises the error that the child reported, with its
    exit code, or DaemonUnreachable.
    """
    if answers(home):
        return
    try:
        home.make()
        with _only_starter(home) as needed:
            if needed:
                _start(home, environ, command or COMMAND)
    except OSError as error:
        raise DaemonUnreachable(f"the daemon cannot be started: {error}", "at doctor") from error


def answers(home: Home) -> bool:
    """Whether a daemon listens: the kernel closes a socket with its process, so this cannot be a leftover."""
    try:
        connect(home.socket, START_SECONDS).close()
    except OSError:
        return False
    return True


@contextmanager
def _only_starter(home: Home) -> Iterator[bool]:
    """Hold the start lock (True), or wait until another holder's daemon answers (False)."""
    lock = os.open(home.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(int(START_SECONDS * _MOST_WAITS / _STEP_SECONDS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                select.select([], [], [], _STEP_SECONDS)
                continue
            yield not answers(home)
            return
        raise DaemonUnreachable(
            "another call is starting the daemon, and it does not answer yet", "try again"
        )
    finally:
        os.close(lock)


def _start(home: Home, environ: Mapping[str, str], command: Sequence[str]) -> None:
    reader, writer = os.pipe()
    try:
        try:
            # Above the numbers that the child's own descriptors get, because they are set one after the other.
            source = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, READY_DESCRIPTOR + 1)
        finally:
            os.close(writer)
        try:
            child = _spawn(home, environ, command, source)
        finally:
            os.close(source)
        line = _outcome(reader, child)
    finally:
        os.close(reader)
    ready = line is not None and line.startswith(b'{"ready"')
    # A child that failed is at its end. One that is ready has left its first process behind, or runs on itself.
    _, status = os.waitpid(child, os.WNOHANG if ready or line is None else 0)
    if line is None:
        raise DaemonUnreachable(
            f"the daemon was started and does not get on within {START_SECONDS:.0f} s",
            f"see {home.daemon_output}",
        )
    _judge(home, line, status)


def _spawn(home: Home, environ: Mapping[str, str], command: Sequence[str], ready: int) -> int:
    output = _output(home)
    try:
        return os.posix_spawnp(
            command[0],
            [*command, "--home", str(home.root), "--ready-fd", str(READY_DESCRIPTOR)],
            {name: value for name, value in environ.items() if not _MARK.fullmatch(name)} | _FREE,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_DUP2, ready, READY_DESCRIPTOR),
            ],
            setsigmask=[],
        )
    finally:
        os.close(output)


def _output(home: Home) -> int:
    """A descriptor above those of the child for what it prints; on a full disk that goes nowhere."""
    path = home.daemon_output
    try:
        if path.exists() and path.stat().st_size > _OUTPUT_LIMIT:
            path.replace(path.with_suffix(".out.1"))
        found = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        found = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        return fcntl.fcntl(found, fcntl.F_DUPFD_CLOEXEC, READY_DESCRIPTOR + 1)
    finally:
        os.close(found)


def _outcome(reader: int, child: int) -> bytes | None:
    """The child's last line, empty if it closed the pipe without one, None if it does not get on."""
    poll = select.poll()
    poll.register(reader, select.POLLIN | select.POLLHUP)
    rest, used = b"", -1
    for _ in range(_MOST_WAITS):
        while poll.poll(START_SECONDS * 1000):
            part = os.read(reader, select.PIPE_BUF)
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if not line.startswith(b'{"starting"'):
                    return line
                child, used = int(json.loads(line)["pid"]), -1
            if not part:
                return rest
        before, used = used, _processor_ticks(child)
        if used <= before:
            return None
    return None


def _processor_ticks(process: int) -> int:
    """User and system time of a process (proc(5), fields 14 and 15 of `stat`); -1 where that is not to be had."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return -1
    return int(fields[11]) + int(fields[12])


def _judge(home: Home, line: bytes, status: int) -> None:
    """Return for a daemon that is ready; raise what a child that is not has said."""
    if not line:
        said = _last_words(home)
        raise DaemonUnreachable(
            f"the daemon ended while it started{said or f' (status {os.waitstatus_to_exitcode(status)})'}",
            f"see {home.daemon_output}",
        )
    try:
        if "ready" in json.loads(line):
            return
    except ValueError as error:
        raise DaemonUnreachable(f"what was started is no daemon: {line[:80]!r}") from error
    failure: AtError = error_of(500, line)
    raise failure


def _last_words(home: Home) -> str:
    try:
        lines = home.daemon_output.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1][:300]}" if lines else ""
