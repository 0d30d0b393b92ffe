"""What a person is newly wanted for, and how that ended: the needs of one bead before and after a change.

Decided in the transaction that brought the change, so each need is written down once, however often the daemon is
started again, and its beginning and end are never apart from what they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from at_agents.needs import Need
from at_core.interruption import Interruption, NeedOutcome
from at_core.types import Ask

PERSONS = frozenset({"person", "down"})
"""Who acts for a person, as events name them; `down`: agents that were stopped by `at down`."""

ENDS_ELSEWHERE = frozenset({"checkout", "login", "budget"})
"""Kinds that a person ends outside of `at`: in the checkout, with a CLI's login, in the settings."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one of them ended."""

    outcome: NeedOutcome
    act: str | None = None


def newly_wanted(open_: Iterable[Interruption], wanted: Sequence[Need]) -> list[Need]:
    """The needs that are not written down as open."""
    known = {each.key for each in open_}
    return [need for key, need in {_key(need): need for need in wanted}.items() if key not in known]


def no_longer_wanted(open_: Iterable[Interruption], wanted: Sequence[Need]) -> list[Interruption]:
    """Those written down as open that are no need any more."""
    keys = {_key(need) for need in wanted}
    return [each for each in open_ if each.key not in keys]


def how_it_ended(over: Interruption, ask: Ask | None, act: str | None, stopped_by: str | None) -> Ended:
    """`act` is what a person did in the change that ended it, `stopped_by` who stopped its agent before.

    An ask has its own record of who decided it; one that was taken back when its agent was stopped ended by that.
    """
    if ask is not None and ask.decided_by is not None:
        if ask.decided_by not in PERSONS:
            return Ended(NeedOutcome.WITHDRAWN, ask.decided_by)
        return Ended(NeedOutcome.DECIDED, _verdict(ask))
    if act is not None:
        return Ended(NeedOutcome.DECIDED, act)
    if ask is not None and stopped_by in PERSONS:
        return Ended(NeedOutcome.DECIDED, "agent.stopped")
    return Ended(NeedOutcome.CLEARED if over.kind in ENDS_ELSEWHERE else NeedOutcome.WITHDRAWN)


def _verdict(ask: Ask) -> str:
    if not ask.approve:
        return "denied"
    return "answered" if ask.kind == "question" else "approved"


def _key(need: Need) -> tuple[str, UUID | None]:
    return need.kind, UUID(need.ask) if need.ask else None
