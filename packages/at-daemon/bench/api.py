"""What a call of the API costs, as JSON lines for tools/bench.py; no limits, for these figures stand for themselves.

    python packages/at-daemon/bench/api.py [CALLS]

The server runs in a process of its own. The yardstick of a call is the bare socket: the same bytes sent and read
without our client, on a connection that is new each time. The yardstick of a start is `python -c pass`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from at_core.client import Client
from at_core.paths import Home
from at_core.start import ensure_daemon

SERVER = """
import sys
from functools import partial
from pathlib import Path

import anyio

from at_core.api import BY_NAME
from at_core.paths import Home
from at_daemon.lock import only_daemon
from at_daemon.server import serve

async def show(call):
    return {"bead": {"id": call.path["bead"]}}

async def main(home):
    async with anyio.create_task_group() as group:
        stopping = anyio.Event()
        routes = [BY_NAME["health"], BY_NAME["show"]]
        await group.start(partial(serve, home, {"show": show}, stopping, routes=routes))
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        stopping.set()

home = Home(Path(sys.argv[1]))
with only_daemon(home, "bench"):
    anyio.run(main, home)
"""
REQUEST = b"GET /v1/health HTTP/1.1\r\nhost: at\r\n\r\n"
LAST_REQUEST = b"GET /v1/health HTTP/1.1\r\nhost: at\r\nconnection: close\r\n\r\n"


def main(calls: int) -> None:
    """Run all of it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder, "home"))
        home.make()
        with serving(home), socket.socket(socket.AF_UNIX) as kept:
            client = Client(home)
            kept.connect(str(home.socket))
            bare = timed(calls, lambda: one(home))
            report("API: GET on a kept connection, no client", timed(calls, lambda: again(kept)), bare)
            report("API: GET through the client", timed(calls, lambda: client.call("health")), bare)
            report(
                "API: GET with a parameter", timed(calls, lambda: client.call("show", bead="a title")), bare
            )
        python = statistics.median(
            timed(10, lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
        )
        starts = timed(5, lambda: ensure_daemon(home, os.environ), after=lambda: end(Client(home)))
        line("Daemon: from nothing to its answer", statistics.median(starts) * 1000, "ms", python * 1000)


def timed(calls: int, call: Callable[[], object], after: Callable[[], object] = lambda: None) -> list[float]:
    """Seconds of each of `calls`, sorted; `after` is not timed."""
    seconds = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
        after()
    return sorted(seconds)


def report(name: str, seconds: list[float], bare: list[float]) -> None:
    """Three lines: calls a second, and the time of a call at the middle and at the 99th percentile."""
    line(name, len(seconds) / sum(seconds), "calls/s", len(bare) / sum(bare))
    for percent in (50, 99):
        at, bare_at = (each[len(each) * percent // 100] * 1000 for each in (seconds, bare))
        line(f"{name}, p{percent}", at, "ms", bare_at)


def line(name: str, value: float, unit: str, yardstick: float) -> None:
    """One figure."""
    figures = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "yardstick": round(yardstick, 3),
        "limit": None,
    }
    print(json.dumps(figures), flush=True)


def again(kept: socket.socket) -> None:
    """A call on a connection that stays."""
    kept.sendall(REQUEST)
    kept.recv(65536)


def one(home: Home) -> None:
    """A call on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home.socket))
        connection.sendall(LAST_REQUEST)
        while connection.recv(65536):
            pass


def end(client: Client) -> None:
    """Kill the daemon and wait for its end."""
    pid = client.call("health")["pid"]
    descriptor = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


@contextmanager
def serving(home: Home) -> Iterator[None]:
    """The server, until the context ends."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
