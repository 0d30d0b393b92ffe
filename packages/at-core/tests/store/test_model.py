"""The store against plain dicts: any order of commands, checked after each."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from at_core.errors import Conflict, Duplicate, NotFound, TransitionRefused
from at_core.store import Store
from at_core.types import (
    Agent,
    AgentRole,
    AgentStatus,
    Bead,
    BeadStatus,
    CliType,
    Event,
    Fact,
    Intent,
    IntentState,
    Lane,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["ada", "bob", "cyd", "día"])


class StoreAndDicts(RuleBasedStateMachine):
    """Each rule does one command on both and compares what it says."""

    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.store = Store.open(None)
        self.beads: dict[UUID, Bead] = {}
        self.agents: dict[str, Agent] = {}
        self.facts: dict[tuple[UUID, str], Fact] = {}
        self.intents: dict[str, Intent] = {}
        self.events: list[Event] = []
        self.now = EPOCH

    def teardown(self) -> None:
        self.store.close()

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def outcome(self, function: Any) -> Any:
        """The result, or the class of the refusal."""
        try:
            return self.store.write_now(function)
        except (Conflict, Duplicate, NotFound, TransitionRefused) as error:
            return type(error)

    @rule(
        target=ids,
        lane=st.sampled_from(Lane),
        priority=st.integers(-3, 3),
        title=NAMES,
        rig=st.none() | NAMES,
    )
    def add_bead(self, lane: Lane, priority: int, title: str, rig: str | None) -> UUID:
        at = self.tick()
        bead = dataclasses.replace(
            Bead.new(title, lane), priority=priority, rig=rig, created_at=at, updated_at=at
        )
        assert self.outcome(lambda tx: tx.add_bead(bead)) is None
        assert self.outcome(lambda tx: tx.add_bead(bead)) is Duplicate
        self.beads[bead.id] = bead
        return bead.id

    @rule(id=ids, to=st.sampled_from(BeadStatus), agent=st.none() | st.uuids())
    def move_bead(self, id: UUID, to: BeadStatus, agent: UUID | None) -> None:
        at = self.tick()
        got = self.outcome(lambda tx: tx.move_bead(id, to, at, agent_id=agent))
        bead = self.beads.get(id)
        if bead is None:
            assert got is NotFound
        elif not bead.status.can_transition_to(to):
            assert got is TransitionRefused
        else:
            slung = (bead.slung_at or at) if to is BeadStatus.SLUNG else bead.slung_at
            moved: dict[BeadStatus, dict[str, Any]] = {
                BeadStatus.BACKLOG: {"hooked_at": None, "slung_at": None, "done_at": None},
                BeadStatus.HOOKED: {"hooked_at": at},
                BeadStatus.SLUNG: {"slung_at": slung},
                BeadStatus.DONE: {"done_at": at},
            }
            changes: dict[str, Any] = {"agent_id": agent, **moved.get(to, {})}
            wanted = dataclasses.replace(
                bead, status=to, updated_at=at, revision=bead.revision + 1, **changes
            )
            assert got == wanted
            self.beads[id] = wanted

    @rule(id=ids, title=NAMES, stale=st.booleans())
    def save_bead(self, id: UUID, title: str, stale: bool) -> None:
        bead = self.beads.get(id)
        if bead is None:
            return
        given = dataclasses.replace(
            bead, title=title, metadata={"t": title}, revision=bead.revision - 1 if stale else bead.revision
        )
        got = self.outcome(lambda tx: tx.save_bead(given))
        if stale:
            assert got is Conflict
        else:
            self.beads[id] = dataclasses.replace(given, revision=bead.revision + 1)
            assert got == self.beads[id]

    @rule(id=ids)
    def remove_bead(self, id: UUID) -> None:
        got = self.outcome(lambda tx: tx.remove_bead(id))
        assert got is (None if self.beads.pop(id, None) else NotFound)

    @rule(name=NAMES, status=st.sampled_from(AgentStatus))
    def put_agent(self, name: str, status: AgentStatus) -> None:
        known = self.agents.get(name)
        if known is None:
            agent = Agent.new(name, AgentRole.POLECAT, CliType.DEMO)
            assert self.outcome(lambda tx: tx.add_agent(agent)) is None
            self.agents[name] = agent
        else:
            given = dataclasses.replace(known, status=status)
            self.agents[name] = dataclasses.replace(given, revision=known.revision + 1)
            assert self.outcome(lambda tx: tx.save_agent(given)) == self.agents[name]
            assert self.outcome(lambda tx: tx.save_agent(given)) is Conflict
            other = Agent.new(name, AgentRole.CREW, CliType.CLAUDE)
            assert self.outcome(lambda tx: tx.add_agent(other)) is Duplicate

    @rule(id=ids, name=NAMES, value=st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2))
    def put_fact(self, id: UUID, name: str, value: Any) -> None:
        fact = Fact(subject=id, name=name, value=value, source="test", at=self.tick())
        self.store.write_now(lambda tx: tx.put_fact(fact))
        self.facts[id, name] = fact

    @rule(id=ids, name=NAMES)
    def drop_fact(self, id: UUID, name: str) -> None:
        self.store.write_now(lambda tx: tx.drop_fact(id, name))
        self.facts.pop((id, name), None)

    @rule(id=ids, kind=NAMES)
    def append(self, id: UUID, kind: str) -> None:
        event = Event(
            id=uuid4(), event_type=kind, bead_id=id, created_at=self.tick(), payload={"n": len(self.events)}
        )
        seq = self.store.write_now(lambda tx: tx.append(event))
        assert seq == len(self.events) + 1
        self.events.append(dataclasses.replace(event, seq=seq))

    @rule(key=NAMES)
    def open_intent(self, key: str) -> None:
        intent = Intent(key=key, kind="spawn", created_at=self.tick())
        assert self.store.write_now(lambda tx: tx.open_intent(intent)) is (key not in self.intents)
        self.intents.setdefault(key, intent)

    @rule(key=NAMES, how=st.sampled_from(["finish", "fail", "cancel", "delay"]))
    def end_intent(self, key: str, how: str) -> None:
        at = self.tick()
        known = self.intents.get(key)
        is_open = known is not None and known.state is IntentState.OPEN
        calls: dict[str, Any] = {
            "finish": lambda tx: tx.finish_intent(key, at),
            "fail": lambda tx: tx.fail_intent(key, "why", at),
            "cancel": lambda tx: tx.cancel_intent(key, at, "why"),
            "delay": lambda tx: tx.delay_intent(key, at, "why"),
        }
        assert self.store.write_now(calls[how]) is is_open
        if known is None or not is_open:
            return
        if how == "delay":
            changes: dict[str, Any] = {"attempts": known.attempts + 1, "not_before": at, "error": "why"}
        else:
            states = {"finish": IntentState.DONE, "fail": IntentState.FAILED, "cancel": IntentState.CANCELLED}
            changes = {"state": states[how], "finished_at": at, "error": None if how == "finish" else "why"}
        self.intents[key] = dataclasses.replace(known, **changes)

    @invariant()
    def both_say_the_same(self) -> None:
        tx_says = self.store.read_now(
            lambda tx: (
                tx.beads(),
                tx.agents(),
                tx.facts_of(self.beads),
                tx.events(limit=None),
                tx.open_intents(),
                tx.counts(),
            )
        )
        ordered = sorted(self.beads.values(), key=lambda b: (-b.priority, -b.lane.rank, b.created_at))
        facts: dict[UUID, dict[str, Fact]] = {id: {} for id in self.beads}
        for (id, name), fact in self.facts.items():
            if id in facts:
                facts[id][name] = fact
        beads, agents, known, events, intents, counts = tx_says
        assert beads == ordered
        assert agents == [self.agents[name] for name in sorted(self.agents)]
        assert known == facts
        assert events == self.events
        assert intents == [intent for intent in self.intents.values() if intent.state is IntentState.OPEN]
        assert counts.beads == {s: sum(b.status is s for b in ordered) for s in BeadStatus}
        assert counts.agents == {s: sum(a.status is s for a in agents) for s in AgentStatus}

    def page(self, statuses: Any, rig: str | None, size: int, after: UUID | None) -> list[Bead]:
        return self.store.read_now(lambda tx: tx.beads(statuses, rig, size, after))

    @rule(
        statuses=st.sets(st.sampled_from(BeadStatus), max_size=3) | st.sampled_from(BeadStatus) | st.none(),
        rig=st.none() | NAMES,
        size=st.integers(1, 3),
    )
    def pages_put_together_are_the_list(self, statuses: Any, rig: str | None, size: int) -> None:
        whole = self.store.read_now(lambda tx: tx.beads(statuses, rig))
        wanted = (
            set(BeadStatus)
            if statuses is None
            else {statuses}
            if isinstance(statuses, BeadStatus)
            else statuses
        )
        assert {bead.id for bead in whole} == {
            id for id, bead in self.beads.items() if bead.status in wanted and rig in (None, bead.rig)
        }
        pages: list[Bead] = []
        after: UUID | None = None
        while page := self.page(statuses, rig, size, after):
            pages += page
            after = page[-1].id
        assert pages == whole


StoreAndDicts.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestStoreAndDicts = StoreAndDicts.TestCase
