"""Sessions outlive their clients: found again, followed on, written once."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import anyio
import pytest

from at_session import holder
from at_session.errors import HolderLost, JournalDamaged, SessionEnded
from at_session.following import collect, output_of, wait_for_output
from at_session.journal import ExitStatus, RecordKind
from at_session.processes import marked_processes
from at_session.pytest_plugin import SessionFactory, SessionHome
from at_session.session import (
    EndedSession,
    Session,
    SessionSpec,
    list_sessions,
    open_session,
)
from at_session.spawn import HOLDER_PARTS, launch_file
from at_session.vocabulary import Transport

anyio_test = pytest.mark.anyio


async def reopen(home: SessionHome, session_id: str) -> Session | EndedSession:
    return await open_session(session_id, run_dir=home.run_dir, journal_dir=home.journal_dir)


@anyio_test
async def test_a_session_is_found_again(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    await session.write("w", b"before\n")
    await session.aclose()
    assert list_sessions(session.run_dir) == [session.id]
    again = await reopen(session_factory.home, session.id)
    assert isinstance(again, Session)
    async with again:
        assert (again.pid, again.holder_pid) == (session.pid, session.holder_pid)
        assert (await again.write("w", b"before\n")).repeated
        records = await wait_for_output(again, b"before\n")
        assert output_of(await wait_for_output(again, b"before\n", records[-1].offset)) == b"before\n"


@anyio_test
async def test_an_ended_session_is_read_from_disk(session_factory: SessionFactory) -> None:
    session = await session_factory(["sh", "-c", "echo out; echo err >&2; exit 7"], linger_seconds=0)
    live = await collect(session)
    with pytest.raises(SessionEnded, match="has ended with code 7"):
        while True:  # its holder ends by itself; the last of these requests finds it gone
            await session.status()
    assert await collect(session) == live
    assert await session.wait() == ExitStatus(7, None)
    ended = await reopen(session_factory.home, session.id)
    assert isinstance(ended, EndedSession)
    assert (ended.exit, ended.complete, list(ended.records())) == (ExitStatus(7, None), True, live)
    assert list(ended.records(live[2].offset)) == live[2:]
    ended.discard()
    with pytest.raises(FileNotFoundError):
        await reopen(session_factory.home, session.id)


@anyio_test
async def test_a_lost_holder_is_told_from_an_ended_session(session_factory: SessionFactory) -> None:
    session = await session_factory(["sh", "-c", "setsid sleep 1000 >/dev/null & echo up; cat"])
    await wait_for_output(session, b"up")
    await session.write("w", b"last words\n")
    follower = session.follow(0)
    await wait_for_output(session, b"last words")
    os.kill(session.holder_pid, signal.SIGKILL)
    with pytest.raises(HolderLost, match=f"holder of session {session.id} is gone"):
        async for _ in follower:
            pass
    await follower.aclose()
    with pytest.raises(HolderLost):
        await session.wait()
    lost = await reopen(session_factory.home, session.id)
    assert isinstance(lost, EndedSession)
    assert (lost.exit, lost.complete) == (None, False)
    assert output_of(list(lost.records())) == b"up\nlast words\n"
    ending = [os.pidfd_open(pid) for pid in lost.processes()]
    assert lost.kill_processes() != {}
    for descriptor in ending:
        await anyio.wait_readable(descriptor)
        os.close(descriptor)
    assert list_sessions(session.run_dir) == []


@anyio_test
async def test_a_write_is_journalled_before_it_leaves(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"], failpoint="after-journal")
    with pytest.raises(HolderLost):
        await session.write("prompt-1", b"never taken\n")
    lost = await reopen(session_factory.home, session.id)
    assert isinstance(lost, EndedSession)
    offset = lost.written("prompt-1")
    assert offset is not None and lost.written("prompt-2") is None
    (record,) = (record for record in lost.records() if record.kind is RecordKind.INPUT)
    assert (record.offset, record.data) == (offset, b"never taken\n")
    assert output_of(list(lost.records())) == b""
    lost.kill_processes()


@anyio_test
async def test_a_start_whose_starter_died_is_cleaned_up(
    session_factory: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = session_factory.home
    monkeypatch.setattr("at_session.session.STARTING_SECONDS", 0.05)
    home.run_dir.mkdir(parents=True)
    (home.journal_dir / "s").mkdir(parents=True)
    (home.run_dir / "s.launch").write_bytes(b"env=SECRET=1\0")
    assert list_sessions(home.run_dir) == ["s"]
    found = await reopen(home, "s")
    assert isinstance(found, EndedSession) and (found.exit, found.complete) == (None, False)
    assert list_sessions(home.run_dir) == []


@anyio_test
async def test_a_follower_can_start_from_now_and_go_on_from_its_offset(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    await session.write("a", b"one\n")
    await wait_for_output(session, b"one\n")
    async with session.follow() as follower:
        await session.write("b", b"two\n")
        record = await anext(follower)
        assert (record.write_id, record.data) == ("b", b"two\n")
    assert follower.offset == record.next
    await session.close_input()
    assert output_of(await collect(session, offset=record.next)) == b"two\n"


@anyio_test
@pytest.mark.timeout(10)
async def test_a_damaged_journal_of_a_live_session_is_told_and_the_session_can_be_stopped(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    await session.write("a", b"one\n")
    await wait_for_output(session, b"one\n")
    (segment,) = session.journal.glob("*.seg")
    async with session.follow(segment.stat().st_size) as follower:
        with segment.open("ab") as file:
            file.write(b"garbage")
        await session.write("b", b"two\n")
        with pytest.raises(JournalDamaged):
            while True:
                await follower.batch()
    await session.stop(0)
    with pytest.raises(HolderLost):  # the journal, which is all that tells of the end, is unreadable
        await session.wait()
    assert not list(marked_processes(session.id, session.journal))


@anyio_test
async def test_a_cancelled_request_does_not_disturb_the_next(session_factory: SessionFactory) -> None:
    session = await session_factory(["cat"])
    os.kill(session.holder_pid, signal.SIGSTOP)
    with anyio.move_on_after(0.01):
        await session.write("w", b"maybe\n")
    os.kill(session.holder_pid, signal.SIGCONT)
    await session.write("w", b"maybe\n")
    await session.close_input()
    assert output_of(await collect(session)) == b"maybe\n"


@anyio_test
async def test_stopping_goes_on_when_the_stopper_dies(session_factory: SessionFactory) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 1000; done"
    session = await session_factory(["sh", "-c", script], kill_seconds=0.2)
    await wait_for_output(session, b"up")
    await session.stop(0.1)
    await session.aclose()
    assert (await session.wait()).signal == signal.SIGKILL
    assert marked_processes(session.id, session.journal) == {}


STARTER = """
import os, sys, anyio
from pathlib import Path
from at_session.session import SessionSpec, start_session
from at_session.spawn import HOLDER_PARTS, launch_file
from at_session.vocabulary import Transport
async def main(run, journal):
    spec = SessionSpec("child", ("cat",), dict(os.environ), "/", Transport.PTY)
    await start_session(spec, run_dir=Path(run), journal_dir=Path(journal))
    print("started", flush=True)
    await anyio.sleep_forever()
anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_a_session_outlives_its_starter_and_its_terminal(session_home: SessionHome, number: int) -> None:
    command = [sys.executable, "-c", STARTER, str(session_home.run_dir), str(session_home.journal_dir)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
    ) as starter:
        assert starter.stdout is not None and starter.stdout.readline() == b"started\n"
        os.killpg(starter.pid, number)
        assert starter.stdout.read() == b""  # nothing of ours keeps the starter's files open

    async def use() -> None:
        session = await reopen(session_home, "child")
        assert isinstance(session, Session)
        async with session:
            assert (await session.write("w", b"x\n")).repeated is False
            await session.stop(0)
            assert await session.wait() == ExitStatus(None, signal.SIGHUP)

    anyio.run(use)


NUMBERS = """
import os, select
number, rest, line = 0, b"", b""
while line != b"stop":
    if select.select([0], [], [], 0.0005)[0]:
        *lines, rest = (rest + os.read(0, 65536)).split(b"\\n")
        for line in lines:
            os.write(1, b"got %s\\n" % line)
    number += 1
    os.write(1, b"%d\\n" % number)
"""


class Progress:
    """What the log of all clients says: where to go on, which write comes next, what was read."""

    def __init__(self, log: int) -> None:
        self.log, self.read = log, 0
        self.offset, self.next_write, self.output = 0, 0, bytearray()

    def update(self) -> None:
        """Take in what was added, and cut off a line that SIGKILL has torn, which it does between two pages."""
        added = os.pread(self.log, os.fstat(self.log).st_size - self.read, self.read)
        added = added[: added.rfind(b"\n") + 1]
        self.read += len(added)
        os.ftruncate(self.log, self.read)
        for line in added.splitlines():
            kind, number, *data = line.split(b" ")
            if kind == b"O":
                self.offset = int(number)
                self.output += bytes.fromhex(data[0].decode())
            else:
                self.next_write = int(number) + 1


def follow_and_write(home: SessionHome, ready: int, progress: Progress) -> None:
    """A client: goes on where the log says, logs what it reads, writes, and logs what was acknowledged."""

    async def client() -> None:
        session = await reopen(home, "s")
        assert isinstance(session, Session)
        os.write(ready, b".")
        number = progress.next_write
        async with session.follow(progress.offset) as follower:
            while records := await follower.batch():
                data = output_of(records)
                os.write(progress.log, b"O %d %s\n" % (records[-1].next, data.hex().encode()))
                await session.trim(records[-1].next)
                await session.write(f"w{number}", b"w%d\n" % number)
                os.write(progress.log, b"A %d\n" % number)
                number += 1

    anyio.run(client)


def kill_at_random(home: SessionHome, progress: Progress, chance: random.Random) -> None:
    """Run a client in a fork of this process until it is killed."""
    ready_r, ready_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            follow_and_write(home, ready_w, progress)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)
    os.close(ready_w)
    try:
        if chance.random() < 0.8:
            assert os.read(ready_r, 1) == b"."  # else it is killed while it opens the session
        select.select([], [], [], chance.uniform(0, 0.01))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready_r)


MANY_KILLS = 10 * int(os.environ.get("AT_CRASH_ROUNDS", "100"))


@pytest.mark.parametrize(
    "kills", [25, pytest.param(MANY_KILLS, marks=[pytest.mark.crash, pytest.mark.timeout(900)])]
)
def test_clients_killed_at_random_lose_and_repeat_nothing(
    session_factory: SessionFactory, tmp_path: Path, kills: int
) -> None:
    argv = [sys.executable, "-I", "-S", "-c", NUMBERS]
    home = session_factory.home
    anyio.run(lambda: session_factory(argv, id="s", journal_bytes=256 << 10, segment_bytes=16 << 10))
    progress = Progress(os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND))
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(kills):
        kill_at_random(home, progress, chance)
        progress.update()
    os.close(progress.log)

    async def finish() -> None:
        session = await reopen(home, "s")
        assert isinstance(session, Session)
        async with session, session.follow(progress.offset) as follower:
            await session.write(f"w{progress.next_write}", b"w%d\n" % progress.next_write)
            await session.write("stop", b"stop\n")
            while records := await follower.batch():
                progress.output += output_of(records)
                await session.trim(records[-1].next)

    anyio.run(finish)
    lines = progress.output.splitlines()
    numbers = [int(line) for line in lines if line.isdigit()]
    assert numbers == list(range(1, len(numbers) + 1)), f"seed {seed}"
    written = [line for line in lines if line.startswith(b"got w")]
    assert written == [b"got w%d" % number for number in range(progress.next_write + 1)], f"seed {seed}"
    assert progress.next_write > 0


def test_the_holder_needs_no_package_and_no_slow_module(tmp_path: Path) -> None:
    folder = str(Path(holder.__file__).parents[1])
    code = "import sys; sys.path.insert(0, sys.argv[1]); import at_session.holder; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, folder],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {
        "os",
        "re",
        "enum",
        "json",
        "socket",
        "signal",
        "typing",
        "ctypes",
        "subprocess",
        "asyncio",
    }
    ours = {name for name in loaded if name.startswith("at_session.")}
    assert ours == {"at_session.holder", *(f"at_session.{name}" for name in HOLDER_PARTS)}
    assert not list(tmp_path.iterdir())


def test_the_holder_runs_from_its_source_too(session_home: SessionHome) -> None:
    run_dir, journal = session_home.run_dir, session_home.journal_dir / "s"
    run_dir.mkdir(parents=True)
    journal.mkdir(parents=True)
    spec = SessionSpec("s", ("sh", "-c", "exit 9"), {}, "/", Transport.PIPE, linger_seconds=0)
    (run_dir / "s.launch").write_bytes(launch_file(spec, "/bin/sh", run_dir / "s.sock", journal))
    command = [sys.executable, "-I", "-S", holder.__file__, str(run_dir / "s.launch")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b"" and b"mode=pipe\0" in done.stdout

    async def outcome() -> ExitStatus:
        session = Session("s", run_dir=run_dir, journal=journal, pid=0, holder_pid=0)
        return await session.wait()

    assert anyio.run(outcome) == ExitStatus(9, None)
