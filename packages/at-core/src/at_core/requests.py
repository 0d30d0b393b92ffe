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
    after: tuple[str, ...] = ()
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
    after: tuple[str, ...] = ()
    order: Order = field(default_factory=Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRequest(Request):
    """Take over the session `session` of a CLI (`order.cli`, else the one that has it). With `id`, as in AddRequest.

    `folder` is the checkout that it is about, if not the one that it was begun in; `path` is where the call was made.
    """

    path: str
    session: str
    id: str | None = None
    folder: str | None = None
    title: str | None = None
    text: str = ""
    order: Order = field(default_factory=Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRequest(Request):
    """What else has to land before a bead begins, and what no longer."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameRequest(Request):
    """Another title for a bead. Its id, branch and folder stay."""

    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRequest(Request):
    """What a bead may use in all, in place of what was set for it before."""

    budget: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(Request):
    """Words for an agent or about a bead."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRequest(Request):
    """Words about a line of the new side of a bead's change. `path` is where the call was made."""

    path: str
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandRequest(Request):
    """Let a bead merge; with `head`, only if that still is its newest commit."""

    head: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadToLand(Request):
    """A bead, and with `head` the commit that is meant."""

    bead: str
    head: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LandSeveralRequest(Request):
    """Let these merge, all at the same moment, so that they are merged and gated together."""

    beads: tuple[BeadToLand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedRequest(Request):
    """A person was shown the change up to the commit `head`."""

    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBackRequest(Request):
    """Words for the agent; with `from_pr` also what others wrote on its pull request, and which checks failed."""

    text: str = ""
    from_pr: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest(Request):
    """Bring a bead's branch to a remote; `dry`: only tell what that would be. `env` is used for this push alone.

    `anew`: the pull request that is known was merged without this work, which goes into another one.
    """

    path: str
    remote: str | None = None
    draft: bool = False
    dry: bool = False
    anew: bool = False
    env: Environment = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCheck(Request):
    """A check of a pull request; `word` is its conclusion, or its state while it has none."""

    name: str
    word: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenComment(Request):
    """What somebody wrote on a pull request; `key` tells it from all others, `head` is the commit that it is about."""

    key: str
    author: str
    text: str
    file: str | None = None
    line: int | None = None
    head: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestRequest(Request):
    """A pull request as the person's `gh` showed it; `head` is its newest commit."""

    number: int
    url: str
    state: str
    head: str
    draft: bool = False
    review: str = ""
    checks: tuple[SeenCheck, ...] = ()
    comments: tuple[SeenComment, ...] = ()


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
class AtticRestoreRequest(Request):
    """Put an entry of the attic into the folder `to` (absolute, not there yet) or onto the new branch `branch`."""

    entry: str
    path: str | None = None
    to: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TidyRequest(Request):
    """Remove of what is left over (its refs in the repository of `path`, else in all) what was shown: `keys`."""

    path: str | None = None
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRequest(Request):
    """Take back the newest destructive act, in the repository of `path` if that lies in one; or the one named `act`."""

    path: str | None = None
    act: str | None = None
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
class RemoveRulesRequest(Request):
    """Take these rules away, named by id or by its beginning; none of them if one is not known."""

    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownRequest(Request):
    """End the daemon; agents are stopped resumably unless they are to be kept."""

    keep_agents: bool = False
