"""A PostgreSQL server of a test's own, on a Unix socket, and the environment in which its clients find it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENTS = ("createdb", "dropdb", "psql")


def server_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, which is seldom on the PATH; None where they or the clients are missing."""
    if not all(map(shutil.which, CLIENTS)):
        return None
    named = shutil.which("initdb")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[dict[str, str]]:
    """A new server below `folder` while the block lasts; gives the variables by which a client reaches it."""
    cluster, socket = folder / "cluster", folder / "s"
    socket.mkdir(parents=True)
    # PostgreSQL refuses to work for root, which a test in a container often is.
    person = ["unshare", "--user", "--map-user=1000"] if os.geteuid() == 0 else []

    def call(program: str, *words: str) -> None:
        subprocess.run(
            [*person, str(programs / program), "-D", str(cluster), *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )

    call("initdb", "-U", "person", "--auth=trust", "-N")
    options = f"-k {socket} -c listen_addresses= -c fsync=off"
    call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield {"PGHOST": str(socket), "PGUSER": "person"}
    finally:
        call("pg_ctl", "-w", "-m", "immediate", "stop")
