"""What a session was heard to say, put on record: of one session, or of many that talk at the same time."""

from __future__ import annotations

import base64
import copy
import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc

from at_agents.decisions import Awake, Do, IntentKind
from at_core.types import SessionRecord
from at_core.vocabulary import AgentFact, EventType
from at_daemon.ingest import Intake
from at_daemon.ledger import Change, Ledger
from at_session.journal import ExitStatus
from at_session.session import Session
from at_session.vocabulary import Driver, DriverEvent, DriverState, Unparsed, Write

log = logging.getLogger(__name__)
WORDS_SECONDS = 0.5
"""Words of an agent are on record at the latest so long after they were said."""
MOST_SECONDS = 10.0
"""Words that could not be put on record are tried again ever more rarely, and so often at the least."""
GOES_ON_SECONDS = 10.0
"""Words of one who was heard so short a time ago change nothing that is decided."""


@dataclass(slots=True, eq=False)
class Live:
    """One followed session with the driver that understands it."""

    record: SessionRecord
    session: Session
    driver: Driver
    offset: int
    """Up to here what the bytes meant is on record."""
    fed: int = 0
    """Up to here the driver knows them."""
    trimmed: int = 0
    taken_at: float = 0.0
    held: list[DriverEvent] = field(default_factory=list)
    """Words that are fed and not on record: they go there with what comes next, or soon."""
    exit: ExitStatus | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    """Held around what changes the driver's state and may be interleaved with other tasks."""
    reading: anyio.CancelScope | None = None
    """Cancelled for it to be followed anew, from what is on record."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """It is followed no longer: its end is on record, or it was set aside and will be followed again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the bytes of a session up to `offset` meant, and what its driver knows then.

    `after` is where the record must stand for this to be taken in; None: wherever it stands.
    """

    record: SessionRecord
    events: Sequence[DriverEvent]
    state: DriverState
    offset: int
    writes: Sequence[Write] = ()
    gaps: Sequence[tuple[int, int]] = ()
    after: int | None = None


class OutOfStep(Exception):
    """A session's record stands elsewhere than where its words go on from: it is to be read again from there."""

    def __init__(self, session: str) -> None:
        super().__init__(f"what is on record of {session} is not what its words go on from")


async def take_in(
    ledger: Ledger, heard: Sequence[Heard], taken: Callable[[Heard], None] = lambda each: None
) -> None:
    """Put it on record in one transaction; what stumbles there is told as such, and keeps nothing else from it.

    `taken` is called with each that is on record, right after the commit; not with one whose record stands elsewhere.
    Raises what went wrong last, once all others are on record.
    """

    def note(change: Change) -> list[Heard]:
        awake = ledger.worlds.clock.awake()
        return [each for each in heard if _note(change, each, awake)]

    try:
        done = await ledger.record(note)
    except Exception as error:  # whatever an agent says must not end the daemon
        if len(heard) > 1:
            await _one_by_one(ledger, heard, taken)
            return
        (one,) = heard
        log.exception("what %s said could not be taken in", one.record.id)
        stumbled = dataclasses.replace(one, events=[Unparsed(f"{type(error).__name__}: {error}"[:500])])
        noted = await ledger.record(lambda change: _note(change, stumbled, ledger.worlds.clock.awake()))
        done = [one] if noted else []
    for each in done:
        taken(each)


async def _one_by_one(ledger: Ledger, heard: Sequence[Heard], taken: Callable[[Heard], None]) -> None:
    failure: Exception | None = None
    for each in heard:
        try:
            await take_in(ledger, [each], taken)
        except Exception as error:  # noqa: BLE001 - raised once the others are on record
            failure = error
    if failure is not None:
        raise failure


class Words:
    """Words that wait to be put on record: a stream of them costs as many commits as there are such whiles in it, and
    many agents that talk at once cost one.

    `follows` tells whether a session is still followed: only then what is held of it is still to be taken in.
    """

    def __init__(self, ledger: Ledger, follows: Callable[[Live], bool]) -> None:
        self._ledger = ledger
        self._follows = follows
        self._talking: list[Live] = []
        self._under_way = False

    def hold(self, live: Live, tasks: anyio.abc.TaskGroup) -> None:
        """Put on record soon what is held of this session, unless something else does so before."""
        if live not in self._talking:
            self._talking.append(live)
        if not self._under_way:
            self._under_way = True
            tasks.start_soon(self._later)

    async def _later(self) -> None:
        """One at a time: a commit that takes long has more words wait, and not more commits."""
        wait = WORDS_SECONDS
        try:
            while self._talking:
                await anyio.sleep(wait)
                try:
                    await self._put_on_record()
                    wait = WORDS_SECONDS
                except Exception:  # they are held still
                    wait = min(2 * wait, MOST_SECONDS)
                    log.exception("words could not be put on record; they are tried again in %.0f s", wait)
        finally:
            self._under_way = False

    async def _put_on_record(self) -> None:
        """All but those whose next words are being taken in at this moment, which takes what is held along."""
        locked: list[Live] = []
        try:
            for live in list(self._talking):
                try:
                    live.lock.acquire_nowait()
                except anyio.WouldBlock:
                    continue
                locked.append(live)
                self._talking.remove(live)
            await release(self._ledger, [live for live in locked if self._follows(live)])
        finally:
            for live in locked:
                live.lock.release()
                if live.fed > live.offset and self._follows(live) and live not in self._talking:
                    self._talking.append(live)


async def release(ledger: Ledger, lives: Sequence[Live]) -> None:
    """Put on record what is held of these sessions, and how far their drivers know them. Their locks are held.

    One whose record stands elsewhere is read again from there. Raises `OutOfStep` then.
    """
    holding = [live for live in lives if live.fed > live.offset]
    if not holding:
        return
    by_id = {live.record.id: live for live in holding}

    def taken(each: Heard) -> None:
        live = by_id[each.record.id]
        live.held.clear()
        live.offset, live.taken_at = each.offset, ledger.worlds.clock.awake().seconds

    await take_in(
        ledger,
        [
            Heard(live.record, list(live.held), state_of(live.driver), live.fed, after=live.offset)
            for live in holding
        ],
        taken,
    )
    for live in holding:
        if live.offset < live.fed:
            if live.reading is not None:
                live.reading.cancel()
            raise OutOfStep(live.record.id)


def state_of(driver: Driver) -> DriverState:
    """A copy of what the driver knows now."""
    return DriverState(copy.deepcopy(driver.state.values))


def write_of(session_id: str, write: Write) -> Do:
    """The intent that performs a protocol's own write."""
    payload = {"session": session_id, "id": write.id, "data": base64.b64encode(write.data).decode()}
    return Do(f"write:{session_id}:{write.id}", IntentKind.WRITE, payload)


def _note(change: Change, heard: Heard, awake: Awake) -> bool:
    """False if the record stands elsewhere. Of what is on record already, or over, nothing is left to note."""
    record = heard.record
    agent = change.tx.agent(record.agent_id)
    if agent is None:
        return True
    if heard.after is not None:
        known = change.tx.session(record.id)
        if known is None or known.ended_at is not None or known.offset == heard.offset:
            return True
        if known.offset != heard.after:
            return False
    bead = change.tx.bead(record.bead_id) if record.bead_id else None
    change.tx.advance_session(record.id, heard.offset, heard.state.values)
    before = change.fact(agent.id, AgentFact.SIGN_OF_LIFE) or {}
    sign = {"awake": awake.seconds, "boot": awake.boot, "session": record.id}
    change.put(agent.id, AgentFact.SIGN_OF_LIFE, sign, "holder")
    for start, stop in heard.gaps:
        change.tell(
            EventType.LINE_UNPARSED, bead, agent, excerpt=f"{stop - start} bytes are not kept", stream="gap"
        )
    goes_on = (before.get("session"), before.get("boot")) == (record.id, awake.boot) and (
        awake.seconds - before["awake"] < GOES_ON_SECONDS
    )
    Intake(change, record, agent, bead).take(heard.events, goes_on=goes_on)
    for write in heard.writes:
        change.intend(write_of(record.id, write), record.bead_id, agent.id)
    return True
