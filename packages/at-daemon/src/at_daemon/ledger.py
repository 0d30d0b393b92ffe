"""Every change of the store goes through here: what happened, and in the same transaction what follows from it.

A change marks the beads that it touched. Before the transaction commits, those are reconciled until nothing more is
asked for, so there is never a moment at which a fact is on record and its consequence is not.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import anyio

from at_agents.decisions import Action, Do, Put, QueueMessage, Tell, Transition, WakeAt, World
from at_agents.label import label
from at_agents.reconcile import reconcile
from at_core.errors import NoSpaceLeft
from at_core.store import Store, Tx
from at_core.types import Agent, Bead, BeadStatus, Event, Fact, Intent, Message, MessageKind
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.failpoints import failpoint
from at_daemon.world import Worlds

T = TypeVar("T")
MOST_PASSES = 25
FULL_DISK_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Change:
    """One transaction in the making, with the words in which changes are made."""

    tx: Tx
    now: datetime
    beads: set[UUID] = field(default_factory=set)
    opened: int = 0
    wakes: list[datetime] = field(default_factory=list)

    def touch(self, bead_id: UUID | None) -> None:
        """Have the bead reconciled before this commits."""
        if bead_id is not None:
            self.beads.add(bead_id)

    def touch_waiting(self, agent_id: UUID | None = None) -> None:
        """Have every bead at work reconciled (of one agent, or of all): something that they may wait for came free."""
        for bead in self.tx.beads(status={BeadStatus.SLUNG}):
            if agent_id is None or bead.agent_id == agent_id:
                self.beads.add(bead.id)

    def touch_parked(self) -> None:
        """Have every bead reconciled that waits for money: less may be under way than was expected."""
        for bead in self.tx.beads(status={BeadStatus.SLUNG}):
            if self.fact(bead.id, BeadFact.PARKED) is not None:
                self.beads.add(bead.id)

    def look_again(self, rig_id: UUID, why: str) -> None:
        """Have every bead in review of one repository look at its target anew."""
        for bead in self.tx.beads(status={BeadStatus.REVIEW}, rig=str(rig_id)):
            self.look_at_target(bead, why)

    def look_at_target(self, bead: Bead, why: str) -> None:
        """Make what is known about one bead's target stale, and what it waited for too."""
        look = self.fact(bead.id, BeadFact.LOOK) or {}
        self.put(bead.id, BeadFact.LOOK, {**look, "number": int(look.get("number", 0)) + 1, "why": why})
        self.put(bead.id, BeadFact.BLOCKED, None)
        self.touch(bead.id)

    def tell(
        self,
        event: EventType,
        bead: Bead | None = None,
        agent: Agent | None = None,
        *,
        actor: str = "daemon",
        said: Mapping[str, Any] | None = None,
        **payload: Any,
    ) -> None:
        """Write to the audit log; `said` and further names are the payload."""
        payload = {**(said or {}), **payload}
        rig = bead.rig if bead else agent.rig if agent else None
        self.tx.append(
            Event(
                id=uuid4(),
                event_type=event.value,
                actor=actor,
                bead_id=bead.id if bead else None,
                agent_id=agent.id if agent else bead.agent_id if bead else None,
                rig=rig,
                lane=bead.lane if bead else None,
                payload=payload or None,
                created_at=self.now,
            )
        )

    def put(self, subject: UUID, name: BeadFact | AgentFact, value: Any, source: str = "daemon") -> None:
        """Keep the newest observation of one kind; None forgets it."""
        if value is None:
            self.tx.drop_fact(subject, name.value)
        else:
            self.tx.put_fact(Fact(subject=subject, name=name.value, value=value, source=source, at=self.now))

    def fact(self, subject: UUID, name: BeadFact | AgentFact) -> Any:
        """The newest value, or None."""
        found = self.tx.fact(subject, name.value)
        return found.value if found else None

    def intend(self, do: Do, bead_id: UUID | None, agent_id: UUID | None) -> bool:
        """Put an intent on record; False when it was there."""
        intent = Intent(
            key=do.key,
            kind=do.kind.value,
            bead_id=bead_id,
            agent_id=agent_id,
            payload=dict(do.payload),
            not_before=do.not_before,
            created_at=self.now,
        )
        opened = self.tx.open_intent(intent)
        self.opened += opened
        return opened

    def set_branch(self, bead: Bead, branch: str) -> None:
        """Note the branch that a bead's work is on."""
        self.tx.save_bead(dataclasses.replace(bead, git_branch=branch, updated_at=self.now))

    def say(self, bead: Bead, identity: UUID, kind: MessageKind, body: str) -> bool:
        """Queue a message for the bead's agent, once per id; False when it was there."""
        if bead.agent_id is None or self.tx.message(identity) is not None:
            return False
        message = Message(
            id=identity, agent_id=bead.agent_id, bead_id=bead.id, kind=kind, body=body, created_at=self.now
        )
        self.tx.add_message(message)
        self.tell(
            EventType.MESSAGE_QUEUED, bead, message=str(identity), kind=kind.value, characters=len(body)
        )
        return True

    def move(
        self,
        bead: Bead,
        to: BeadStatus,
        event: EventType,
        *,
        actor: str = "daemon",
        kind: str = "",
        reason: str = "",
        hint: str = "",
        **changes: Any,
    ) -> Bead:
        """Take a bead to another status; a reason becomes its outcome. Raises TransitionRefused."""
        moved = self.tx.move_bead(bead.id, to, self.now, **changes)
        if reason:
            outcome = {"status": to.value, "kind": kind, "reason": reason, "hint": hint}
            self.put(bead.id, BeadFact.OUTCOME, outcome, actor)
        if to is not BeadStatus.REVIEW:
            self.put(bead.id, BeadFact.BLOCKED, None)
        self.tell(event, moved, actor=actor, status=to.value, before=bead.status.value, reason=reason or None)
        self.touch(bead.id)
        if to is BeadStatus.DONE:
            self.touch_waiting()  # some may have waited for this one
        elif bead.status is BeadStatus.SLUNG and bead.agent_id is not None:
            self.touch_waiting(bead.agent_id)  # another bead of its agent may have its turn now
        return moved


class Ledger:
    """The store with its decisions. `on_intents` is called after a commit that opened intents, `on_wakes` with moments
    at which to look again."""

    def __init__(self, store: Store, worlds: Worlds) -> None:
        self.store = store
        self.worlds = worlds
        self.on_intents: Callable[[], None] = lambda: None
        self.on_wakes: Callable[[list[datetime]], None] = lambda wakes: None

    async def change(self, fn: Callable[[Change], T]) -> T:
        """Run `fn` and what follows from it in one transaction. `fn` may run twice and must do nothing else."""

        def run(tx: Tx) -> tuple[T, Change]:
            change = Change(tx, self.worlds.clock.now())
            result = fn(change)
            self._settle(change)
            failpoint("store.before-commit")
            return result, change

        result, change = await self.store.write(run)
        failpoint("store.after-commit")
        if change.opened:
            self.on_intents()
        if change.wakes:
            self.on_wakes(change.wakes)
        return result

    async def record(self, fn: Callable[[Change], T]) -> T:
        """As `change`, for what has happened and cannot be refused: while the disk is full it waits."""
        while True:
            try:
                return await self.change(fn)
            except NoSpaceLeft as error:
                log.warning("%s", error)
                await anyio.sleep(FULL_DISK_SECONDS)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Read what is committed."""
        return await self.store.read(fn)

    def _settle(self, change: Change) -> None:
        for _ in range(MOST_PASSES):
            if not change.beads:
                return
            bead_ids, change.beads = change.beads, set()
            for bead_id in sorted(bead_ids):
                self._settle_one(change, bead_id)
        raise RuntimeError(f"decisions about {sorted(map(str, change.beads))} do not come to rest")

    def _settle_one(self, change: Change, bead_id: UUID) -> None:
        bead = change.tx.bead(bead_id)
        if bead is None:
            return
        world = self.worlds.of(change.tx, bead)
        for action in reconcile(world):
            if apply(change, world, action):
                change.touch(bead_id)
        if bead_id not in change.beads and world.agent is not None:
            self._project(change, world, world.agent)

    def _project(self, change: Change, world: World, agent: Agent) -> None:
        status = label(world).status
        if agent.status is not status:
            change.tx.save_agent(dataclasses.replace(agent, status=status))


def apply(change: Change, world: World, action: Action) -> bool:
    """Carry out one action inside the transaction. True when the bead has to be looked at again because of it."""
    bead = world.bead
    match action:
        case Do():
            change.intend(action, bead.id, bead.agent_id)
            return False
        case Transition():
            change.move(
                bead, action.to, action.event, kind=action.kind, reason=action.reason, hint=action.hint
            )
            return True
        case QueueMessage():
            return change.say(bead, action.id, action.kind, action.body)
        case Put():
            subject = bead.agent_id if isinstance(action.name, AgentFact) else bead.id
            if subject is not None:
                change.put(subject, action.name, action.value, action.source)
            return True
        case Tell():
            change.tell(action.event, bead, said=action.payload)
            return False
        case WakeAt():
            change.wakes.append(action.at)
            return False
