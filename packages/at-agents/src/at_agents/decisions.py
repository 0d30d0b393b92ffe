"""What a decision looks at and what it may ask for.

Every reconciler is a pure function of a `World` (what was decided and observed about one bead and its agent, and the
time) and gives actions. It is level-triggered: it may be called at any moment, any number of times, and asks for what
is missing and nothing else. Intents and messages carry keys made from what they are for, so asking twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from at_core.types import (
    Agent,
    Ask,
    Bead,
    BeadStatus,
    GateResult,
    Intent,
    IntentState,
    Message,
    MessageKind,
    SessionRecord,
)
from at_core.vocabulary import AgentFact, BeadFact, EventType


class IntentKind(StrEnum):
    """Acts on the world outside the store."""

    PREPARE = "prepare"
    READ_COMMANDS = "read_commands"
    COMMAND = "command"
    SPAWN = "spawn"
    SEND = "send"
    ANSWER = "answer"
    WRITE = "write"
    STOP = "stop"
    COLLECT = "collect"
    GATE = "gate"
    FORECAST = "forecast"
    ASSEMBLE = "assemble"
    LAND = "land"
    REMOVE = "remove"
    RESTORE = "restore"
    PRICE = "price"
    NOTIFY = "notify"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Do:
    """Put an intent on record; one that has the same key, in whatever state, is left as it is."""

    key: str
    kind: IntentKind
    payload: Mapping[str, Any] = field(default_factory=dict)
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """Take the bead to another status, for a reason that is kept."""

    to: BeadStatus
    event: EventType
    kind: str = ""
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """Queue text for the agent; the id is derived from its cause, so it is queued once."""

    id: UUID
    kind: MessageKind
    body: str


@dataclass(frozen=True, slots=True)
class Put:
    """Keep a fact about the bead or the agent; a value of None forgets it."""

    name: BeadFact | AgentFact
    value: Any
    source: str = "daemon"


@dataclass(frozen=True, slots=True)
class Tell:
    """Write an event to the audit log."""

    event: EventType
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Look again at this moment."""

    at: datetime


Action = Do | Transition | QueueMessage | Put | Tell | WakeAt


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds within which decisions are made; seconds are awake seconds unless said otherwise."""

    max_crashes: int = 3
    max_rounds: int = 3
    crash_backoff_seconds: tuple[float, ...] = (1.0, 4.0, 10.0)
    silence_seconds: float = 600.0
    start_seconds: float = 120.0
    """Without a sign of life between a process's start and its first prompt."""
    limit_retry_seconds: float = 900.0
    api_patience_seconds: float = 120.0
    api_answer_seconds: float = 40.0
    """After a call was due again: no further error within this is taken for an answer that takes its time."""
    keeps_failed_prompts: bool = True
    """Whether the agent's CLI still knows a prompt whose turn ended with an error."""
    trouble_backoff_seconds: tuple[float, ...] = (2.0, 10.0)
    """Before each further turn after one that an error of the endpoint broke off; there are no more than these."""
    gate_output_characters: int = 6000
    hibernate_seconds: float = 0.0
    """After so long without anything to do an agent's process is ended; 0 is never."""
    resumes: bool = True
    """Whether the agent's CLI can be given a session of before."""


@dataclass(frozen=True, slots=True)
class Awake:
    """A reading of the clock that stands still while the machine sleeps: seconds since boot, and which boot."""

    seconds: float
    boot: str


class Scope(StrEnum):
    """What a budget is for: one bead in all, everything in a day, or one CLI in a day."""

    BEAD = "bead"
    DAY = "day"
    CLI = "cli"


class Unit(StrEnum):
    """What a budget counts."""

    USD = "usd"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit that the bead's next turn has to stay within, with what counts against it.

    `under_way` is what turns of other beads that have begun are expected to cost, `expected` the same of the next one.
    A day's budget begins anew at `passes_at`. With `pricing`, tokens count against it whose price is being looked up.
    """

    scope: Scope
    unit: Unit
    limit: float
    spent: float = 0.0
    under_way: float = 0.0
    expected: float = 0.0
    cli: str = ""
    passes_at: datetime | None = None
    pricing: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a bead may not begin yet, as a sentence, and the ids of the beads that have to land first.

    With `hint` only a person can have it go on: that command.
    """

    reason: str
    beads: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """Whether one more agent may be started: it may if `full` is empty, which else says why not.

    `spare`: whose session may be ended to make room. `look_again`: when to look, where no fact will tell of room.
    """

    full: str = ""
    spare: str | None = None
    look_again: datetime | None = None


@dataclass(frozen=True, slots=True)
class World:
    """All that may be looked at to decide about one bead. Fact values are by name; `messages` are in order of age.

    `room` is that for a process of its agent, `busy_elsewhere` says whether the agent is at work on another bead, `being_removed` whether its removal is under way, `waits_for` why it may not begin yet, `review_waits` why nobody is asked to review it yet. `budgets` are given where a turn may be about to begin.
    """

    bead: Bead
    facts: Mapping[str, Any]
    now: datetime
    awake: Awake
    agent: Agent | None = None
    agent_facts: Mapping[str, Any] = field(default_factory=dict)
    session: SessionRecord | None = None
    messages: tuple[Message, ...] = ()
    asks: tuple[Ask, ...] = ()
    intent: Callable[[str], Intent | None] = lambda key: None
    gates: Callable[[str], Mapping[tuple[str, str], GateResult]] = lambda tree: {}
    room: Room = field(default_factory=Room)
    busy_elsewhere: bool = False
    being_removed: bool = False
    waits_for: Waiting | None = None
    review_waits: Waiting | None = None
    budgets: tuple[Budget, ...] = ()
    policy: Policy = field(default_factory=Policy)

    def failure(self, key: str) -> str | None:
        """Why the intent of that key failed for good, if it did."""
        intent = self.intent(key)
        return (intent.error or "it failed") if intent and intent.state is IntentState.FAILED else None

    @property
    def generation(self) -> int:
        """How often the bead was begun anew."""
        return int((self.facts.get(BeadFact.ORDER) or {}).get("generation", 0))

    @property
    def open_messages(self) -> tuple[Message, ...]:
        """Messages whose delivery is not at its end."""
        return tuple(m for m in self.messages if m.answered_at is None and m.failed is None)

    @property
    def waiting_messages(self) -> tuple[Message, ...]:
        """Messages that are to be sent, in the order in which they are: a word to go on first, then the work itself."""
        waiting = (m for m in self.open_messages if m.sent_at is None)
        first = (MessageKind.GO_ON, MessageKind.PROMPT)
        return tuple(sorted(waiting, key=lambda m: first.index(m.kind) if m.kind in first else len(first)))

    @property
    def speaking(self) -> bool:
        """Whether a turn runs, or what may begin one is on its way."""
        return self.turn.get("state") == "working" or any(m.sent_at for m in self.open_messages)

    @property
    def told_to_go_on(self) -> bool:
        """Whether a word to go on waits or is on its way."""
        return any(m.kind is MessageKind.GO_ON for m in self.open_messages)

    @property
    def process(self) -> Mapping[str, Any]:
        """What is known of the agent's process; empty before its first start."""
        return self.agent_facts.get(AgentFact.PROCESS) or {}

    @property
    def login(self) -> Mapping[str, Any] | None:
        """The refused login that this bead stands still for; another bead of the agent may have met it."""
        refused: Mapping[str, Any] | None = self.agent_facts.get(AgentFact.LOGIN)
        ended_by_it = (self.facts.get(BeadFact.OUTCOME) or {}).get("kind") == "login"
        return refused if ended_by_it or self.bead.status is BeadStatus.SLUNG else None

    @property
    def lost_prompt(self) -> str:
        """What the last turn was about, where the CLI does not keep that after an error; else nothing."""
        if self.policy.keeps_failed_prompts or self.turn.get("outcome") != "failed":
            return ""
        taken = [m.body for m in self.messages if m.accepted_at and m.kind is not MessageKind.GO_ON]
        return taken[-1] if taken else ""

    @property
    def running(self) -> bool:
        """Whether a process of the agent is held."""
        return self.process.get("state") == "running" and self.process.get("bead") == str(self.bead.id)

    @property
    def parked(self) -> Mapping[str, Any] | None:
        """The budget that keeps its next turn from beginning, while it is at work."""
        return self.facts.get(BeadFact.PARKED) if self.bead.status is BeadStatus.SLUNG else None

    @property
    def elsewhere(self) -> str | None:
        """The session of a process that the agent runs for another bead."""
        here = self.process.get("bead") == str(self.bead.id)
        return self.process["session"] if self.process.get("state") == "running" and not here else None

    @property
    def turn(self) -> Mapping[str, Any]:
        """The agent's newest turn, if it was about this bead; empty before its first."""
        newest: Mapping[str, Any] = self.agent_facts.get(AgentFact.TURN) or {}
        return newest if newest.get("bead") in (None, str(self.bead.id)) else {}

    @property
    def limit(self) -> Mapping[str, Any] | None:
        """The usage limit that the agent has met, if a turn of this bead met it."""
        met: Mapping[str, Any] | None = self.agent_facts.get(AgentFact.LIMIT)
        return met if met and met.get("bead") in (None, str(self.bead.id)) else None

    @property
    def broken_turn(self) -> bool:
        """Whether the newest turn failed and nothing was made of that yet."""
        turn = self.turn
        failed = turn.get("state") == "ended" and turn.get("outcome") == "failed"
        return failed and not turn.get("dealt_with")


def derived_id(*parts: object) -> UUID:
    """An id that is the same whenever it is made for the same cause."""
    return uuid5(NAMESPACE_OID, ":".join(str(part) for part in parts))
