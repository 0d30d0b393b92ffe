"""What counts as work that the machine is to stay awake for, and what becomes of the reason why it does not."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from at_agents.decisions import IntentKind
from at_core.config import Config
from at_core.paths import Home
from at_core.types import Intent
from at_core.vocabulary import EventType
from at_daemon import ledger
from at_daemon.clis import Clis
from at_daemon.keep_awake import KeepAwake, at_work
from at_daemon.testing import Desk, LedgerOnFullDisk

OF_A_PERSON = {IntentKind.NOTIFY, IntentKind.WITHDRAW}
IN_A_TURN = {IntentKind.ANSWER, IntentKind.WRITE}
CLEARING_UP = {IntentKind.STOP, IntentKind.REMOVE, IntentKind.RESTORE, IntentKind.PRICE}


@pytest.mark.parametrize("kind", IntentKind)
def test_every_step_between_an_order_and_its_landing_is_work(desk: Desk, kind: IntentKind) -> None:
    now = desk.clock.now()
    intent = Intent(key="one", kind=kind.value, created_at=now)
    desk.do(lambda change: change.tx.open_intent(intent))
    wanted = kind not in OF_A_PERSON | IN_A_TURN | CLEARING_UP
    assert desk.do(lambda change: at_work(change.tx, now)) is wanted


@pytest.mark.parametrize("kind", [IntentKind.SPAWN, IntentKind.LAND])
def test_what_is_tried_again_later_is_no_work_until_then(desk: Desk, kind: IntentKind) -> None:
    now = desk.clock.now()
    later = now + timedelta(minutes=5)
    intent = Intent(key="one", kind=kind.value, created_at=now, not_before=later)
    desk.do(lambda change: change.tx.open_intent(intent))
    assert not desk.do(lambda change: at_work(change.tx, now))
    assert desk.do(lambda change: at_work(change.tx, later))


def test_a_full_disk_keeps_the_reason_waiting_and_ends_nothing(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no tool that holds off sleep
    monkeypatch.setattr(ledger, "FULL_DISK_SECONDS", 0)
    config = Config()
    wanted = dataclasses.replace(config, general=dataclasses.replace(config.general, keep_awake=True))
    full = LedgerOnFullDisk(desk.ledger.store, desk.ledger.worlds, refusals=3)
    parts = dataclasses.replace(desk.parts(Home(tmp_path)), ledger=full, clis=Clis(lambda: wanted))
    intent = Intent(key="one", kind=IntentKind.GATE.value, created_at=desk.clock.now())
    desk.do(lambda change: change.tx.open_intent(intent))

    async def until_told() -> None:
        told = anyio.Event()
        desk.ledger.store.on_commit(lambda seq: told.set())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(KeepAwake(parts).run)
            await told.wait()
            tasks.cancel_scope.cancel()

    anyio.run(until_told)
    [event] = desk.do(lambda change: change.tx.events(types=[EventType.KEEP_AWAKE_FAILED]))
    assert "neither systemd-inhibit nor caffeinate" in (event.payload or {})["reason"]
