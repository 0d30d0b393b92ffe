"""What the store has of one bead, in memory: its facts, messages and intents, and what a decision changes of them.

`Simulation` lets things happen to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from at_agents.budget import fits
from at_agents.decisions import (
    Action,
    Awake,
    Budget,
    Do,
    IntentKind,
    Policy,
    Put,
    QueueMessage,
    Room,
    Scope,
    Transition,
    Unit,
    WakeAt,
    World,
)
from at_core.types import (
    Agent,
    AgentRole,
    Bead,
    BeadStatus,
    CliType,
    GateResult,
    Intent,
    IntentState,
    Message,
    SessionRecord,
)
from at_core.vocabulary import AgentFact, BeadFact

START = datetime(2026, 11, 1, tzinfo=UTC)


class Violation(AssertionError):
    """Something that must never be was."""


class SimulatedStore:
    """One bead, one agent, one target branch.

    `budget` is what the bead may cost, `day_budget` what a day may, of which `others` is used by other beads.
    """

    def __init__(
        self, land: bool | None, policy: Policy | None, budget: float | None, day_budget: float | None
    ) -> None:
        self.now, self.awake_seconds, self.boot = START, 1000.0, "boot"
        self.policy = policy or Policy()
        agent = Agent.new("wren", AgentRole.POLECAT, CliType.DEMO)
        self.agent = dataclasses.replace(agent, id=UUID(int=2))
        self.bead = dataclasses.replace(
            Bead.new("work"), id=UUID(int=1), rig="rig", agent_id=self.agent.id, status=BeadStatus.SLUNG
        )
        self.facts: dict[str, Any] = {BeadFact.ORDER: {"land": land, "generation": 0}}
        self.agent_facts: dict[str, Any] = {}
        self.messages: list[Message] = []
        self.intents: dict[str, Intent] = {}
        self.results: dict[tuple[str, str], GateResult] = {}
        self.wakes: list[datetime] = []
        self.room = True
        self.budget, self.day_budget = budget, day_budget
        self.costs: list[tuple[datetime, float]] = []
        self.others = 0.0
        self.broken_off = False
        """Whether its last turn came to no end of its own, and it was not told to go on since."""

    @property
    def open_intents(self) -> list[str]:
        """Keys of what may be carried out now."""
        return [
            key
            for key, intent in self.intents.items()
            if intent.state is IntentState.OPEN
            and (intent.not_before is None or intent.not_before <= self.now)
        ]

    def world(self) -> World:
        """What the reconcilers look at."""
        process = self.agent_facts.get(AgentFact.PROCESS) or {}
        session = None
        if process:
            session = SessionRecord(
                id=process["session"],
                agent_id=self.agent.id,
                cli="demo",
                attempt=process["attempt"],
                started_at=self.now,
            )
        return World(
            bead=self.bead,
            facts=self.facts,
            now=self.now,
            awake=Awake(self.awake_seconds, self.boot),
            room=Room("" if self.room else "no more may run"),
            agent=self.agent,
            agent_facts=self.agent_facts,
            session=session,
            messages=tuple(self.messages),
            intent=self.intents.get,
            gates=lambda tree: {(r.name, r.command): r for (_, t), r in self.results.items() if t == tree},
            budgets=tuple(self._budgets()),
            policy=self.policy,
        )

    def _budgets(self) -> Iterator[Budget]:
        turns = [cost for _, cost in self.costs]
        expected = sum(turns) / len(turns) if turns else 0.0
        if self.budget is not None:
            yield Budget(Scope.BEAD, Unit.USD, self.budget, sum(turns), 0.0, expected)
        if self.day_budget is not None:
            today = self.now.date()
            spent = sum(cost for at, cost in self.costs if at.date() == today)
            midnight = datetime.combine(today + timedelta(days=1), time.min, UTC)
            yield Budget(Scope.DAY, Unit.USD, self.day_budget, spent, self.others, expected, "", midnight)

    def _apply(self, action: Action) -> bool:
        match action:
            case Do():
                begins = action.kind in (IntentKind.SEND, IntentKind.SPAWN) and action.key not in self.intents
                if begins and not all(map(fits, self._budgets())):
                    raise Violation("a turn begins beyond its budget")
                self.intents.setdefault(
                    action.key,
                    Intent(
                        key=action.key,
                        kind=action.kind.value,
                        bead_id=self.bead.id,
                        payload=dict(action.payload),
                        not_before=action.not_before,
                        created_at=self.now,
                    ),
                )
                return False
            case Transition():
                self.bead.status.require_transition_to(action.to)
                if action.to is BeadStatus.REVIEW and self.broken_off:
                    raise Violation("handed in although a turn was broken off and nobody was told to go on")
                self.bead = dataclasses.replace(self.bead, status=action.to)
                if action.reason:
                    self.facts[BeadFact.OUTCOME] = {"kind": action.kind, "reason": action.reason}
                if action.to is not BeadStatus.REVIEW:
                    self.facts.pop(BeadFact.BLOCKED, None)
                return True
            case QueueMessage():
                self._say(action)
                return True
            case Put():
                facts = self.agent_facts if isinstance(action.name, AgentFact) else self.facts
                if action.value is None:
                    facts.pop(action.name, None)
                else:
                    facts[action.name] = action.value
                return True
            case WakeAt():
                self.wakes.append(action.at)
        return False

    def _say(self, say: QueueMessage) -> None:
        if all(message.id != say.id for message in self.messages):
            self.messages.append(
                Message(
                    id=say.id,
                    agent_id=self.agent.id,
                    bead_id=self.bead.id,
                    kind=say.kind,
                    body=say.body,
                    created_at=self.now,
                )
            )

    def _sent_open(self) -> list[Message]:
        return [m for m in self.messages if m.sent_at and not m.answered_at and not m.failed]

    def _mark(self, identity: UUID, **changes: Any) -> None:
        message = next(m for m in self.messages if m.id == identity)
        fresh = {name: value for name, value in changes.items() if getattr(message, name) is None}
        self._replace(dataclasses.replace(message, **fresh))

    def _replace(self, message: Message) -> None:
        self.messages = [message if m.id == message.id else m for m in self.messages]

    def _sign_of_life(self) -> None:
        session = (self.agent_facts.get(AgentFact.PROCESS) or {}).get("session")
        self.agent_facts[AgentFact.SIGN_OF_LIFE] = {
            "awake": self.awake_seconds,
            "boot": "boot",
            "session": session,
        }

    def _turns(self) -> int:
        return int((self.agent_facts.get(AgentFact.TURN) or {}).get("number", 0))
