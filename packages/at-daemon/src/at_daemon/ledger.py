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

from at_agents.attention import settled
from at_agents.decisions import Action, Do, Put, QueueMessage, Tell, Transition, WakeAt, World
from at_agents.dependencies import in_order
from at_agents.interruptions import PERSONS
from at_agents.label import label
from at_agents.landing import merged_gate_failed
from at_agents.landing_queue import Block, DoFor, GateFailed, Keep, Line, Queue, Step, reconcile_queue
from at_agents.reconcile import reconcile
from at_core.errors import NoSpaceLeft
from at_core.store import Store, Tx
from at_core.types import Agent, Bead, BeadStatus, Event, Fact, Intent, Message, MessageKind
from at_core.vocabulary import AgentFact, BeadFact, EventType, RigFact
from at_daemon.failpoints import failpoint
from at_daemon.interruptions import note_interruptions
from at_daemon.overlaps import overlaps_of
from at_daemon.queues import lines_of, queues_of
from at_daemon.waiting import IN_PROGRESS
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
    rigs: set[str] = field(default_factory=set)
    acted: str | None = None
    """The first event of this change that a person brought about."""
    notices: bool = False
    """Whether somebody is to be told of needs that arise."""
    settled: dict[UUID, World | None] = field(default_factory=dict)
    """The beads that came to rest in this change, as they are now; None is one that was removed."""

    def touch(self, bead_id: UUID | None) -> None:
        """Have the bead reconciled before this commits."""
        if bead_id is not None:
            self.beads.add(bead_id)

    def touch_queues(self, rig: str | None) -> None:
        """Have the landing queues of the repository reconciled before this commits."""
        if rig is not None:
            self.rigs.add(rig)

    def touch_waiting(self, agent_id: UUID | None = None) -> None:
        """Have every bead at work reconciled (of one agent, or of all): something that they may wait for came free."""
        for bead in self.tx.beads(status={BeadStatus.SLUNG}):
            if agent_id is None or bead.agent_id == agent_id:
                self.beads.add(bead.id)

    def touch_placeless(self) -> None:
        """Have every bead at work reconciled that holds no process: it may wait for the place that came free."""
        held = {record.bead_id for record in self.tx.sessions(live=True)}
        for bead in self.tx.beads(status={BeadStatus.SLUNG}):
            if bead.id not in held:
                self.beads.add(bead.id)

    def touch_resting(self) -> None:
        """Have every bead reconciled whose agent holds a process, at work or not."""
        for record in self.tx.sessions(live=True):
            self.touch(record.bead_id)

    def touch_parked(self) -> None:
        """Have every bead reconciled that waits for money: less may be under way than was expected."""
        for bead in self.tx.beads(status={BeadStatus.SLUNG}):
            if self.fact(bead.id, BeadFact.PARKED) is not None:
                self.beads.add(bead.id)

    def touch_conflicting(self, bead_id: UUID) -> None:
        """Have the beads reconciled that would conflict with this one: their review may have waited for it."""
        bead = self.tx.bead(bead_id)
        if bead is not None:
            self.beads.update(overlaps_of(self.tx, bead.rig).met(bead_id))

    def look_again(self, rig_id: UUID, why: str) -> None:
        """Have every bead in review of one repository look at its target anew."""
        for bead in self.tx.beads(status={BeadStatus.REVIEW}, rig=str(rig_id)):
            self.look_at_target(bead, why)

    def look_at_target(self, bead: Bead, why: str) -> None:
        """Make what is known about one bead's target stale; what it waited for stays told until that is known anew."""
        look = self.fact(bead.id, BeadFact.LOOK) or {}
        self.put(bead.id, BeadFact.LOOK, {**look, "number": int(look.get("number", 0)) + 1, "why": why})
        self.touch(bead.id)

    def block(self, bead_id: UUID, head: str, kind: str, reason: str) -> bool:
        """Note what keeps a bead in review from landing this head; False if it is about something else by now."""
        bead = self.tx.bead(bead_id)
        if bead is None or bead.status is not BeadStatus.REVIEW:
            return False
        if (self.fact(bead_id, BeadFact.BRANCH) or {}).get("head") != head:
            return False
        look = int((self.fact(bead_id, BeadFact.LOOK) or {}).get("number", 0))
        blocked = {"kind": kind, "reason": reason, "hint": f"at land {str(bead_id)[:8]}", "look": look}
        before = self.fact(bead_id, BeadFact.BLOCKED) or {}
        self.put(bead_id, BeadFact.BLOCKED, blocked)
        if (before.get("kind"), before.get("reason")) != (kind, reason):
            self.tell(EventType.BEAD_BLOCKED, bead, said=blocked)
        self.touch(bead_id)
        return True

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
        if actor in PERSONS and self.acted is None:
            self.acted = event.value
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

    def put(
        self, subject: UUID, name: BeadFact | AgentFact | RigFact, value: Any, source: str = "daemon"
    ) -> None:
        """Keep the newest observation of one kind; None forgets it."""
        if value is None:
            self.tx.drop_fact(subject, name.value)
        else:
            self.tx.put_fact(Fact(subject=subject, name=name.value, value=value, source=source, at=self.now))

    def fact(self, subject: UUID, name: BeadFact | AgentFact | RigFact) -> Any:
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

    def say(self, bead: Bead, identity: UUID, kind: MessageKind, body: str, *, actor: str = "daemon") -> bool:
        """Queue a message for the bead's agent, once per id; False when it was there."""
        if bead.agent_id is None or self.tx.message(identity) is not None:
            return False
        message = Message(
            id=identity, agent_id=bead.agent_id, bead_id=bead.id, kind=kind, body=body, created_at=self.now
        )
        self.tx.add_message(message)
        said = {"message": str(identity), "kind": kind.value, "characters": len(body)}
        self.tell(EventType.MESSAGE_QUEUED, bead, actor=actor, said=said)
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
        self.put(bead.id, BeadFact.BLOCKED, None)
        self.tell(event, moved, actor=actor, status=to.value, before=bead.status.value, reason=reason or None)
        self.touch(bead.id)
        if bead.status is BeadStatus.REVIEW:
            self.touch_queues(bead.rig)  # it may have been ready
            self.touch_conflicting(bead.id)
        if bead.status in IN_PROGRESS and to not in IN_PROGRESS:
            self.touch_waiting()  # some may have waited for this one, or for its place
        elif bead.status is BeadStatus.SLUNG and bead.agent_id is not None:
            self.touch_waiting(bead.agent_id)  # another bead of its agent may have its turn now
        if bead.status is BeadStatus.SLUNG and to is BeadStatus.REVIEW:
            self.touch_placeless()  # who only waits for a review may be ended for its place
        return moved


class Ledger:
    """The store with its decisions. `on_intents` is called after a commit that opened intents, `on_wakes` with moments
    at which to look again."""

    def __init__(self, store: Store, worlds: Worlds) -> None:
        self.store = store
        self.worlds = worlds
        self.on_intents: Callable[[], None] = lambda: None
        self.on_wakes: Callable[[list[datetime]], None] = lambda wakes: None
        self.notices: Callable[[], bool] = lambda: False

    async def change(self, fn: Callable[[Change], T]) -> T:
        """Run `fn` and what follows from it in one transaction. `fn` may run twice and must do nothing else."""

        def run(tx: Tx) -> tuple[T, Change]:
            change = Change(tx, self.worlds.clock.now(), notices=self.notices())
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
                self._settle_queues(change)
            if not change.beads and not change.rigs:
                for bead_id, world in sorted(change.settled.items()):
                    note_interruptions(change, bead_id, world)
                    _note_settled(change, world)
                return
            touched, change.beads = change.beads, set()
            change.settled |= dict.fromkeys(touched)
            for bead in in_order(found for each in touched if (found := change.tx.bead(each))):
                self._settle_one(change, bead.id)
        unsettled = sorted([*map(str, change.beads), *change.rigs])
        raise RuntimeError(f"decisions about {unsettled} do not come to rest")

    def _settle_one(self, change: Change, bead_id: UUID) -> None:
        bead = change.tx.bead(bead_id)
        if bead is None:
            change.settled[bead_id] = None
            return
        if bead.status is BeadStatus.REVIEW:
            change.touch_queues(bead.rig)
        world = self.worlds.of(change.tx, bead)
        for action in reconcile(world):
            if apply(change, world, action):
                change.touch(bead_id)
        if bead_id not in change.beads:
            change.settled[bead_id] = world
            if world.agent is not None:
                self._project(change, world, world.agent)

    def _settle_queues(self, change: Change) -> None:
        rigs, change.rigs = change.rigs, set()
        for rig in sorted(rigs):
            for queue in queues_of(change.tx, rig, self.worlds.batch()):
                for step in reconcile_queue(queue):
                    self._take_step(change, queue, step)

    def _take_step(self, change: Change, queue: Queue, step: Step) -> None:
        match step:
            case Keep():
                keep_line(change, queue.rig, queue.target_name, step.line)
            case DoFor():
                bead = change.tx.bead(step.bead)
                change.intend(step.do, step.bead, bead.agent_id if bead else None)
            case GateFailed():
                if (bead := change.tx.bead(step.bead)) is not None:
                    world = self.worlds.of(change.tx, bead)
                    for action in merged_gate_failed(world, step.result, queue.target_name):
                        apply(change, world, action)
            case Block():
                change.block(step.bead, step.head, step.kind, step.reason)

    def _project(self, change: Change, world: World, agent: Agent) -> None:
        status = label(world).status
        if agent.status is not status:
            change.tx.save_agent(dataclasses.replace(agent, status=status))


def _note_settled(change: Change, world: World | None) -> None:
    """Tell when nothing more happens to a bead by itself, whatever that came of: who waits for it hears of nothing else."""
    if world is None:
        return
    verdict = settled(world)
    now = {"exit_code": verdict.exit_code} if verdict.settled else None
    if now != world.facts.get(BeadFact.SETTLED):
        change.put(world.bead.id, BeadFact.SETTLED, now)
        if now is not None:
            change.tell(EventType.BEAD_SETTLED, world.bead, said=now)


def keep_line(change: Change, rig: str, target_name: str, line: Line) -> None:
    """Have this on record of one target's queue, and look at it again."""
    lines = change.fact(UUID(rig), RigFact.QUEUES) or {}
    change.put(UUID(rig), RigFact.QUEUES, {**lines, target_name: line.to_json()})
    change.touch_queues(rig)


def let_queues_go_on(change: Change, rig: str | None) -> None:
    """Forget what kept the landing queues of a repository waiting: it is tried again."""
    if rig is None:
        return
    for name, line in lines_of(change.tx, rig).items():
        if line.waits:
            keep_line(change, rig, name, dataclasses.replace(line, waits=""))


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
