"""Starting and stopping agents."""

from __future__ import annotations

import functools
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from at_agents import prompts
from at_agents.decisions import Awake, derived_id
from at_agents.lifecycle import stop as stop_session
from at_core.errors import AtError, Refused, TryLater
from at_core.types import Agent, Bead, Intent, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon import causes, environments
from at_daemon.acts.commands import is_of_the_moment
from at_daemon.clis import Cli
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.heard import write_of
from at_daemon.ledger import Change
from at_daemon.parts import Parts, agent_named, bead_named
from at_daemon.sessions import session_id_for
from at_daemon.slots import slot_for, slot_marks
from at_daemon.world import values
from at_session.errors import HolderFailed, HolderSilent, RequestRefused, SessionOver
from at_session.session import EndedSession, Session, SessionSpec, open_session, start_session
from at_session.vocabulary import Allow, Driver, DriverState, Launch, LaunchRequest, Write

STOP_GRACE_SECONDS = 5.0
LAUNCH_SECONDS = 20.0
MOST_SLOW_LAUNCHES = 2
"""So often a launch that takes too long is tried again: the machine may be busy."""
REACH_SECONDS = 8.0
"""A session that is to end and cannot be reached for so long is ended by force."""


class StartLost(AtError):
    """The agent's holder could not be started just now; worth a few more tries, as nothing was said to the agent."""

    code = "start_lost"
    exit_code = TryLater.exit_code

    def __init__(self, error: HolderFailed) -> None:
        super().__init__(str(error), "try again")


async def spawn(parts: Parts, intent: Intent) -> Effect:
    """Start the agent's process in the bead's folder, or find the one that an earlier try started."""
    attempt = int(intent.payload["attempt"])
    bead, agent, facts, before = await parts.ledger.read(
        lambda tx: (
            (b := bead_named(tx, intent.bead_id)),
            (a := agent_named(tx, intent.agent_id)),
            values(tx.facts(b.id)),
            tx.sessions(agent_id=a.id, bead_id=b.id),
        )
    )
    session_id = session_id_for(agent.id, attempt)
    cli = parts.clis.find(agent.cli)
    driver = _driver(cli, [record for record in before if record.id != session_id])
    slot = await slot_for(parts.ledger, str(bead.id), parts.config.general.first_port)
    request = _request(parts, cli, bead, agent, facts, attempt, slot)
    launch = await _launch(driver, request, intent.attempts)
    failpoint("spawn.before-start")
    async with parts.starts.one():
        polite = None if driver.capabilities.exits_on_eof else signal.SIGTERM
        held = await _find_or_start(parts, session_id, launch, polite)
    parts.sessions.expect(session_id)
    failpoint("spawn.after-start")
    record = SessionRecord(
        id=session_id,
        agent_id=agent.id,
        bead_id=bead.id,
        cli=cli.name,
        attempt=attempt,
        launch={
            "argv": list(launch.argv),
            "cwd": launch.cwd,
            "transport": launch.transport.value,
            "program": causes.program(cli.binary(launch.env), launch.env),
            "oom_kills": causes.oom_kills(),
            "boot": parts.ledger.worlds.clock.awake().boot,
        },
        driver_state=driver.state.values,
        started_at=parts.ledger.worlds.clock.now(),
    )
    note = functools.partial(
        note_start,
        writes=driver.open(),
        awake=parts.ledger.worlds.clock.awake(),
        record=record,
        pid=held.pid if isinstance(held, Session) else None,
    )
    return Effect(note, functools.partial(parts.sessions.adopt, record))


async def stop(parts: Parts, intent: Intent) -> Effect:
    """End a session politely, then by force; returns once its end is on record."""
    session_id = intent.payload["session"]
    while True:
        reached = False
        with anyio.move_on_after(REACH_SECONDS):
            live = await parts.sessions.held(session_id)
            reached = True
        if not reached:
            await parts.sessions.end_by_force(session_id)
            continue
        if live is None:
            return Effect()
        try:
            await live.session.stop(STOP_GRACE_SECONDS)
        except HolderSilent:
            if not intent.attempts:
                raise  # it may only be slow: once more
            await parts.sessions.end_by_force(session_id)
        except (SessionOver, RequestRefused):
            pass  # it went by itself meanwhile
        await live.over.wait()


async def _launch(driver: Driver, request: LaunchRequest, attempts: int) -> Launch:
    """How to start it. The driver reads the CLI's own settings and record, which may be large or strange."""
    try:
        with anyio.fail_after(LAUNCH_SECONDS):
            return await anyio.to_thread.run_sync(driver.launch, request, abandon_on_cancel=True)
    except TimeoutError:
        slow = f"its own settings and record could not be read within {LAUNCH_SECONDS:.0f} s"
        if attempts < MOST_SLOW_LAUNCHES:
            raise TryLater(slow) from None
        raise Refused(slow, "at doctor") from None


def _driver(cli: Cli, before: Sequence[SessionRecord]) -> Driver:
    """A driver that knows what was counted in the processes before this one."""
    kept = dict(before[-1].driver_state) if before and before[-1].cli == cli.name else {}
    return cli.driver(DriverState(kept))


def session_number(order: Mapping[str, Any]) -> tuple[int, ...]:
    """What tells a bead's sessions apart in which it was begun anew."""
    return (int(order["session"]),) if order.get("session") else ()


def _request(
    parts: Parts, cli: Cli, bead: Bead, agent: Agent, facts: Mapping[str, Any], attempt: int, slot: int
) -> LaunchRequest:
    order, folder = facts.get(BeadFact.ORDER) or {}, facts[BeadFact.FOLDER]
    named = (facts.get(BeadFact.SESSION) or {}).get("id")
    settings = cli.settings
    private = parts.home.private / str(agent.id)
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    marks = {
        "AT_BEAD": str(bead.id),
        "AT_AGENT": agent.name,
        **slot_marks(slot, parts.config.general.first_port),
    }
    return LaunchRequest(
        agent_id=str(agent.id),
        binary=settings.binary,
        args=tuple(settings.args),
        cwd=folder["path"],
        env=environments.of_process(parts.home, agent.id, Path(folder["path"]), marks),
        private_dir=str(private),
        allow=Allow(order.get("allow") or settings.allow),
        model=order.get("model"),
        session_id=named or str(derived_id(agent.id, bead.id, "session", *session_number(order))),
        resume=named is not None,
        attempt=attempt,
        instructions=prompts.instructions(
            folder["branch"], folder["target"], folder.get("adopted_from"), folder.get("begun_in")
        ),
    )


async def _find_or_start(
    parts: Parts, session_id: str, launch: Launch, polite: int | None
) -> Session | EndedSession:
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    try:
        held = await open_session(session_id, **folders)
    except FileNotFoundError:
        pass
    else:
        if isinstance(held, Session) or held.complete or held.exit is not None or any(held.records()):
            return held
        shutil.rmtree(held.journal, ignore_errors=True)  # its starter died before the agent ran
    spec = SessionSpec(session_id, launch.argv, launch.env, launch.cwd, launch.transport, polite=polite)
    try:
        return await start_session(spec, **folders)
    except HolderFailed as error:
        if is_of_the_moment(error):
            raise StartLost(error) from error
        raise


def note_start(
    change: Change, awake: Awake, record: SessionRecord, pid: int | None, writes: Sequence[Write] = ()
) -> None:
    """A process of the agent is held; one that nothing is left to do for is ended. `writes` begin its protocol."""
    agent = change.tx.agent(record.agent_id)
    bead = change.tx.bead(record.bead_id) if record.bead_id else None
    if agent is None or change.tx.session(record.id) is not None:
        return
    change.tx.add_session(record)
    for write in writes:
        change.intend(write_of(record.id, write), record.bead_id, agent.id)
    if bead is None and record.bead_id is not None:  # it was removed while this came up
        change.intend(stop_session(record.id, "its bead is removed"), record.bead_id, agent.id)
    process = {
        "state": "running",
        "session": record.id,
        "pid": pid,
        "attempt": record.attempt,
        "bead": str(record.bead_id),
    }
    change.put(agent.id, AgentFact.PROCESS, process, "holder")
    sign = {"awake": awake.seconds, "boot": awake.boot, "session": record.id}
    change.put(agent.id, AgentFact.SIGN_OF_LIFE, sign, "holder")
    change.tell(EventType.AGENT_STARTED, bead, agent, session=record.id, pid=pid, attempt=record.attempt)
