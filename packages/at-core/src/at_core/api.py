"""The API's route table: server, client and OpenAPI document are all made from it.

Requests are the dataclasses of `at_core.requests`, which may also be imported from here; they are loaded when they are
needed. Responses are the JSON documents of the command contract.
Everything is relative to the Unix socket of the home folder; errors are `{"error": {"code", "message", "hint",
"exit_code"}}` with a 4xx or 5xx status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from at_core.requests import (
        AddRequest,
        BudgetRequest,
        DecideRequest,
        DoneRequest,
        DownRequest,
        Environment,
        HookRequest,
        InitRequest,
        NudgeRequest,
        Order,
        Request,
        ResumeRequest,
        RetryRequest,
        RunRequest,
        SlingRequest,
        TextRequest,
        TrustRequest,
    )

__all__ = [
    "BY_NAME",
    "MAX_BODY_BYTES",
    "PROTOCOL",
    "ROUTES",
    "AddRequest",
    "Answer",
    "BudgetRequest",
    "DecideRequest",
    "DoneRequest",
    "DownRequest",
    "Environment",
    "HookRequest",
    "InitRequest",
    "NudgeRequest",
    "Order",
    "Request",
    "ResumeRequest",
    "RetryRequest",
    "Route",
    "RunRequest",
    "SlingRequest",
    "TextRequest",
    "TrustRequest",
]

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
    """One operation. `request` names its body's dataclass, `query` its parameters with their kinds.

    With `takes_id` the caller names what is to be made, so that an order sent twice makes it once.
    """

    name: str
    method: str
    path: str
    about: str
    request: str | None = None
    query: tuple[tuple[str, type], ...] = ()
    answer: Answer = Answer.JSON
    takes_id: bool = False

    @property
    def body(self) -> type | None:
        """The request's dataclass."""
        return None if self.request is None else _request(self.request)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def _request(name: str) -> Any:
    from at_core import requests

    return getattr(requests, name)


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return _request(name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


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
        "init",
        "POST",
        "/v1/rigs",
        "Make a repository a rig: {rig, branch, base, gates, notes}.",
        "InitRequest",
    ),
    Route(
        "trust",
        "POST",
        "/v1/rigs/trust",
        "Show or accept the settings file: {file, hash, content, trusted}.",
        "TrustRequest",
    ),
    Route(
        "beads",
        "GET",
        "/v1/beads",
        "{beads: [bead]}.",
        query=(("path", str), ("status", str), ("limit", int)),
    ),
    Route("add", "POST", "/v1/beads", "Bead document of a new bead.", "AddRequest", takes_id=True),
    Route("run", "POST", "/v1/run", "Bead document of a bead that is started.", "RunRequest", takes_id=True),
    Route("hook", "POST", "/v1/hook", "Bead document.", "HookRequest"),
    Route("sling", "POST", "/v1/sling", "Bead document.", "SlingRequest"),
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
        "TextRequest",
    ),
    Route("land", "POST", "/v1/beads/{bead}/land", "Bead document; let it merge.", "TextRequest"),
    Route("retry", "POST", "/v1/beads/{bead}/retry", "Bead document; begin again.", "RetryRequest"),
    Route(
        "done",
        "POST",
        "/v1/beads/{bead}/done",
        "Bead document; hand in, or record a person's override.",
        "DoneRequest",
    ),
    Route(
        "budget",
        "POST",
        "/v1/beads/{bead}/budget",
        "Bead document; what it may use from now on.",
        "BudgetRequest",
    ),
    Route("remove", "DELETE", "/v1/beads/{bead}", "{removed, attic}; the work is on a hidden ref."),
    Route(
        "folder",
        "GET",
        "/v1/beads/{bead}/folder",
        "{path, branch, environment}; `environment` are the marks of its slot.",
    ),
    Route(
        "agents", "GET", "/v1/agents", "{agents: [agent], not_shown}.", query=(("path", str), ("all", int))
    ),
    Route("nudge", "POST", "/v1/agents/{agent}/nudge", "{message: {id, receipt, times}}.", "NudgeRequest"),
    Route("stop", "POST", "/v1/agents/{agent}/stop", "{agent}; bead and work stay.", "TextRequest"),
    Route("resume", "POST", "/v1/agents/{agent}/resume", "{agent}.", "ResumeRequest"),
    Route("resume_all", "POST", "/v1/resume", "{agents: [agent]}.", "ResumeRequest"),
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
    Route(
        "costs",
        "GET",
        "/v1/costs",
        "{by, since, until, rows: [usage], total, landed, budgets: [budget], unreported}; "
        "`by` is bead, agent, cli, model or day, `since` a date or a number of days (`7d`).",
        query=(("by", str), ("since", str)),
    ),
    Route("approvals", "GET", "/v1/approvals", "{approvals: [ask]}."),
    Route(
        "needs",
        "GET",
        "/v1/needs",
        "{needs: [{kind, bead, title, agent, reason, acts, ask, blocks, since}]}: what only a person can decide, in "
        "the order in which it keeps others from going on; with `seconds` it waits so long (at most 30) for the first.",
        query=(("path", str), ("seconds", float)),
    ),
    Route("decide", "POST", "/v1/approvals/{ask}", "{approval: ask}.", "DecideRequest"),
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
    Route("down", "POST", "/v1/down", "{stopped: [name]}; the daemon ends after it answered.", "DownRequest"),
)

BY_NAME = {route.name: route for route in ROUTES}
