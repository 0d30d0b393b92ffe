"""What a driver takes and gives: one vocabulary for every CLI.

A driver is sans-I/O. Bytes of the agent go in through `Driver.feed`; typed events and the writes that the protocol
asks for in answer come out. Nothing here knows a process, a socket or a clock, so a recorded stream and a live one
take the same path.

Every `Write` carries an id. The holder journals and performs a write once per id, so a caller that is not sure
whether a write left simply repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from at_session.adoption import Adoption


class Allow(StrEnum):
    """How much an agent may do without asking (the contract's permission modes)."""

    ASK = "ask"
    EDITS = "edits"
    ALL = "all"


class Transport(StrEnum):
    """How the holder is wired to the agent: pipes for structured protocols, a PTY for screens."""

    PIPE = "pipe"
    PTY = "pty"


class AskKind(StrEnum):
    """What an agent wants a person to decide."""

    COMMAND = "command"
    EDIT = "edit"
    TOOL = "tool"
    QUESTION = "question"


class TurnOutcome(StrEnum):
    """How a turn ended, as the CLI's own protocol says it. `completed` says nothing about the work."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FailureKind(StrEnum):
    """Why a turn failed, where the protocol says so."""

    LOGIN = "login"
    LIMIT = "limit"
    OVERLOADED = "overloaded"
    CONTEXT = "context"
    CONNECTION = "connection"
    API = "api"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one turn from the CLI's own final figures. `input_tokens` excludes cache reads on every CLI.

    `cost_usd` is None where the CLI gives no price; `requests` is None where it does not count them.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    requests: int | None = None
    model: str | None = None
    duration_ms: int | None = None


# --- events: what the agent was seen to do -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The CLI named its session; `session_id` is what resumes it."""

    session_id: str
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The CLI does not know the session that it was told to resume. It exits, or the driver begins another in its place."""

    session_id: str


@dataclass(frozen=True, slots=True)
class PromptAccepted:
    """The CLI acknowledged a prompt by the id that it was sent with.

    `repeated` says that the CLI had this prompt already, so that no new turn comes of it.
    """

    message_id: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class PromptForgotten:
    """A process that had acknowledged a prompt is gone, and the CLI's own record does not have it.

    A resumed session would not know of it, so it is to be handed over again under the same id. Also told of a prompt
    that was handed over to a session which turns out to be lost.
    """

    message_id: str


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The model or the CLI was seen to work on a prompt."""

    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the agent's own words, complete (not a delta)."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call was made; `what` is the exact command, path or input in one string."""

    tool_id: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool call gave its result; `ok` is false where the tool reported an error or was refused."""

    tool_id: str
    ok: bool
    output: str = ""


@dataclass(frozen=True, slots=True)
class AskOpened:
    """The agent waits for a person: an approval or a question, with the exact text to show."""

    request_id: str
    kind: AskKind
    what: str
    tool: str | None = None
    argv: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AskClosed:
    """An ask is no longer open: answered, or withdrawn by the CLI."""

    request_id: str
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Final figures of a turn."""

    usage: Usage
    source: str


@dataclass(frozen=True, slots=True)
class ContextUsed:
    """How full the model's context is: tokens of the newest call's prompt, with what came from the cache and went there.

    Of one call of the conversation itself, not a sum over a turn and not an inner agent's. `size` is that of the window
    as the CLI tells it, else None.
    """

    used: int
    size: int | None
    model: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """The CLI itself tries an API call again; seconds until then, if it says so."""

    kind: FailureKind
    attempt: int | None
    delay_seconds: float | None
    message: str


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A call that the CLI had to try again is being answered: the model's first words or reasoning came."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A usage limit of the account was hit. `reset_at` is RFC 3339 UTC as the CLI gave it, else None.

    `reset_in_seconds` is the span from when it was heard, where the CLI gave that in place of a time.
    """

    message: str
    reset_at: str | None = None
    reset_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """The endpoint refused the login; `how` tells the person what to run."""

    message: str
    how: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over. `message_id` is the prompt it answered, where the protocol tells.

    `joined` are prompts that the CLI took into this turn while it ran; they get no turn of their own.
    """

    outcome: TurnOutcome
    message_id: str | None = None
    text: str = ""
    failure: FailureKind | None = None
    error: str | None = None
    denied: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A line that is not of the protocol, kept as a fact (at most 500 characters of it)."""

    excerpt: str
    stream: str = "stdout"


DriverEvent = (
    SessionStarted
    | SessionLost
    | PromptAccepted
    | PromptForgotten
    | TurnStarted
    | Text
    | ToolStarted
    | ToolEnded
    | AskOpened
    | AskClosed
    | UsageReported
    | ContextUsed
    | Retrying
    | CallAnswered
    | Limited
    | LoginRefused
    | TurnEnded
    | Unparsed
)


# --- commands: what must be written to the agent -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for the agent's input, performed once per id whatever happens."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's or a rule's answer to an ask. `text` is the reason of a denial or the answer to a question."""

    approve: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What is known when an agent is to be started. `env` is the whole environment of the caller.

    `session_id` is chosen by us where the CLI lets us; `resume` says that it exists already. `attempt` counts starts
    of this agent on this bead from 1. `private_dir` is a folder outside the repository that the driver may use.
    """

    agent_id: str
    binary: str
    args: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    private_dir: str
    allow: Allow = Allow.EDITS
    model: str | None = None
    session_id: str | None = None
    resume: bool = False
    attempt: int = 1
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the agent: argument list, environment, transport."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    transport: Transport


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a CLI can do through this driver; asked instead of its name.

    `record_has_usage`: final figures of a turn are in the CLI's own record only, so `reconcile` is to be called after
    each turn. `keeps_failed_prompts`: a session still knows a prompt whose turn ended with an error.
    `memory_mb`: what its processes take together, as it was seen. `adoption`: sessions that a person began can be gone on with in another folder. `unreported` names figures that the CLI does not give at all (`cost`, `requests`, …).
    """

    chooses_session_id: bool
    resumes: bool
    acknowledges_prompts: bool
    asks_over_protocol: bool
    reports_cost: bool
    queues_prompts: bool
    exits_on_eof: bool
    login_hint: str
    draws_on: str
    memory_mb: int
    asks_questions: bool = True
    record_has_usage: bool = False
    keeps_failed_prompts: bool = True
    unreported: tuple[str, ...] = ()
    adoption: Adoption | None = None


@dataclass(slots=True)
class DriverState:
    """All that a driver remembers between two feeds, as plain JSON values, so that a daemon can store and restore it."""

    values: dict[str, Any] = field(default_factory=dict)


class Driver(Protocol):
    """One CLI's protocol. `state` round-trips through JSON and holds everything that `feed` depends on."""

    cli: str
    capabilities: Capabilities
    state: DriverState

    def __init__(self, state: DriverState | None = None) -> None:
        """A driver at the beginning of a process, or as it was stored."""

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the agent, and begin a new process in the state.

        The state may be that of the process before; what outlives a process (what was counted already) is kept, all
        else is forgotten. What the handshake needs of the request goes into the state.
        """

    def open(self) -> list[Write]:
        """The first writes of the handshake, ids fixed, so repeating them does no harm; `feed` gives the further ones."""

    def feed(self, stream: str, data: bytes) -> Iterable[DriverEvent | Write]:
        """Take bytes of `stdout` or `stderr`, give what they mean and what must be answered."""

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """Hand a prompt over; every write id is derived from `message_id`.

        Nothing comes back where the CLI cannot take it yet: the driver holds it in its state and `feed` gives the
        write in time. What was not accepted when a process ended is handed over again to the next one. What is held when
        a session is lost is dropped: who hands prompts over says anew what the next session must know.
        """

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """Answer an open ask; every write id is derived from `request_id`."""

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """Ask the CLI to stop its turn; empty where only a signal does it."""

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """Read the CLI's own record of the session and give what the stream did not tell, each thing once.

        Called after the process ended, and after each turn where `capabilities.record_has_usage` says so. `env` and
        `cwd` are those of the launch. It only reads, and blocks while it does. A record that is missing or cannot be
        understood is no error: it gives nothing, or an Unparsed that says so.
        """
