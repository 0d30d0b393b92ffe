"""Keeps the machine from falling asleep while agents are at work, if the person wants it (`general.keep_awake`).

The system's own tool holds that off: `systemd-inhibit` (logind's block inhibitors) or macOS's `caffeinate`, around a
`cat` that ends when our end of its pipe closes. So nothing of it outlives the daemon, however that ends.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import anyio
from anyio.abc import Process

from at_agents.decisions import IntentKind
from at_core.store import Tx
from at_core.vocabulary import EventType
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.patrol import in_turn

REST_SECONDS = 1.0
"""Between two looks, so that an agent's every word is not one."""
LONGEST_END_SECONDS = 5.0
WORK = frozenset(
    kind.value
    for kind in (
        IntentKind.PREPARE,
        IntentKind.READ_COMMANDS,
        IntentKind.COMMAND,
        IntentKind.SPAWN,
        IntentKind.SEND,
        IntentKind.COLLECT,
        IntentKind.GATE,
        IntentKind.FORECAST,
        IntentKind.ASSEMBLE,
        IntentKind.LAND,
    )
)
"""The steps from an order to its landing that are not an agent's own turn."""
log = logging.getLogger(__name__)


class KeepAwake:
    """Holds off sleep while `at_work`, with one process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._holding: Process | None = None
        self._failed = False
        """Whether it could not be held off for the work that is under way; that is told once."""

    async def run(self) -> None:
        """Hold it off as long as there is work, until cancelled."""
        try:
            while not self._parts.news.closed:
                seq = self._parts.news.last_seq
                await self._look()
                await self._parts.news.wait_beyond(seq)
                await anyio.sleep(REST_SECONDS)
        finally:
            with anyio.CancelScope(shield=True):
                await self._let_go()

    async def _look(self) -> None:
        wanted = self._parts.clis.config().general.keep_awake
        now = self._parts.now()
        if not wanted or not await self._parts.ledger.read(lambda tx: at_work(tx, now)):
            self._failed = False
            await self._let_go()
        elif self._holding is None and not self._failed:
            await self._hold()
        elif self._holding is not None and self._holding.returncode is not None:
            await self._tell(
                f"{holding_command(os.environ)[0]} ended with exit code {self._holding.returncode}"
            )
            await self._let_go()

    async def _hold(self) -> None:
        command = holding_command(os.environ)
        if not command:
            await self._tell("neither systemd-inhibit nor caffeinate is on the PATH of the daemon")
            return
        try:
            self._holding = await anyio.open_process(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            await self._tell(f"{command[0]} cannot be started: {error.strerror}")

    async def _let_go(self) -> None:
        process, self._holding = self._holding, None
        if process is None:
            return
        if process.stdin is not None:
            await process.stdin.aclose()
        with anyio.move_on_after(LONGEST_END_SECONDS):
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.aclose()

    async def _tell(self, reason: str) -> None:
        self._failed = True
        log.warning("the machine may fall asleep: %s", reason)

        def tell(change: Change) -> None:
            change.tell(EventType.KEEP_AWAKE_FAILED, reason=reason)

        await self._parts.ledger.record(tell)


def holding_command(environ: Mapping[str, str]) -> list[str]:
    """What holds off sleep until its standard input ends; empty where no tool for it is there."""
    path = environ.get("PATH", os.defpath)
    if program := shutil.which("systemd-inhibit", path=path):
        why = ["--who=auto-tundra", "--why=agents are at work"]
        return [program, "--what=idle:sleep", "--mode=block", *why, "cat"]
    if program := shutil.which("caffeinate", path=path):
        return [program, "-i", "cat"]
    return []


def at_work(tx: Tx, now: datetime) -> bool:
    """Whether an agent is in a turn, or a step before or after one is under way.

    What waits for a person or a limit is no work, and neither is what is tried again later.
    """
    asking = {ask.agent_id for ask in tx.open_asks()}
    if any(each.agent.id not in asking for each in in_turn(tx)):
        return True
    return any(
        intent.kind in WORK and (intent.not_before is None or intent.not_before <= now)
        for intent in tx.open_intents()
    )
