"""The holder with real agents: both directions, idempotent writes, ending."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from at_session.errors import (
    BinaryNotFound,
    CwdMissing,
    HolderFailed,
    InputClosed,
    InputFull,
    LeaseEnded,
    LeaseHeld,
    RequestRefused,
    SessionExists,
)
from at_session.following import collect, output_of, wait_for_output
from at_session.journal import ExitStatus, Record, RecordKind
from at_session.processes import marked_processes
from at_session.pytest_plugin import SessionFactory
from at_session.session import Session, open_session
from at_session.vocabulary import Transport

pytestmark = pytest.mark.anyio
BOTH = pytest.mark.parametrize("transport", list(Transport))


def exit_of(records: list[Record]) -> ExitStatus:
    (record,) = (record for record in records if record.kind is RecordKind.EXIT)
    return record.exit_status()


@BOTH
async def test_bytes_pass_both_ways_in_one_sequence(
    session_factory: SessionFactory, transport: Transport
) -> None:
    script = "stty -echo 2>/dev/null; echo ready; read line; echo got $line; echo bad >&2; exit 3"
    session = await session_factory(["sh", "-c", script], transport=transport)
    await wait_for_output(session, b"ready")
    receipt = await session.write("w1", b"hello\n")
    records = await collect(session)
    kinds = [record.kind for record in records]
    assert kinds[0] is RecordKind.START and kinds[-1] is RecordKind.END
    assert [(r.data, r.write_id, r.offset) for r in records if r.kind is RecordKind.INPUT] == [
        (b"hello\n", "w1", receipt.offset)
    ]
    assert all(before.next == after.offset for before, after in zip(records, records[1:], strict=False))
    assert exit_of(records) == ExitStatus(3, None)
    text = output_of(records).replace(b"\r", b"")
    if transport is Transport.PTY:
        assert text == b"ready\ngot hello\nbad\n"
    else:
        assert (text, output_of(records, RecordKind.STDERR)) == (b"ready\ngot hello\n", b"bad\n")


async def test_a_write_is_performed_once_per_id(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    first = await session.write("prompt-1", b"once\n")
    await session.aclose()
    again = await session.write("prompt-1", b"once\n")
    other = await session.write("prompt", b"twice\n")
    assert (first.repeated, again.repeated, other.repeated) == (False, True, False)
    assert again.offset == first.offset
    await session.close_input()
    assert output_of(await collect(session)) == b"once\ntwice\n"


async def test_ids_outlive_the_segments_of_their_records(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"], segment_bytes=256, journal_bytes=1 << 20)
    offsets = [(await session.write(f"w{n}", b"%d\n" % n)).offset for n in range(50)]
    await wait_for_output(session, b"49\n")
    assert await session.trim((await session.status()).end) > offsets[0]
    receipts = [await session.write(f"w{n}", b"again\n") for n in range(50)]
    assert [(receipt.offset, receipt.repeated) for receipt in receipts] == [
        (offset, True) for offset in offsets
    ]


@pytest.mark.parametrize("write_id", ["two words", "ümlaut", "x" * 201, "nul\0", "line\n"])
async def test_ids_that_cannot_be_kept_are_refused(session_factory: SessionFactory, write_id: str) -> None:
    session = await session_factory(["cat"])
    with pytest.raises(ValueError):
        await session.write(write_id, b"x")
    assert (await session.write("", b"x")).repeated is False


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", ExitStatus(0, None)),
        ("exit 255", ExitStatus(255, None)),
        ("kill -TERM $$", ExitStatus(None, signal.SIGTERM)),
        ("kill -KILL $$", ExitStatus(None, signal.SIGKILL)),
    ],
)
@BOTH
async def test_exit_codes_and_signals_are_kept(
    session_factory: SessionFactory, transport: Transport, script: str, status: ExitStatus
) -> None:
    session = await session_factory(["sh", "-c", script], transport=transport)
    assert await session.wait() == status
    await session.close()
    home = session_factory.home
    ended = await open_session(session.id, run_dir=home.run_dir, journal_dir=home.journal_dir)
    assert not isinstance(ended, Session)
    assert (ended.exit, ended.complete, ended.processes()) == (status, True, {})


@BOTH
async def test_large_input_passes_while_the_agent_answers(
    session_factory: SessionFactory, transport: Transport, tmp_path: Path
) -> None:
    """2 MB in lines, to an agent that reads late and writes back more than any buffer holds."""
    go = tmp_path / "go"
    script = f"stty raw -echo 2>/dev/null; echo ready; until [ -e '{go}' ]; do sleep 0.02; done; read x; cat"
    session = await session_factory(["sh", "-c", script], transport=transport)
    await wait_for_output(session, b"ready")
    lines = b"".join(b"%06d %s\n" % (n, b"x" * 92) for n in range(20_000))
    await session.write("prompt", lines)
    assert (await session.status()).waiting > 0
    go.touch()
    await session.write("go", b"last\n")
    records = await wait_for_output(session, b"last\n")
    assert output_of(records) == b"ready\n" + lines.partition(b"\n")[2] + b"last\n"


async def test_input_that_is_not_read_is_bounded(session_factory: SessionFactory) -> None:
    session = await session_factory(["sleep", "1000"], input_bytes=1 << 20)
    await session.write("a", b"x" * (1 << 20))
    with pytest.raises(InputFull):
        await session.write("b", b"x" * (1 << 20))
    await session.stop(0)
    assert (await session.wait()).signal == signal.SIGTERM


async def test_a_long_line_and_invalid_utf8_pass_unchanged(session_factory: SessionFactory) -> None:
    script = "import os; os.write(1, bytes(range(128, 256))); b = b'y' * 10_000_000\nwhile b: b = b[os.write(1, b):]"
    session = await session_factory([sys.executable, "-I", "-S", "-c", script])
    assert output_of(await collect(session)) == bytes(range(128, 256)) + b"y" * 10_000_000


async def test_end_of_input_comes_after_what_was_written(session_factory: SessionFactory) -> None:
    session = await session_factory(["sh", "-c", "sleep 0; cat; echo eof"])
    await session.write("a", b"z" * 300_000)
    await session.close_input()
    assert output_of(await collect(session)) == b"z" * 300_000 + b"eof\n"


async def test_writing_after_the_end_is_refused_but_known_ids_are_still_told(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["sh", "-c", "read x"])
    await session.write("w", b"bye\n")
    await session.wait()
    assert (await session.write("w", b"bye\n")).repeated
    with pytest.raises(InputClosed):
        await session.write("v", b"more\n")


async def test_folder_environment_and_umask_are_the_agents(
    session_factory: SessionFactory, tmp_path: Path
) -> None:
    script = "pwd; umask; env; ls -l /proc/self/fd | wc -l"
    env = {"PATH": os.defpath, "ODD": "a=b\nc", "EMPTY": ""}
    session = await session_factory(["sh", "-c", script], env=env, cwd=tmp_path, umask=0o027)
    text = output_of(await collect(session)).decode()
    assert text.startswith(f"{tmp_path}\n0027\n")
    assert (
        "ODD=a=b\nc\n" in text
        and "EMPTY=\n" in text
        and f"AT_SESSION_MARK={session.id}:{session.journal}\n" in text
    )
    assert text.endswith("\n5\n")  # "total", three standard files and the folder that ls reads


async def test_a_terminal_has_its_size_and_is_the_controlling_one(session_factory: SessionFactory) -> None:
    script = "stty size; trap 'stty size; exit' WINCH; echo here > /dev/tty; while :; do sleep 0.01; done"
    session = await session_factory(["sh", "-c", script], transport=Transport.PTY, rows=33, cols=77)
    await wait_for_output(session, b"33 77\r\nhere\r\n")
    await session.resize(50, 132)
    records = await collect(session)
    assert output_of(records).endswith(b"50 132\r\n")
    assert [r.fields() for r in records if r.kind is RecordKind.RESIZE] == [{"rows": "50", "cols": "132"}]


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (b"\\033[c", b"\x1b[?62;22c"),
        (b"\\033]11;?\\033\\\\", b"\x1b]11;rgb:1010/1010/1010\x1b\\"),
        (b"\\033]10;?\\007\\033[0c", b"\x1b]10;rgb:d0d0/d0d0/d0d0\x07\x1b[?62;22c"),
        (b"\\033[?u\\033[5n", b"\x1b[0n"),
        (b"\\033[6n\\033[c", b"\x1b[?62;22c"),
    ],
)
async def test_terminal_queries_are_answered_once(
    session_factory: SessionFactory, query: bytes, answer: bytes
) -> None:
    read = f"stty raw -echo; printf '%b' '{query.decode()}'; head -c {len(answer)} | od -An -v -w99 -tx1"
    session = await session_factory(["sh", "-c", read], transport=Transport.PTY)
    records = await collect(session)
    assert output_of(records, RecordKind.REPLY) == answer
    assert output_of(records).endswith(answer.hex(" ").encode() + b"\n")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("cat", ExitStatus(0, None)),
        ("trap '' HUP; sleep 1000", ExitStatus(None, signal.SIGTERM)),
        ("trap '' TERM HUP; while :; do sleep 1000; done", ExitStatus(None, signal.SIGKILL)),
    ],
)
async def test_stop_asks_then_insists(
    session_factory: SessionFactory, script: str, status: ExitStatus
) -> None:
    session = await session_factory(["sh", "-c", f"echo up; {script}"])
    await wait_for_output(session, b"up")
    await session.stop(0.1)
    assert await session.wait() == status
    assert marked_processes(session.id, session.journal) == {}


ESCAPE = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        env = {} if sys.argv[1] == "bare" else dict(os.environ)
        os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP; echo fled $$; while :; do sleep 1000; done"], env)
    os._exit(0)
"""


@pytest.mark.parametrize("environment", ["marked", "bare"])
@pytest.mark.parametrize("ending", ["stop", "exit"])
async def test_processes_that_fled_are_ended(
    session_factory: SessionFactory, environment: str, ending: str
) -> None:
    tail = "while True: signal.pause()" if ending == "stop" else ""
    session = await session_factory([sys.executable, "-I", "-S", "-c", ESCAPE + tail, environment])
    text = output_of(await wait_for_output(session, b"\n"))
    fled = int(text.split()[-1])
    os.kill(fled, 0)
    if ending == "stop":
        await session.stop(0.1)
    records = await collect(session)
    with pytest.raises(ProcessLookupError):
        os.kill(fled, 0)
    told = b" ".join(record.data for record in records if record.kind in (RecordKind.NOTE, RecordKind.SIGNAL))
    assert b"%d" % fled in told


@pytest.mark.parametrize("scope", ["child", "group", "all"])
async def test_signals_reach_their_scope(session_factory: SessionFactory, scope: str) -> None:
    inner = "trap 'echo inner; exit' USR1; echo up; while :; do sleep 0.01; done"
    patience = "" if scope == "child" else "wait $!;"
    script = f'sh -c "{inner}" & trap "echo outer; {patience} exit" USR1; while :; do sleep 0.01; done'
    session = await session_factory(["sh", "-c", script])
    await wait_for_output(session, b"up")
    await session.signal(signal.SIGUSR1, scope)
    lines = output_of(await collect(session)).split()
    assert b"outer" in lines
    assert (b"inner" in lines) == (scope != "child")


async def test_one_writer_holds_the_lease(session_factory: SessionFactory) -> None:
    home = session_factory.home
    session = await session_factory(["cat"], transport=Transport.PTY)
    person = await open_session(session.id, run_dir=home.run_dir, journal_dir=home.journal_dir)
    assert isinstance(person, Session)
    lease = await person.take_lease("ann at tty1")
    for attempt in (session.write("w", b"x"), session.resize(10, 10), session.take_lease("daemon")):
        with pytest.raises(LeaseHeld, match="held by ann at tty1"):
            await attempt
    assert (await person.write("", b"typed")).repeated is False
    assert (await session.write("w", b"with the fence", lease=lease)).repeated is False
    status = await session.status()
    assert status.lease == lease
    stolen = await session.take_lease("daemon", steal=True)
    assert stolen.fence > lease.fence
    with pytest.raises(LeaseHeld):
        await person.write("", b"typed")
    with pytest.raises(LeaseEnded):
        await person.write("", b"typed", lease=lease)
    await session.release()
    assert (await person.write("", b"typed")).repeated is False
    await person.aclose()


async def test_a_lease_ends_with_its_connection(session_factory: SessionFactory) -> None:
    home = session_factory.home
    session = await session_factory(["cat"], transport=Transport.PTY)
    person = await open_session(session.id, run_dir=home.run_dir, journal_dir=home.journal_dir)
    assert isinstance(person, Session)
    await person.take_lease("ann")
    await person.aclose()
    assert (await session.write("w", b"x")).repeated is False
    assert (await session.status()).lease is None


@BOTH
async def test_a_path_longer_than_a_socket_address(
    session_factory: SessionFactory, transport: Transport
) -> None:
    deep = session_factory.home.run_dir
    while len(str(deep)) < 300:
        deep /= "folder with ünïcode"
    object.__setattr__(session_factory.home, "run_dir", deep)
    session = await session_factory(["echo", "far"], transport=transport)
    assert b"far" in output_of(await collect(session))
    assert (await session.status()).state == "ended"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"argv": ["no-such-program"]}, BinaryNotFound),
        ({"argv": ["./none"]}, BinaryNotFound),
        ({"argv": ["/etc/passwd"]}, BinaryNotFound),
        ({"argv": ["true"], "cwd": Path("/nowhere")}, CwdMissing),
        ({"argv": ["true"], "cwd": Path("/etc/passwd")}, CwdMissing),
        ({"argv": ["{tmp}/text"]}, HolderFailed),
    ],
)
async def test_a_start_that_fails_leaves_nothing(
    session_factory: SessionFactory, tmp_path: Path, change: dict[str, object], error: type[Exception]
) -> None:
    (tmp_path / "text").write_text("no program\n")
    (tmp_path / "text").chmod(0o755)
    argv = [text.format(tmp=tmp_path) for text in change.pop("argv")]  # type: ignore[attr-defined]
    with pytest.raises(error):
        await session_factory(argv, **change)  # type: ignore[arg-type]
    home = session_factory.home
    assert not list(home.journal_dir.glob("*")) and not list(home.run_dir.glob("s*"))


async def test_a_session_is_started_once(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"], id="same")
    with pytest.raises(SessionExists):
        await session_factory(["cat"], id="same")
    assert (await session.status()).state == "running"


async def test_close_is_for_ended_sessions(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    with pytest.raises(RequestRefused):
        await session.close()
    assert (await session.write("still", b"there")).repeated is False
