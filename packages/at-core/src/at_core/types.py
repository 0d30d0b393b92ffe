"""The nouns of auto-tundra as frozen standard-library dataclasses, defined once. Importing this is cheap.

Enum values are the words on the wire. `to_json` and `from_json` give and take plain JSON objects: snake_case keys,
times in RFC 3339 UTC, ids as strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import total_ordering
from typing import Any
from uuid import UUID, uuid4

from at_core.errors import TransitionRefused
from at_core.record import Record


class BeadStatus(StrEnum):
    """Where a work item is. Only decisions move it."""

    BACKLOG = "backlog"
    HOOKED = "hooked"
    SLUNG = "slung"
    REVIEW = "review"
    DONE = "done"
    FAILED = "failed"
    ESCALATED = "escalated"

    def can_transition_to(self, other: BeadStatus) -> bool:
        """Whether the contract allows the step from this state to `other`."""
        return other in _TRANSITIONS[self]

    def require_transition_to(self, other: BeadStatus, bead: str = "") -> None:
        """Raise `TransitionRefused`, naming both states and the bead's id, unless the step is allowed."""
        if not self.can_transition_to(other):
            raise TransitionRefused(self.value, other.value, bead)


_TRANSITIONS: dict[BeadStatus, frozenset[BeadStatus]] = {
    BeadStatus.BACKLOG: frozenset({BeadStatus.HOOKED}),
    BeadStatus.HOOKED: frozenset({BeadStatus.SLUNG, BeadStatus.BACKLOG}),
    BeadStatus.SLUNG: frozenset({BeadStatus.REVIEW, BeadStatus.FAILED, BeadStatus.ESCALATED}),
    BeadStatus.REVIEW: frozenset({BeadStatus.DONE, BeadStatus.SLUNG, BeadStatus.FAILED}),
    BeadStatus.DONE: frozenset(),
    BeadStatus.FAILED: frozenset({BeadStatus.BACKLOG}),
    BeadStatus.ESCALATED: frozenset({BeadStatus.BACKLOG}),
}


@total_ordering
class Lane(StrEnum):
    """Priority class; `experimental < standard < critical`."""

    EXPERIMENTAL = "experimental"
    STANDARD = "standard"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the lowest lane."""
        return _LANE_ORDER.index(self)

    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Lane) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.rank > other.rank if isinstance(other, Lane) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.rank <= other.rank if isinstance(other, Lane) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.rank >= other.rank if isinstance(other, Lane) else NotImplemented


_LANE_ORDER = (Lane.EXPERIMENTAL, Lane.STANDARD, Lane.CRITICAL)


class AgentRole(StrEnum):
    """What an agent is for."""

    MAYOR = "mayor"
    DEACON = "deacon"
    WITNESS = "witness"
    REFINERY = "refinery"
    POLECAT = "polecat"
    CREW = "crew"


class CliType(StrEnum):
    """Which command-line agent; `demo` is the scripted one that ships with the product, `other` one of a manifest."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    OPEN_CODE = "open_code"
    DEMO = "demo"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> CliType | None:
        return cls.OPEN_CODE if value == "opencode" else None


class AgentStatus(StrEnum):
    """Coarse state of an agent, projected from its facts."""

    ACTIVE = "active"
    IDLE = "idle"
    PENDING = "pending"
    UNKNOWN = "unknown"
    STOPPED = "stopped"

    def glyph(self) -> str:
        """The one-character sign of the lists."""
        return _GLYPHS[self]


_GLYPHS = {
    AgentStatus.ACTIVE: "@",
    AgentStatus.IDLE: "*",
    AgentStatus.PENDING: "!",
    AgentStatus.UNKNOWN: "?",
    AgentStatus.STOPPED: "x",
}


class ConvoyStatus(StrEnum):
    """State of a batch of beads."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"


class MessageKind(StrEnum):
    """Why text is sent to an agent."""

    PROMPT = "prompt"
    SEND_BACK = "send_back"
    NUDGE = "nudge"
    GO_ON = "go_on"
    """After a turn that was broken off: said before all else that waits."""


class ReceiptState(StrEnum):
    """How far a message is proved to have come."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    STARTED = "started"
    ANSWERED = "answered"
    FAILED = "failed"


class IntentState(StrEnum):
    """Whether an intended act is still to be carried out."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def utc_now() -> datetime:
    """The present as an aware UTC time; for constructors of new records only, the daemon has its own clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bead(Record):
    """A work item. `revision` counts its writes and is what compare-and-set checks."""

    id: UUID
    title: str
    description: str | None = None
    status: BeadStatus = BeadStatus.BACKLOG
    lane: Lane = Lane.STANDARD
    priority: int = 0
    agent_id: UUID | None = None
    convoy_id: UUID | None = None
    rig: str | None = None
    created_at: datetime
    updated_at: datetime
    hooked_at: datetime | None = None
    slung_at: datetime | None = None
    done_at: datetime | None = None
    git_branch: str | None = None
    metadata: dict[str, Any] | None = None
    revision: int = 0

    @classmethod
    def new(cls, title: str, lane: Lane = Lane.STANDARD) -> Bead:
        """A fresh bead in the backlog."""
        now = utc_now()
        return cls(id=uuid4(), title=title, lane=lane, created_at=now, updated_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Record):
    """A worker. `status` is the projection of its facts at the time of the last write.

    Of the type `other`, `metadata["cli"]` names the CLI.
    """

    id: UUID
    name: str
    role: AgentRole
    cli_type: CliType
    model: str | None = None
    status: AgentStatus = AgentStatus.IDLE
    rig: str | None = None
    pid: int | None = None
    session_id: str | None = None
    created_at: datetime
    last_seen: datetime | None = None
    metadata: dict[str, Any] | None = None
    revision: int = 0

    @classmethod
    def new(cls, name: str, role: AgentRole, cli_type: CliType) -> Agent:
        """A fresh agent that was not started yet."""
        return cls(id=uuid4(), name=name, role=role, cli_type=cli_type, created_at=utc_now())

    @property
    def cli(self) -> str:
        """The name of its CLI in the configuration and on the command line; of a manifest's, the manifest's."""
        match self.cli_type:
            case CliType.OPEN_CODE:
                return "opencode"
            case CliType.OTHER:
                return str((self.metadata or {}).get("cli", CliType.OTHER.value))
            case _:
                return self.cli_type.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Convoy(Record):
    """A batch of beads; `progress` runs from 0.0 to 1.0."""

    id: UUID
    name: str
    description: str | None = None
    lane: Lane = Lane.STANDARD
    status: ConvoyStatus = ConvoyStatus.PENDING
    progress: float = 0.0
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail(Record):
    """A message for the next turn or session of an agent."""

    id: UUID
    from_agent: str
    to_agent: str
    subject: str | None = None
    body: str
    read_at: datetime | None = None
    created_at: datetime
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Record):
    """One row of the audit log. `seq` is 0 until the store gave it its place; `event_type` is a dotted past tense."""

    id: UUID
    event_type: str
    actor: str | None = None
    bead_id: UUID | None = None
    agent_id: UUID | None = None
    rig: str | None = None
    lane: Lane | None = None
    payload: dict[str, Any] | None = None
    created_at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMetric(Record):
    """Final figures of one turn and one model. `input_tokens` excludes cache reads; `cost_usd` is None without a price.

    `turn` is the agent's own number of it within `session`, 0 where it belongs to none; `estimated` says that the cost
    is ours, from a price list, and not the CLI's.
    """

    id: UUID
    agent_id: UUID | None = None
    bead_id: UUID | None = None
    model: str
    input_tokens: int
    cached_tokens: int = 0
    output_tokens: int
    cost_usd: float | None = None
    requests: int | None = None
    duration_ms: int
    source: str = ""
    created_at: datetime
    cli: str = ""
    turn: int = 0
    session: str = ""
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(Record):
    """What a model costs, in USD per million tokens; None where the list of `source` has no price.

    `model` is `provider/model`, `context_tokens` the size of its context in the same list, None where it has none.
    """

    model: str
    input_usd: float | None = None
    cached_usd: float | None = None
    output_usd: float | None = None
    source: str
    at: datetime
    context_tokens: int | None = None

    def of(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
        """The cost of so many tokens in USD; None without a price."""
        if self.input_usd is None or self.output_usd is None:
            return None
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        total = input_tokens * self.input_usd + cached_tokens * cached + output_tokens * self.output_usd
        return round(total / 1_000_000, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiSnapshot(Record):
    """Counts of one moment; cost and tokens are those of the person's local day.

    `cost_estimated` says that a part of the cost is from a price list and not a CLI's own.
    """

    id: UUID
    beads_active: int
    beads_completed: int
    beads_failed: int
    agents_active: int
    convoys_active: int
    total_cost_today: float
    total_tokens_today: int
    created_at: datetime
    cost_estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Record):
    """What was observed of a bead or an agent: the newest value of one name, who saw it and when."""

    subject: UUID
    name: str
    value: Any
    source: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(Record):
    """An act on record before it is carried out. `key` makes carrying it out twice harmless."""

    key: str
    kind: str
    bead_id: UUID | None = None
    agent_id: UUID | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    state: IntentState = IntentState.OPEN
    attempts: int = 0
    not_before: datetime | None = None
    error: str | None = None
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Record):
    """Text for an agent, with the times at which each step of its delivery was proved."""

    id: UUID
    agent_id: UUID
    bead_id: UUID | None = None
    kind: MessageKind
    body: str
    created_at: datetime
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    failed: str | None = None

    @property
    def receipt(self) -> ReceiptState:
        """The furthest step that is proved."""
        if self.failed is not None:
            return ReceiptState.FAILED
        if self.answered_at:
            return ReceiptState.ANSWERED
        if self.started_at:
            return ReceiptState.STARTED
        if self.accepted_at:
            return ReceiptState.ACCEPTED
        return ReceiptState.SENT if self.sent_at else ReceiptState.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Record):
    """Something an agent wants a person to decide. `request_id` is the CLI's own name for it."""

    id: UUID
    agent_id: UUID
    bead_id: UUID | None = None
    session: str
    request_id: str
    kind: str
    what: str
    tool: str | None = None
    argv: tuple[str, ...] | None = None
    asked_at: datetime
    approve: bool | None = None
    answer: str = ""
    decided_by: str | None = None
    decided_at: datetime | None = None
    closed_at: datetime | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord(Record):
    """One start of an agent's process. `offset` and `driver_state` say how much of its journal was taken in."""

    id: str
    agent_id: UUID
    bead_id: UUID | None = None
    cli: str
    attempt: int
    launch: dict[str, Any] = field(default_factory=dict)
    offset: int = 0
    driver_state: dict[str, Any] = field(default_factory=dict)
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    exit_signal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig(Record):
    """A repository under management. `path`: its top folder; `trusted`: the hash of the accepted settings file."""

    id: UUID
    name: str
    path: str
    target: str
    trusted: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult(Record):
    """A gate that ran to its end on one tree; `command` is part of the key, so a changed gate runs anew."""

    name: str
    command: str
    tree: str
    ok: bool
    exit_code: int | None
    seconds: float
    log: str
    output: str = ""
    rig: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Record):
    """A standing answer given with `--always`: this exact argument list, in this repository."""

    id: UUID
    rig: str
    kind: str
    tool: str | None = None
    argv: tuple[str, ...]
    created_at: datetime
    created_by: str
