"""Carries out the intents on record. After a crash the open ones are what there is to finish.

An act must do no harm when it is carried out twice. It gives an `Effect`: what to note in the transaction that closes
the intent, and what to do once that is committed.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import anyio.abc

from at_agents.decisions import IntentKind
from at_core.errors import AtError, TryLater
from at_core.types import Intent, IntentState
from at_core.vocabulary import EventType
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change, Ledger
from at_session.errors import HolderSilent, SessionError
from at_telemetry.context import bound

log = logging.getLogger(__name__)


def _nothing(change: Change) -> None:
    """Some acts leave no trace of their own."""


async def _no_sequel() -> None:
    """Most acts need none."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an act came to: `note` runs in the closing transaction, `then` after its commit."""

    note: Callable[[Change], None] = _nothing
    then: Callable[[], Awaitable[None]] = _no_sequel


Act = Callable[[Intent], Awaitable[Effect]]
MOST_ATTEMPTS = 5


LONGEST_WAIT = 60.0
LONGEST_WAIT_TO_TIDY = 3600.0


SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT}
"""What the machine lacks now it may have later: no fault of the work, which waits."""
TRIES_UNTIL_TOLD = 4


def _is_scarcity(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in SCARCE


def _may_pass(error: Exception, intent: Intent) -> bool:
    """A ref that moved meanwhile, a git that took too long: worth a few more tries."""
    return getattr(error, "exit_code", None) == TryLater.exit_code and intent.attempts < MOST_ATTEMPTS


def _nobody_waits_for(intent: Intent) -> bool:
    """Clearing up after a landing is tried until it succeeds; a folder that stays for good would be forgotten."""
    return intent.kind == IntentKind.REMOVE and not intent.payload.get("forget")


def _look_at_what_follows(change: Change, intent: Intent) -> None:
    """Of its bead; and of its repository's landing queue, also where the bead is gone or no longer in it."""
    change.touch(intent.bead_id)
    change.touch_queues(intent.payload.get("rig"))


class Executor:
    """One task per open intent; what must not overlap takes its own lock inside the act."""

    def __init__(self, ledger: Ledger, acts: Mapping[IntentKind, Act]) -> None:
        self._ledger = ledger
        self._acts = acts
        self._busy: set[str] = set()
        self._news = anyio.Event()

    def notify(self) -> None:
        """New intents may be on record."""
        self._news.set()

    @property
    def busy(self) -> bool:
        """Whether an act is being carried out."""
        return bool(self._busy)

    async def run(self) -> None:
        """Carry out intents until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._news = anyio.Event()
                due_at = await self._start_due(tasks)
                with anyio.move_on_after(self._seconds_until(due_at)):
                    await self._news.wait()

    def _seconds_until(self, moment: datetime | None) -> float | None:
        if moment is None:
            return None
        return max(0.0, (moment - self._ledger.worlds.clock.now()).total_seconds())

    async def _start_due(self, tasks: anyio.abc.TaskGroup) -> datetime | None:
        later: list[datetime] = []
        now = self._ledger.worlds.clock.now()
        speaking: set[str] = set()
        for intent in await self._ledger.read(lambda tx: tx.open_intents()):
            if intent.kind == IntentKind.WRITE:
                if intent.payload.get("session") in speaking:
                    continue  # a protocol's lines keep their order
                speaking.add(intent.payload.get("session", ""))
            if intent.key in self._busy:
                continue
            if intent.not_before is not None and intent.not_before > now:
                later.append(intent.not_before)
                continue
            self._busy.add(intent.key)
            tasks.start_soon(self._execute, intent)
        return min(later, default=None)

    async def _execute(self, intent: Intent) -> None:
        with bound(
            bead_id=str(intent.bead_id) if intent.bead_id else None,
            agent_id=str(intent.agent_id) if intent.agent_id else None,
            intent_id=intent.key,
        ):
            began = self._ledger.worlds.clock.awake().seconds
            try:
                failpoint("intent.before-act")
                effect = await self._acts[IntentKind(intent.kind)](intent)
                failpoint("intent.after-act")
                await self._close(intent, effect)
            except (TryLater, HolderSilent) as error:
                await self._later(intent, str(error))
            except (AtError, SessionError, OSError, ValueError) as error:
                if _is_scarcity(error) or _may_pass(error, intent) or _nobody_waits_for(intent):
                    await self._later(intent, str(error))
                else:
                    log.warning("%s failed: %s", intent.key, error)
                    await self._failed(intent, str(error))
            except Exception as error:  # one act's mistake must not end the others
                log.error("%s stumbled", intent.key, exc_info=error)
                await self._failed(intent, f"{type(error).__name__}: {error}")
            else:
                seconds = self._ledger.worlds.clock.awake().seconds - began
                log.info("%s carried out in %.3f s", intent.kind, seconds)
            finally:
                self._busy.discard(intent.key)
                self.notify()

    async def _close(self, intent: Intent, effect: Effect) -> None:
        def close(change: Change) -> None:
            current = change.tx.intent(intent.key)
            if current is None or current.state is not IntentState.OPEN:
                return
            change.tx.finish_intent(intent.key, change.now)
            effect.note(change)
            _look_at_what_follows(change, intent)

        await self._ledger.record(close)
        await effect.then()

    async def _failed(self, intent: Intent, reason: str) -> None:
        def fail(change: Change) -> None:
            if not change.tx.fail_intent(intent.key, reason, change.now):
                return  # it was carried out and noted, and what comes after went wrong
            bead = change.tx.bead(intent.bead_id) if intent.bead_id else None
            change.tell(EventType.INTENT_FAILED, bead, intent=intent.key, reason=reason)
            _look_at_what_follows(change, intent)

        await self._ledger.record(fail)

    async def _later(self, intent: Intent, reason: str) -> None:
        if intent.attempts >= TRIES_UNTIL_TOLD:
            log.warning("%s was tried %d times and waits: %s", intent.key, intent.attempts + 1, reason)
        longest = LONGEST_WAIT_TO_TIDY if intent.kind == IntentKind.REMOVE else LONGEST_WAIT
        wait = timedelta(seconds=min(longest, 2.0 ** min(intent.attempts, 12)))

        def delay(change: Change) -> None:
            if not change.tx.delay_intent(intent.key, change.now + wait, reason):
                return
            bead = change.tx.bead(intent.bead_id) if intent.bead_id else None
            if intent.attempts == 0:
                change.tell(EventType.INTENT_PUT_OFF, bead, intent=intent.key, reason=reason)
            if intent.attempts == TRIES_UNTIL_TOLD and _nobody_waits_for(intent):
                change.tell(EventType.FOLDER_STAYS, bead, reason=reason)

        await self._ledger.record(delay)
