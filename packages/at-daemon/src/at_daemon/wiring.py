"""The one module that knows all parts: it makes them, joins them, and runs them as one tree of tasks."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio

from at_agents.decisions import Awake, IntentKind, Policy
from at_core.config import Config, LaneConfig
from at_core.errors import NoSpaceLeft
from at_core.paths import Home
from at_core.store import Store
from at_core.types import Agent, BeadStatus, Lane
from at_core.vocabulary import AgentFact, EventType
from at_daemon.__about__ import __version__
from at_daemon.acts import folder, landing, notice, price, process, proof, set_up, speech, undo
from at_daemon.admission import Admission
from at_daemon.budgets import Budgets
from at_daemon.clis import Clis, LiveConfig
from at_daemon.clock import Clock, SystemClock
from at_daemon.executor import Act, Executor
from at_daemon.foresight import Foresight
from at_daemon.handlers import handlers
from at_daemon.interruptions import touch_ended
from at_daemon.keep_awake import KeepAwake
from at_daemon.ledger import Change, Ledger
from at_daemon.leftovers import end_strays, free_stale_slots
from at_daemon.news import News
from at_daemon.notifier import wants_notices
from at_daemon.parts import Parts
from at_daemon.patrol import Patrol, every
from at_daemon.server import serve
from at_daemon.sessions import LiveSessions
from at_daemon.sweeper import Sweeper
from at_daemon.wakeups import Wakeups
from at_daemon.warm_folders import WarmFolders
from at_daemon.world import Worlds

ACTS: Mapping[IntentKind, Callable[..., object]] = {
    IntentKind.PREPARE: folder.prepare,
    IntentKind.REMOVE: folder.remove,
    IntentKind.RESTORE: undo.restore,
    IntentKind.READ_COMMANDS: set_up.read_commands,
    IntentKind.COMMAND: set_up.command,
    IntentKind.SPAWN: process.spawn,
    IntentKind.STOP: process.stop,
    IntentKind.SEND: speech.send,
    IntentKind.ANSWER: speech.answer,
    IntentKind.WRITE: speech.write,
    IntentKind.COLLECT: proof.collect,
    IntentKind.GATE: proof.gate,
    IntentKind.FORECAST: proof.forecast,
    IntentKind.ASSEMBLE: landing.assemble,
    IntentKind.LAND: landing.land,
    IntentKind.PRICE: price.look_up,
    IntentKind.NOTIFY: notice.notify,
    IntentKind.WITHDRAW: notice.withdraw,
}


FORECASTS_AT_ONCE = 4
log = logging.getLogger(__name__)


async def run(home: Home, config: Config, ready: Callable[[], None], clock: Clock | None = None) -> None:
    """Serve until told to end; `ready` is called when the API answers and every held agent was found again."""
    clock = clock or SystemClock.of_this_boot()
    store = Store.open(Path(config.cache.sqlite_path))
    try:
        await _run(home, config, ready, clock, store)
    finally:
        store.close()


async def _run(home: Home, config: Config, ready: Callable[[], None], clock: Clock, store: Store) -> None:
    def policy(agent: Agent | None) -> Policy:
        cli = clis.last(agent.cli) if agent is not None else None
        if cli is None:
            return Policy(resumes=False)
        return Policy(
            silence_seconds=float(cli.settings.timeout_seconds),
            keeps_failed_prompts=cli.driver.capabilities.keeps_failed_prompts,
            hibernate_seconds=float(clis.config().general.hibernate_seconds),
            resumes=cli.driver.capabilities.resumes,
        )

    clis = Clis(LiveConfig(home.config_file, config), home.clis)

    def most_in_lane(lane: Lane) -> int | None:
        section: LaneConfig = getattr(clis.config().lanes, lane.value)
        return section.most

    def batch() -> int:
        return clis.config().gates.batch

    def size_mb(name: str) -> int:
        cli = clis.last(name)
        return cli.driver.capabilities.memory_mb if cli else 0

    admission = Admission(
        most=lambda: clis.config().general.max_agents,
        keep_free_mb=lambda: clis.config().general.keep_free_mb,
        size_mb=size_mb,
    )
    worlds = Worlds(clock, admission, policy, most_in_lane, batch, Budgets(clis))
    ledger = Ledger(store, worlds)
    sessions = LiveSessions(ledger, home, clis)
    parts = Parts(
        home=home,
        config=config,
        ledger=ledger,
        sessions=sessions,
        clis=clis,
        gate_slots=anyio.CapacityLimiter(config.gates.parallel),
        forecasts=anyio.CapacityLimiter(FORECASTS_AT_ONCE),
        news=News(),
        stopping=anyio.Event(),
        sweeper=Sweeper(home.worktrees, home.warm),
        started_at=clock.now(),
    )
    parts.news.tell(await ledger.read(lambda tx: tx.last_seq()))
    store.on_commit(parts.news.tell)
    acts: dict[IntentKind, Act] = {kind: functools.partial(act, parts) for kind, act in ACTS.items()}  # type: ignore[misc]
    executor, wakeups, patrol = Executor(ledger, acts), Wakeups(ledger), Patrol(ledger)
    ledger.notices = lambda: wants_notices(clis.config().ui)
    ledger.on_intents, ledger.on_wakes = executor.notify, wakeups.add
    async with anyio.create_task_group() as tasks:
        adopted = await sessions.adopt_all(tasks)
        await ledger.change(functools.partial(note_started, adopted=adopted, awake=clock.awake()))
        await end_strays(parts)
        await ledger.change(lambda change: free_stale_slots(change.tx))
        tasks.start_soon(executor.run)
        tasks.start_soon(Foresight(parts).run)
        tasks.start_soon(KeepAwake(parts).run)
        tasks.start_soon(wakeups.run)
        tasks.start_soon(parts.sweeper.run)
        tasks.start_soon(WarmFolders(parts).run)
        tasks.start_soon(every, config.daemon.heartbeat_interval_seconds, patrol.heartbeat)
        tasks.start_soon(every, config.daemon.patrol_interval_seconds, patrol.round)
        tasks.start_soon(every, config.daemon.kpi_snapshot_interval_seconds, patrol.snapshot)
        async with anyio.create_task_group() as serving:
            await serving.start(functools.partial(serve, home, handlers(parts), parts.stopping))
            ready()
            log.info("version %s serves %s; it follows %d sessions", __version__, home.root, adopted)
        log.info("ending")
        with contextlib.suppress(NoSpaceLeft):  # its end is no news that is worth waiting for
            await ledger.change(lambda change: change.tell(EventType.DAEMON_STOPPED, version=__version__))
        tasks.cancel_scope.cancel()


def note_started(change: Change, adopted: int, awake: Awake) -> None:
    """The daemon is up, and all work is looked at. While it was not, nobody listened: that is nobody's silence."""
    for record in change.tx.sessions(live=True):
        sign = {"awake": awake.seconds, "boot": awake.boot, "session": record.id}
        change.put(record.agent_id, AgentFact.SIGN_OF_LIFE, sign)
    change.tell(EventType.DAEMON_STARTED, version=__version__, adopted=adopted)
    for bead in change.tx.beads(status={BeadStatus.SLUNG, BeadStatus.REVIEW}):
        change.touch(bead.id)
    touch_ended(change)
