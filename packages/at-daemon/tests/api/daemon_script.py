"""A daemon with hardly any parts: at-daemon's own start, and a wiring that does what `WIRING` says."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from at_core.api import BY_NAME
from at_core.errors import NeedsPerson
from at_core.paths import Home
from at_daemon.edge import Call
from at_daemon.main import main
from at_daemon.server import serve

WIRING = os.environ.get("WIRING", "serve")
ROUTES = [BY_NAME[name] for name in ("health", "status", "down")]


async def run(home: Home, config: Any, ready: Callable[[], None]) -> None:
    """Serve, or fail in the way that is asked for."""
    stopping = anyio.Event()

    async def down(call: Call) -> dict[str, Any]:
        stopping.set()
        return {"stopped": []}

    async def status(call: Call) -> dict[str, Any]:
        return {
            "cwd": os.getcwd(),
            "session": os.getsid(0) == os.getppid() or os.getsid(0) != int(os.environ["STARTER_SESSION"]),
            "descriptors": [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
            "inherited": [n for n in range(3, 256) if _is_inherited(n)],
            "name": Path("/proc/self/comm").read_text().strip(),
            "lines": Path(home.logs / "at-daemon.jsonl").exists(),
        }

    if WIRING == "needs_person":
        raise NeedsPerson("the store is of a newer version", "update auto-tundra")
    if WIRING == "die":
        os._exit(9)
    async with anyio.create_task_group() as group:
        await group.start(partial(serve, home, {"down": down, "status": status}, stopping, routes=ROUTES))
        logging.getLogger("script").warning("serving")
        ready()
    print(json.dumps("ended in order"), flush=True)


def _is_inherited(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(run=run))
