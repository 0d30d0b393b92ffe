"""The file itself: modes, the lock of the one writer, readers beside it, a disk that is full."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from at_core.errors import StoreError
from at_core.store import Store
from at_core.types import Bead

WRITE_UNTIL_FULL = """
import resource, signal, sys
from pathlib import Path
from at_core.errors import StoreError
from at_core.store import Store
from at_core.types import Bead

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store.open(Path(sys.argv[1])) as store:
    limit(1 << 20)
    kept = 0
    try:
        while True:
            store.write_now(lambda tx: tx.add_bead(Bead.new("x" * 100_000)))
            kept += 1
    except StoreError as error:
        print(error.message)
    print(kept == len(store.read_now(lambda tx: tx.beads())))
    limit(resource.RLIM_INFINITY)
    store.write_now(lambda tx: tx.add_bead(Bead.new("room again")))
    print(len(store.read_now(lambda tx: tx.beads())) - kept, store.integrity())
"""

HOLD = """
import sys
from pathlib import Path
from at_core.store import Store
from at_core.types import Bead
with Store.open(Path(sys.argv[1])) as store:
    store.write_now(lambda tx: tx.add_bead(Bead.new("theirs")))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the store open for writing."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(path) as store:
            store.write_now(lambda tx: tx.add_bead(Bead.new("x")))
            modes = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) == {"cache.db", "cache.db-wal", "cache.db-shm", "cache.db.lock"}
    assert set(modes.values()) == {0o600}
    assert mode(path.parent) == 0o700


def test_a_mode_that_let_others_in_is_taken_back(path: Path) -> None:
    Store.open(path).close()
    path.chmod(0o644)
    Store.open(path).close()
    assert mode(path) == 0o600


def test_a_second_writer_is_told_who_the_first_is(path: Path) -> None:
    with (
        other_process(path) as child,
        pytest.raises(StoreError, match=rf"another process \(pid {child.pid}\)") as told,
    ):
        Store.open(path)
    assert told.value.hint


def test_the_same_process_cannot_open_it_twice_either(path: Path) -> None:
    with Store.open(path), pytest.raises(StoreError, match="open for writing"):
        Store.open(path)
    Store.open(path).close()


def test_readers_are_fine_beside_a_writer(path: Path) -> None:
    with other_process(path), Store.open(path, read_only=True) as reader:
        assert [bead.title for bead in reader.read_now(lambda tx: tx.beads())] == ["theirs"]
        with pytest.raises(StoreError, match="reading only"):
            reader.write_now(lambda tx: tx.beads())


def test_the_lock_goes_with_the_process(path: Path) -> None:
    with other_process(path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        with Store.open(path) as store:
            assert [bead.title for bead in store.read_now(lambda tx: tx.beads())] == ["theirs"]


def test_a_reader_makes_nothing(path: Path) -> None:
    with pytest.raises(StoreError):
        Store.open(path, read_only=True)
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["with space", "ünï", "a%20b", "q?mode=ro", "h#ash", "x" * 120])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "cache.db"
    with Store.open(path) as store:
        store.write_now(lambda tx: tx.add_bead(Bead.new("x")))
        assert len(store.read_now(lambda tx: tx.beads())) == 1
    assert path.exists()


@pytest.mark.parametrize("where", ["a folder", "below a file"])
def test_a_place_that_cannot_be_is_one_clear_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError) as told:
        Store.open(tmp_path / ("folder" if where == "a folder" else "file/cache.db"))
    assert "\n" not in told.value.message
    assert str(tmp_path) in told.value.message


def test_a_file_that_cannot_grow_loses_nothing(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WRITE_UNTIL_FULL, str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    message, whole, after = ran.stdout.splitlines()
    assert "cannot be written" in message
    assert (whole, after) == ("True", "1 []")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_the_next_write_works_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    with Store.open(small_disk / "cache.db") as store:
        kept = 0
        with pytest.raises(StoreError, match="the disk is full") as told:
            while True:
                store.write_now(lambda tx: tx.add_bead(Bead.new("x" * 50_000)))
                kept += 1
        assert told.value.hint
        assert len(store.read_now(lambda tx: tx.beads())) == kept > 0
        ballast.unlink()
        store.write_now(lambda tx: tx.add_bead(Bead.new("room again")))
        assert len(store.read_now(lambda tx: tx.beads())) == kept + 1
        assert store.integrity() == []


def test_a_batch_on_a_full_disk_keeps_the_commands_that_fit(small_disk: Path) -> None:
    import anyio

    async def together(store: Store) -> list[str]:
        outcomes: list[str] = []

        async def one(size: int) -> None:
            try:
                await store.write(lambda tx: tx.add_bead(Bead.new("x" * size)))
                outcomes.append("kept")
            except StoreError:
                outcomes.append("refused")

        async with anyio.create_task_group() as tasks:
            for size in (10, 4 << 20, 10, 10):
                tasks.start_soon(one, size)
        return outcomes

    with Store.open(small_disk / "cache.db") as store:
        assert sorted(anyio.run(together, store)) == ["kept", "kept", "kept", "refused"]
        assert len(store.read_now(lambda tx: tx.beads())) == 3
        assert store.integrity() == []
