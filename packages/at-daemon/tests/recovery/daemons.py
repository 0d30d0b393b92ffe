"""Short-lived daemons without a socket: each answers one request in a forked child and may be killed in it. Not a test.

One JSON request per line on stdin: `{"home", "route", "path", "body", "place"}`; one answer: `{"killed": true}`, or
`{"result": document}`, or `{"error": message}`. A child first finishes what one before it left open. Folders, the attic
and the store are real; nothing that would start a process of an agent or a gate is.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio

from at_agents.decisions import IntentKind
from at_core.api import BY_NAME, Order
from at_core.errors import AtError
from at_core.paths import Home
from at_core.store import Store
from at_core.types import Intent
from at_core.vocabulary import EventType
from at_daemon.clock import SystemClock
from at_daemon.edge import Call
from at_daemon.executor import Act, Effect, Executor
from at_daemon.failpoints import arm
from at_daemon.handlers import handlers
from at_daemon.ledger import Ledger
from at_daemon.parts import Parts
from at_daemon.sockets import Peer
from at_daemon.testing import Desk, FakeClock
from at_daemon.wiring import ACTS
from at_daemon.world import Worlds

REAL = (
    IntentKind.PREPARE,
    IntentKind.READ_COMMANDS,
    IntentKind.COLLECT,
    IntentKind.REMOVE,
    IntentKind.RESTORE,
)


async def nothing(intent: Intent) -> Effect:
    """An act that is left out; the event lets those who wait look again."""
    return Effect(lambda change: change.tell(EventType.TOOL_ENDED, intent=intent.key))


def acts_of(parts: Parts) -> dict[IntentKind, Act]:
    """The real acts that need no process of an agent, and nothing for all others."""

    def real(kind: IntentKind) -> Act:
        async def act(intent: Intent) -> Effect:
            effect: Effect = await ACTS[kind](parts, intent)  # type: ignore[misc]  # an act is a coroutine function
            return effect

        return act

    return {kind: real(kind) if kind in REAL else nothing for kind in IntentKind}


async def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Settle what is open, carry out the request if there is one, settle again."""
    home = Home(Path(request["home"]))
    home.make()
    store = Store.open(home.store_file)
    ledger = Ledger(store, Worlds(SystemClock.of_this_boot()))
    parts = Desk(ledger, FakeClock()).parts(home)
    parts.news.tell(await ledger.read(lambda tx: tx.last_seq()))
    store.on_commit(parts.news.tell)
    executor = Executor(ledger, acts_of(parts))
    ledger.on_intents = executor.notify
    said: dict[str, Any] = {}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.run)
        await parts.until(lambda tx: None if tx.open_intents() else True)
        arm(request["place"])
        if request["route"]:
            try:
                said = {"result": await handlers(parts)[request["route"]](call_of(request))}
            except AtError as error:
                said = {"error": error.message}
        await parts.until(lambda tx: None if tx.open_intents() else True)
        tasks.cancel_scope.cancel()
    store.close()
    return said


def call_of(request: dict[str, Any]) -> Call:
    """The request as the edge of the daemon would pass it on."""
    route, body = BY_NAME[request["route"]], dict(request["body"])
    if "order" in body:
        body["order"] = Order(**body["order"])
    query = {name: request["body"].get(name) for name, _ in route.query}
    return Call(
        route=route,
        peer=Peer(os.getuid(), None),
        path=request["path"],
        query=query,
        body=None if route.body is None else route.body(**body),
    )


def main() -> None:
    """Answer until stdin ends."""
    for text in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(theirs, json.dumps(anyio.run(answer, json.loads(text))).encode())
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)  # it must never become a second parent
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        print(json.dumps({"killed": True}) if killed else said.decode() or '{"broken": true}', flush=True)


if __name__ == "__main__":
    main()
