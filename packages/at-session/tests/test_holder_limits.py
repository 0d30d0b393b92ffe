"""The holder at its limits: back-pressure, gaps, full disk, no PTY, and rest."""

from __future__ import annotations

import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from at_session.errors import DiskFull
from at_session.following import collect, output_of, wait_for_output
from at_session.journal import RecordKind
from at_session.pytest_plugin import SessionFactory, SessionHome
from at_session.session import Session, open_session
from at_session.vocabulary import Transport

pytestmark = pytest.mark.anyio

LINES = "import os, sys\nfor n in range(int(sys.argv[1])): os.write(1, b'%09d\\n' % n)"
COUNT = 20_000


def numbered(count: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", LINES, str(count)]


async def state_reached(session: Session, text: str) -> None:
    """Wait until the holder tells its followers of this state."""
    assert await collect(session, lambda r: r.kind is RecordKind.STATE and r.data.decode().startswith(text))
    assert (await session.status()).state.startswith(text)


async def test_a_full_journal_stops_a_structured_agent_until_trimmed(session_factory: SessionFactory) -> None:
    session = await session_factory(numbered(COUNT), journal_bytes=64 << 10, segment_bytes=8 << 10)
    await state_reached(session, "full")
    status = await session.status()
    assert 64 << 10 <= status.end - status.first < 200 << 10
    received = bytearray()
    async with session.follow(0) as follower:
        while records := await follower.batch():
            received += output_of(records)
            if records[-1].kind is not RecordKind.END:
                await session.trim(records[-1].next)
    assert received.split() == [b"%09d" % n for n in range(COUNT)]


async def test_a_full_journal_still_takes_input(session_factory: SessionFactory) -> None:
    script = "head -c 300000 /dev/zero; read answer; echo $answer"
    session = await session_factory(["sh", "-c", script], journal_bytes=64 << 10, segment_bytes=8 << 10)
    await state_reached(session, "full")
    assert (await session.write("approve", b"yes\n")).repeated is False
    received = bytearray()
    async with session.follow(0) as follower:
        while records := await follower.batch():
            received += output_of(records)
            if records[-1].kind is not RecordKind.END:
                await session.trim(records[-1].next)
    assert received == b"\0" * 300_000 + b"yes\n"


async def test_a_terminal_drops_its_oldest_output_with_a_gap(session_factory: SessionFactory) -> None:
    session = await session_factory(
        numbered(COUNT), transport=Transport.PTY, journal_bytes=64 << 10, segment_bytes=16 << 10
    )
    await session.wait()
    records = await collect(session)
    assert (await session.status()).first > 0
    assert records[0].kind is RecordKind.GAP and records[0].gap() == (0, records[1].offset)
    told = [record.gap() for record in records[1:] if record.kind is RecordKind.GAP]
    assert all(start < stop <= records[0].next for start, stop in told)
    lines = output_of(records).split(b"\r\n")[1:-1]
    assert lines == [b"%09d" % n for n in range(COUNT - len(lines), COUNT)]
    assert records[-1].next - records[1].offset <= 100 << 10


async def test_a_slow_follower_delays_nobody(session_factory: SessionFactory) -> None:
    session = await session_factory(numbered(COUNT), transport=Transport.PTY)
    async with session.follow(0) as slow:
        first = await slow.batch()
        fast = await collect(session)
        rest = []
        while records := await slow.batch():
            rest += records
    assert first + rest == fast
    assert output_of(fast).split() == [b"%09d" % n for n in range(COUNT)]


ASK = "import os; os.write(1, b'ready'); [os.write(1, b'\\033[c' * 400) for _ in range(400)]; os.write(1, b'asked'); input()"


async def test_an_agent_that_asks_its_terminal_for_ever_and_never_reads_costs_no_memory(
    session_factory: SessionFactory,
) -> None:
    argv = ["sh", "-c", f'stty raw -echo; exec {sys.executable} -I -S -c "$0"', ASK]
    session = await session_factory(argv, transport=Transport.PTY)
    records = await wait_for_output(session, b"asked")
    replies = output_of(records, RecordKind.REPLY)
    assert 0 < len(replies) < 160_000, "all of them would be 1.7 MB"
    assert (await session.status()).waiting < 8192
    notes = [r.data for r in records if r.kind is RecordKind.NOTE]
    assert notes == [b"it does not read: queries of its terminal get no reply"]


async def test_without_a_descriptor_to_spare_the_holder_serves_those_it_has(
    session_factory: SessionFactory,
) -> None:
    session = await session_factory(["cat"])
    _soft, hard = resource.prlimit(session.holder_pid, resource.RLIMIT_NOFILE)
    resource.prlimit(session.holder_pid, resource.RLIMIT_NOFILE, (40, hard))
    await session.status()  # its connection is made with the first request
    with ExitStack() as callers:
        for _ in range(60):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.settimeout(5)
            caller.connect(str(session.run_dir / f"{session.id}.sock"))
        assert (await session.write("m", b"still here\n")).repeated is False
    await wait_for_output(session, b"still here")
    again = await open_session(
        session.id, run_dir=session_factory.home.run_dir, journal_dir=session_factory.home.journal_dir
    )
    assert isinstance(again, Session)
    await again.aclose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], capture_output=True
    ).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


async def blocked_then_complete(session: Session, relieve: object) -> None:
    await state_reached(session, "blocked")
    with pytest.raises(DiskFull):
        await session.write("prompt", b"x\n")
    assert callable(relieve)
    relieve()
    records = await wait_for_output(session, b"%09d\n" % (COUNT - 1))
    receipt = await session.write("prompt", b"x\n")
    assert receipt.repeated is False
    assert output_of(records).split() == [b"%09d" % n for n in range(COUNT)]
    assert [r.data for r in records if r.kind is RecordKind.STATE][-1] == b"running"


async def test_nothing_is_lost_when_a_file_may_not_grow(session_factory: SessionFactory) -> None:
    script = ["sh", "-c", f'read go; {sys.executable} -I -S -c "$0" {COUNT}; read x', LINES]
    session = await session_factory(script)
    pid, unlimited = session.holder_pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    await session.write("go", b"go\n")
    await blocked_then_complete(session, lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited))


async def test_nothing_is_lost_when_the_disk_is_full(
    session_factory: SessionFactory, small_disk: Path
) -> None:
    home = SessionHome(session_factory.home.run_dir, small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 100_000)
    script = ["sh", "-c", f'{sys.executable} -I -S -c "$0" {COUNT}; read x', LINES]
    factory = SessionFactory(home)
    session = await factory(script, segment_bytes=8 << 10)

    def relieve() -> None:
        subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)

    await blocked_then_complete(session, relieve)
    assert factory.stop_all() == {}


NO_PTY = """
import os, sys, anyio
from pathlib import Path
from at_session.errors import NoFreePty
from at_session.session import SessionSpec, start_session
from at_session.vocabulary import Transport

async def main(folder):
    async def start(number):
        spec = SessionSpec(f"s{number}", ("sleep", "1000"), dict(os.environ), "/", Transport.PTY)
        return await start_session(spec, run_dir=folder / "run", journal_dir=folder / "journal")
    sessions = [await start(1), await start(2)]
    try:
        await start(3)
    except NoFreePty as error:
        print(error)
    await sessions[0].stop(0)
    await sessions[0].wait()
    sessions.append(await start(4))
    print("started again")
    for session in sessions[1:]:
        await session.stop(0)
        await session.wait()

anyio.run(main, Path(sys.argv[1]))
"""


def test_no_free_pty_is_an_error_of_its_own_and_ptys_are_given_back(tmp_path: Path) -> None:
    mounts = "mount -t devpts -o newinstance,ptmxmode=666,max=2 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx"
    unshare = ["unshare", "--mount", "--map-root-user"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "sh", "-c", mounts], capture_output=True).returncode
    ):
        pytest.skip("a devpts of its own cannot be mounted here")
    command = [
        *unshare,
        "sh",
        "-c",
        f'{mounts} && exec "$@"',
        "sh",
        sys.executable,
        "-c",
        NO_PTY,
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("the system has no free PTY\nstarted again\n", "")
    assert not list((tmp_path / "journal").glob("s3"))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads a system call's number and arguments")
@pytest.mark.parametrize("transport", list(Transport))
async def test_an_idle_holder_sleeps_without_a_time_out(
    session_factory: SessionFactory, transport: Transport
) -> None:
    session = await session_factory(["cat"], transport=transport)
    async with session.follow(0) as follower:
        await follower.batch()
        await session.write("w", b"x\n")
        await wait_for_output(session, b"x")
        await session.status()
        wchan = Path(f"/proc/{session.holder_pid}/syscall")
        call = wchan.read_text().split()
        while call[0] == "running":  # it is on its way to sleep after our request
            call = wchan.read_text().split()
    poll = "7"
    assert call[0] == poll and int(call[3], 16) & 0xFFFFFFFF == 0xFFFFFFFF
