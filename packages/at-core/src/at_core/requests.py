"""The bodies of the API's requests: frozen dataclasses, validated at the edge. Their routes are in `at_core.api`.

Apart from the route table, because making these classes takes longer than everything else that a face loads to ask
one question (measured: 53 of 75 ms).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Environment: TypeAlias = dict[str, str]
"""Names and values as the system has them. Unlike all other text it may hold bytes that are no UTF-8, as Python's
surrogate escapes (PEP 383)."""


Amounts: TypeAlias = dict[str, float]
"""What a bead may use, by unit (`usd`, `tokens`); a unit that is not named keeps its default, none at all is no limit."""


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
    budget: Amounts | None = None


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
    budget: Amounts | None = None
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
class BudgetRequest(Request):
    """What a bead may use in all, in place of what was set for it before."""

    budget: Amounts


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
    """Begin again after a failure; `text` is added to what the agent is told. `fresh`: in a new session of the CLI."""

    text: str = ""
    fresh: bool = False
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
