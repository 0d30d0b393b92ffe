"""What is left over and may go. Each rule gives the reason in words, or None for what stays.

Nothing that may hold the only copy of work is left over: a ref goes only if the target or the attic holds what it names, and
what an agent or an undo could still want stays whatever its age. Entries of the attic are never asked about.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from at_agents.warm import is_in_use
from at_core.types import AgentRole, BeadStatus, SessionRecord


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """What is known of an agent: the states of its beads, those of removed ones that an undo would bring back too.

    `over_since` is when it last had to do with any of them; None while a process of it is held.
    """

    role: AgentRole
    beads: Collection[BeadStatus]
    over_since: datetime | None


def of_agent(agent: AgentSeen | None, changed: datetime, before: datetime) -> str | None:
    """What a driver and the starts of an agent keep; `agent` None is one that the store does not know."""
    if agent is None:
        return "of an agent that is no more" if changed <= before else None
    over = agent.over_since is not None and agent.over_since <= before
    if agent.role is not AgentRole.POLECAT or not over or not agent.beads:
        return None
    if any(status is not BeadStatus.DONE for status in agent.beads):
        return None
    return "of an agent whose work is done"


def of_journal(session: SessionRecord, wanted: bool, before: datetime) -> str | None:
    """A session's journal. `wanted`: it is the newest session of a bead that is not at its end."""
    if session.ended_at is None or session.ended_at > before or wanted:
        return None
    return "of a session that is over"


def of_command(awaited: bool, changed: datetime, before: datetime) -> str | None:
    """What a command in a holder left; `awaited` by an intent, or held still."""
    return None if awaited or changed > before else "of a command that nobody waits for"


def of_log(bead: BeadStatus | None, evidence: bool, changed: datetime, before: datetime) -> str | None:
    """A command's log. `bead` is that of the folder it ran in, None if that is gone or it ran in none; `evidence`: a
    bead that is not at its end is judged by it."""
    if evidence or changed > before or bead not in (None, BeadStatus.DONE):
        return None
    return "of a work item that is done" if bead is BeadStatus.DONE else "of work that is over"


@dataclass(frozen=True, slots=True)
class RefSeen:
    """A ref of ours: whether the target, or the attic, holds what it names, and whether a folder has it checked out."""

    in_target: bool
    in_attic: bool
    checked_out: bool


def of_landed_branch(ref: RefSeen, bead: BeadStatus, merged: bool, target: str) -> str | None:
    """The branch of a bead. One that somebody went on with is not merged any more, and stays."""
    if bead is not BeadStatus.DONE or not merged or not ref.in_target or ref.checked_out:
        return None
    return f"merged into {target}"


def of_removed_bead(ref: RefSeen, target: str) -> str | None:
    """A branch or a hidden ref of a bead that is removed."""
    if ref.checked_out or not (ref.in_target or ref.in_attic):
        return None
    return f"its work item is removed, and {target if ref.in_target else 'the attic'} holds it"


def of_base(ref: RefSeen, kept: bool, target: str) -> str | None:
    """The base of a removed bead. While the attic has any of its work (`kept`), that is measured by it."""
    return None if kept else of_removed_bead(ref, target)


def of_warm_folder(used: datetime | None, before: datetime, now: datetime) -> str | None:
    """A folder that is ready for a bead; `used`: when its repository was last used, None for one that is no more."""
    if used is None:
        return "kept ready for a repository that is no more"
    if used > before or is_in_use(used, now):
        return None
    return "kept ready for a repository that nobody uses"


def of_folder(known: bool, busy: bool, changed: datetime, before: datetime) -> str | None:
    """A bead's folder: `known` is the bead, `busy`: an act about it is under way."""
    return None if known or busy or changed > before else "its work item is gone"
