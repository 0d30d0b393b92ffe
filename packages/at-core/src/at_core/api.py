"""The API's route table: server, client and OpenAPI document are all made from it.

Requests are frozen dataclasses, validated at the edge. Responses are the JSON documents of the command contract.
Everything is relative to the Unix socket of the home folder; errors are `{"error": {"code", "message", "hint",
"exit_code"}}` with a 4xx or 5xx status.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

PROTOCOL = 1
"""Counted up when a face of the old kind can no longer talk to a new daemon."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Limit of a request's body. A prompt of 2 MB takes up to 12 MB as JSON, where a control character is six bytes."""


class Answer(StrEnum):
    """The form of a response."""

    JSON = "application/json"
    TEXT = "text/plain; charset=utf-8"
    BYTES = "application/octet-stream"
    EVENTS = "text/event-stream"
    SOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is the request's dataclass, `query` the names of its parameters with their kinds."""

    name: str
    method: str
    path: str
    about: str
    body: type | None = None
    query: tuple[tuple[str, type], ...] = ()
    answer: Answer = Answer.JSON

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


Environment: TypeAlias = dict[str, str]
"""Names and values as the system has them. Unlike all other text it may hold bytes that are no UTF-8, as Python's
surrogate escapes (PEP 383)."""


class Request:
    """A request's body. Keys that it does not have are refused, and so are numbers without a finite value."""

    __slots__ = ()
    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitRequest(Request):
    """Make the repository at `path` a rig."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRequest(Request):
    """Accept the settings file of the repository at `path`; without `hash` only show it."""

    path: str
    hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRequest(Request):
    """A bead for the backlog. With `id` (a UUID that the caller chose) it may be sent again: one bead is made."""

    path: str
    title: str
    id: str | None = None
    description: str | None = None
    lane: str | None = None
    priority: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest(Request):
    """A bead (made if no such title or id is there) onto an agent's hook, not started."""

    path: str
    title: str
    agent: str
    cli: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Request):
    """How a bead is to be worked on. `env` is the whole environment of the caller; it is never stored."""

    cli: str | None = None
    allow: str | None = None
    base: str | None = None
    land: bool | None = None
    model: str | None = None
    env: Environment = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlingRequest(Request):
    """A bead onto an agent's hook, and started. Without `lane` the lane stays."""

    path: str
    bead: str
    agent: str
    lane: str | None = None
    order: Order = field(default_factory=Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(Request):
    """Add a bead and sling it to a fresh polecat. With `id`, as in AddRequest, it may be sent again."""

    path: str
    prompt: str
    id: str | None = None
    title: str | None = None
    lane: str | None = None
    order: Order = field(default_factory=Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(Request):
    """Words for an agent or about a bead."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneRequest(Request):
    """Hand a bead in. `by_me` records the person's word in place of proof."""

    fail: bool = False
    by_me: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest(Request):
    """Begin again after a failure; `text` is added to what the agent is told."""

    text: str = ""
    env: Environment = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequest(Request):
    """Start again what was stopped."""

    env: Environment = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgeRequest(Request):
    """Deliver `text`; wait at most `wait_seconds` for proof that it was taken."""

    text: str
    wait_seconds: float = 15.0
    env: Environment = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRequest(Request):
    """A person's decision on an ask. `always` also makes a rule for this exact argument list."""

    approve: bool
    text: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DownRequest(Request):
    """End the daemon; agents are stopped resumably unless they are to be kept."""

    keep_agents: bool = False


ROUTES: tuple[Route, ...] = (
    Route("health", "GET", "/v1/health", "Who answers: {ok, pid, version, protocol}."),
    Route("openapi", "GET", "/v1/openapi.json", "This table as an OpenAPI 3.1 document."),
    Route("status", "GET", "/v1/status", "The status document.", query=(("path", str),)),
    Route(
        "status_text",
        "GET",
        "/v1/status.txt",
        "The status as lines of text.",
        query=(("path", str), ("color", int), ("width", int)),
        answer=Answer.TEXT,
    ),
    Route(
        "init", "POST", "/v1/rigs", "Make a repository a rig: {rig, branch, base, gates, notes}.", InitRequest
    ),
    Route(
        "trust",
        "POST",
        "/v1/rigs/trust",
        "Show or accept the settings file: {file, hash, content, trusted}.",
        TrustRequest,
    ),
    Route(
        "beads",
        "GET",
        "/v1/beads",
        "{beads: [bead]}.",
        query=(("path", str), ("status", str), ("limit", int)),
    ),
    Route("add", "POST", "/v1/beads", "Bead document of a new bead.", AddRequest),
    Route("run", "POST", "/v1/run", "Bead document of a bead that is started.", RunRequest),
    Route("hook", "POST", "/v1/hook", "Bead document.", HookRequest),
    Route("sling", "POST", "/v1/sling", "Bead document.", SlingRequest),
    Route("show", "GET", "/v1/beads/{bead}", "Bead document.", query=(("path", str),)),
    Route(
        "wait",
        "GET",
        "/v1/beads/{bead}/wait",
        "Bead document with {settled, exit_code}; answers at once if settled or something changed after `after`, "
        "else when it does or after `seconds` (at most 30).",
        query=(("path", str), ("after", int), ("seconds", float)),
    ),
    Route(
        "diff",
        "GET",
        "/v1/beads/{bead}/diff",
        "The change as a patch.",
        query=(("path", str), ("since_seen", int), ("color", int), ("stat", int)),
        answer=Answer.BYTES,
    ),
    Route(
        "send_back",
        "POST",
        "/v1/beads/{bead}/send-back",
        "Bead document; the agent goes on with `text`.",
        TextRequest,
    ),
    Route("land", "POST", "/v1/beads/{bead}/land", "Bead document; let it merge.", TextRequest),
    Route("retry", "POST", "/v1/beads/{bead}/retry", "Bead document; begin again.", RetryRequest),
    Route(
        "done",
        "POST",
        "/v1/beads/{bead}/done",
        "Bead document; hand in, or record a person's override.",
        DoneRequest,
    ),
    Route("remove", "DELETE", "/v1/beads/{bead}", "{removed, attic}; the work is on a hidden ref."),
    Route("folder", "GET", "/v1/beads/{bead}/folder", "{path, branch}."),
    Route("agents", "GET", "/v1/agents", "{agents: [agent]}.", query=(("path", str),)),
    Route("nudge", "POST", "/v1/agents/{agent}/nudge", "{message: {id, receipt, times}}.", NudgeRequest),
    Route("stop", "POST", "/v1/agents/{agent}/stop", "{agent}; bead and work stay.", TextRequest),
    Route("resume", "POST", "/v1/agents/{agent}/resume", "{agent}.", ResumeRequest),
    Route("resume_all", "POST", "/v1/resume", "{agents: [agent]}.", ResumeRequest),
    Route(
        "session",
        "GET",
        "/v1/agents/{agent}/session",
        "{session, run_dir, journal_dir, transport, live}: what attach needs to talk to the holder itself.",
    ),
    Route(
        "logs",
        "GET",
        "/v1/agents/{agent}/logs",
        "{lines: [{at, kind, text}], next}: the transcript from `after` on; "
        "`follow` waits up to `seconds` for more.",
        query=(("after", int), ("limit", int), ("follow", int), ("seconds", float)),
    ),
    Route(
        "terminal", "GET", "/v1/agents/{agent}/terminal", "Screen and keys of an agent.", answer=Answer.SOCKET
    ),
    Route("approvals", "GET", "/v1/approvals", "{approvals: [ask]}."),
    Route("decide", "POST", "/v1/approvals/{ask}", "{approval: ask}.", DecideRequest),
    Route(
        "explain",
        "GET",
        "/v1/explain/{name}",
        "{label, status, reasons, facts: [{fact, source, at, value}]}.",
    ),
    Route(
        "events",
        "GET",
        "/v1/events",
        "{events: [event], last_seq}; `last_seq` is the newest of the whole log, whatever was asked for.",
        query=(("after", int), ("limit", int), ("bead", str), ("agent", str)),
    ),
    Route(
        "event_stream",
        "GET",
        "/v1/events/stream",
        "Events as they happen, one `data:` line of JSON each, `id:` its seq; resumes after Last-Event-ID or `after`.",
        query=(("after", int),),
        answer=Answer.EVENTS,
    ),
    Route("down", "POST", "/v1/down", "{stopped: [name]}; the daemon ends after it answered.", DownRequest),
)

BY_NAME = {route.name: route for route in ROUTES}
