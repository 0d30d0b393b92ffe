"""Starting a holder: the launch file, the process, and its word that the agent runs."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import re
import shutil
import signal
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from at_session import holder
from at_session import holder_wire as wire
from at_session.errors import BinaryNotFound, CwdMissing, HolderFailed, NoFreePty, SessionExists, StartError
from at_session.journal import text_fields
from at_session.processes import kill_all, marked_processes, session_mark
from at_session.vocabulary import Transport

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
START_SECONDS = 20.0
REAP_SECONDS = 5.0
ENDING_SECONDS = 0.1
"""Its end of the pipe is closed so short a time before a process has ended."""
POLL_SECONDS = 0.01

# What the dynamic linker may need to run the same interpreter again; nothing else of our environment is passed on.
LINKER_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")

# glibc raises its mmap threshold after the first large free, so that one 2 MB prompt would stay in the heap for good.
FREE = "AT_SESSION_FREE"
"""In the environment of a process: it and what it starts belong to no session, and do not end with one."""
HOLDER_ENVIRONMENT = {
    FREE: "1",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_ARENA_MAX": "1",
}


HOLDER_PARTS = (
    "holder_wire",
    "holder_journal",
    "holder_processes",
    "holder_clients",
    "holder_listener",
    "holder_loop",
)
SOURCES = tuple(
    (path, path.read_bytes())
    for path in (Path(holder.__file__).with_name(f"{name}.py") for name in (*HOLDER_PARTS, "holder"))
)
"""Read once: an update on disk must not mix with the program that runs, whose list of parts is the old one."""
UNCHECKED = (1).to_bytes(4, "little") + b"\0" * 8  # flags of a .pyc that is never compared with a source

# Puts the parts in place of what importing them would, then runs the last as the script it is.
BUNDLE = """
import marshal, sys
package = sys.modules["at_session"] = type(sys)("at_session")
parts = marshal.loads(%r)
for name, code in parts[:-1]:
    module = sys.modules["at_session." + name] = type(sys)("at_session." + name)
    setattr(package, name, module)
    exec(code, module.__dict__)
exec(parts.pop()[1], {"__name__": "__main__"})
"""


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What to run and how.

    `env` is the agent's whole environment. `journal_bytes` bounds what is kept on disk, in segments of
    `segment_bytes`; `input_bytes` bounds input that the agent has not read. `polite` is how `stop` asks first: "eof"
    closes stdin, a number is a signal; None means eof for pipes, SIGHUP for a PTY. `answer_queries` lets the holder
    answer the terminal queries of docs/protocol.md. `kill_seconds` lie between SIGTERM and SIGKILL. `linger_seconds` is how long the holder answers requests after
    the end of the journal was written.
    """

    id: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: str | os.PathLike[str]
    transport: Transport
    rows: int = 40
    cols: int = 120
    journal_bytes: int = 64 << 20
    segment_bytes: int = 1 << 20
    input_bytes: int = 8 << 20
    answer_queries: bool = True
    polite: str | int | None = None
    linger_seconds: float = 2.0
    kill_seconds: float = 3.0
    umask: int = 0o022
    failpoint: str = ""

    def __post_init__(self) -> None:
        if not SESSION_ID.fullmatch(self.id):
            raise ValueError(f"not a session id: {self.id!r}")
        if not self.argv:
            raise ValueError("argv is empty")
        texts = [*self.argv, *self.env, *self.env.values(), os.fspath(self.cwd)]
        if any("\0" in text for text in texts) or any("=" in name or not name for name in self.env):
            raise ValueError("NUL in a text, or a variable without a proper name")


def find_binary(spec: SessionSpec) -> str:
    """Absolute path of argv[0], as a shell with the agent's PATH and folder would find it."""
    name = spec.argv[0]
    if "/" in name:
        path = os.path.join(os.path.abspath(spec.cwd), name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        raise BinaryNotFound(name)
    search_path = spec.env.get("PATH", os.defpath)
    found = shutil.which(name, path=search_path)
    if found is None:
        raise BinaryNotFound(name, search_path)
    return os.path.join(os.path.abspath(spec.cwd), found)


def launch_file(spec: SessionSpec, executable: str, socket: Path, journal: Path) -> bytes:
    """The texts that `holder.read_launch` takes apart."""
    polite = spec.polite if spec.polite is not None else ("eof" if spec.transport is Transport.PIPE else 1)
    mark = session_mark(spec.id, journal)
    settings = {
        "id": spec.id,
        "mode": spec.transport.value,
        "rows": spec.rows,
        "cols": spec.cols,
        "cwd": os.fsencode(os.path.abspath(spec.cwd)),
        "exe": os.fsencode(executable),
        "umask": spec.umask,
        "mark": os.fsencode(mark),
        "socket": os.fsencode(socket),
        "journal": os.fsencode(journal),
        "bound": spec.journal_bytes,
        "segment": min(spec.segment_bytes, spec.journal_bytes // 4),
        "input_bound": spec.input_bytes,
        "answer": int(spec.answer_queries),
        "polite": polite,
        "linger": spec.linger_seconds,
        "insist": spec.kill_seconds,
        "failpoint": spec.failpoint,
    }
    env = {**spec.env, wire.MARK.decode(): mark}
    env.pop(FREE, None)
    return wire.pack_fields(
        *settings.items(),
        *(("arg", os.fsencode(text)) for text in spec.argv),
        *(("env", os.fsencode(f"{name}={value}")) for name, value in env.items()),
    )


def bundled_holder(run_dir: Path) -> Path:
    """The holder's files, as they were when this module was imported, in one file of bytecode kept in `run_dir`.

    Compiled at every start they cost 10 ms and 2 MB that stay with the process; the interpreter's own cache may be
    absent or read-only, and is not for scripts. Optimised, as docstrings are of no use there.
    """
    stamp = zlib.crc32(repr(SOURCES).encode())
    path = run_dir / f"holder-{sys.implementation.cache_tag}-{stamp:08x}.pyc"
    if not path.exists():
        for stale in run_dir.glob(f"holder-{sys.implementation.cache_tag}-*.pyc"):
            stale.unlink(missing_ok=True)
        parts = [(source.stem, compile(text, source, "exec", optimize=2)) for source, text in SOURCES]
        code = compile(BUNDLE % marshal.dumps(parts), path, "exec")
        made = path.with_suffix(f".{os.getpid()}")
        made.write_bytes(importlib.util.MAGIC_NUMBER + UNCHECKED + marshal.dumps(code))
        made.replace(path)
    return path


async def spawn_holder(spec: SessionSpec, *, run_dir: Path, journal: Path) -> dict[str, str]:
    """Start the holder and wait until the agent runs; the reply has `pid` and `holder`. Raises StartError.

    Nothing is left behind on an error. The holder goes on if the caller dies or is cancelled meanwhile.
    """
    run_dir, journal = run_dir.absolute(), journal.absolute()
    executable = find_binary(spec)
    if not os.path.isdir(spec.cwd) or not os.access(spec.cwd, os.X_OK):
        raise CwdMissing(os.fspath(spec.cwd))
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        journal.mkdir(mode=0o700)
    except FileExistsError:
        raise SessionExists(spec.id) from None
    launch = run_dir / f"{spec.id}.launch"
    socket = run_dir / f"{spec.id}.sock"
    try:
        fd = os.open(launch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(launch_file(spec, executable, socket, journal))
        return _read_reply(spec, await _run_holder(launch, journal / "holder.log"))
    except (StartError, OSError) as error:
        kill_all(marked_processes(spec.id, journal))  # the agent of a holder that came as far as that
        shutil.rmtree(journal, ignore_errors=True)
        launch.unlink(missing_ok=True)
        if not (isinstance(error, HolderFailed) and error.stage == "socket"):  # then it is somebody else's
            socket.unlink(missing_ok=True)
        raise


def _spawn(launch: Path, log: Path, ready: int) -> int:
    """Start the interpreter, detached from our terminal, with the ready pipe as its stdout."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        env = {name: os.environ[name] for name in LINKER_VARIABLES if name in os.environ}
        python = getattr(sys, "_base_executable", sys.executable)
        return os.posix_spawn(
            python,
            [python, "-I", "-S", str(bundled_holder(launch.parent)), str(launch)],
            {**env, **HOLDER_ENVIRONMENT},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, ready, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
        )
    finally:
        os.close(null)


def _complete(reply: bytes) -> bool:
    head = wire.FRAME.size
    return len(reply) >= head and len(reply) >= head + wire.FRAME.unpack_from(reply)[0]


async def _run_holder(launch: Path, log: Path) -> bytes:
    """The frame by which the holder says that the agent runs, or what went wrong.

    Raises HolderFailed if it died or took too long; neither of its two processes is there any more then.
    """
    ready_r, ready_w = os.pipe()
    try:
        try:
            pid = _spawn(launch, log, ready_w)
        finally:
            os.close(ready_w)
        reply = b""
        # Shielded: a start is 30 ms, and giving up inside it would leave a process that nobody waits for.
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(START_SECONDS) as waiting:
                while not _complete(reply):
                    await anyio.wait_readable(ready_r)
                    part = os.read(ready_r, 4096)
                    if not part:
                        break
                    reply += part
            if not _complete(reply):
                how = "" if waiting.cancelled_caught else await _how_it_ended(pid)
                await _end(pid)
                if waiting.cancelled_caught:
                    raise HolderFailed("start", f"it did not come up within {START_SECONDS:g} s")
                raise HolderFailed("start", _last_line(log) or f"it ended without a word ({how})")
        _reap(pid, 0)  # by its word it has forked, and its first process is ending
        return reply
    finally:
        os.close(ready_r)


async def _end(pid: int) -> None:
    """SIGKILL the holder, which is in the process group of its first process, our child, and see both gone."""
    with contextlib.suppress(ProcessLookupError):  # both are
        os.killpg(pid, signal.SIGKILL)
    for _ in range(round(REAP_SECONDS / POLL_SECONDS)):
        _reap(pid, os.WNOHANG)
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        await anyio.sleep(POLL_SECONDS)


async def _how_it_ended(pid: int) -> str:
    """What became of the holder's first process, in words."""
    for _ in range(round(ENDING_SECONDS / POLL_SECONDS)):
        if (status := _reap(pid, os.WNOHANG)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return f"{'signal' if code < 0 else 'exit code'} {abs(code)} of its first process"
        await anyio.sleep(POLL_SECONDS)
    return "its first process still ran"


def _reap(pid: int, options: int) -> int | None:
    """The status of our child if it has ended, None if it goes on or was reaped by an earlier call."""
    with contextlib.suppress(ChildProcessError):
        ended, status = os.waitpid(pid, options)
        return status if ended else None
    return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else [""]
    return lines[-1] if lines else ""


def _read_reply(spec: SessionSpec, reply: bytes) -> dict[str, str]:
    _, kind, _ = wire.FRAME.unpack_from(reply)
    found = text_fields(reply[wire.FRAME.size :])
    if kind == wire.OK:
        return found
    match found["code"]:
        case "pty":
            raise NoFreePty
        case "cwd":
            raise CwdMissing(os.fspath(spec.cwd))
        case stage:
            raise HolderFailed(stage, found["message"])
