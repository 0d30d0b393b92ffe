"""Facts in, label out: what an agent is doing, in one word, with the facts that say so.

Nothing here is stored. The order of the checks is the order of truth: what needs a person first, then the process,
then the turn; where the facts do not say, the label is `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from at_agents import set_up, trouble
from at_agents.decisions import World
from at_agents.hibernation import hibernates
from at_core.types import AgentStatus, BeadStatus
from at_core.vocabulary import AgentFact


class AgentLabel(StrEnum):
    """What an agent is doing."""

    NEW = "new"
    QUEUED = "queued"
    STARTING = "starting"
    WORKING = "working"
    RETRYING = "retrying"
    IDLE = "idle"
    DONE_UNSEEN = "done unseen"
    WAITS_APPROVAL = "waiting for approval"
    WAITS_ANSWER = "waiting for an answer"
    LIMIT = "usage limit"
    BUDGET = "budget reached"
    LOGIN = "login refused"
    HIBERNATING = "hibernating"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"
    FAILED = "failed"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Label:
    """A label, the coarse status it projects to, and the reasons in the order in which they decided."""

    label: AgentLabel
    status: AgentStatus
    reasons: tuple[str, ...]


_STATUS = {
    AgentLabel.NEW: AgentStatus.IDLE,
    AgentLabel.QUEUED: AgentStatus.IDLE,
    AgentLabel.STARTING: AgentStatus.ACTIVE,
    AgentLabel.WORKING: AgentStatus.ACTIVE,
    AgentLabel.RETRYING: AgentStatus.ACTIVE,
    AgentLabel.IDLE: AgentStatus.IDLE,
    AgentLabel.DONE_UNSEEN: AgentStatus.IDLE,
    AgentLabel.WAITS_APPROVAL: AgentStatus.PENDING,
    AgentLabel.WAITS_ANSWER: AgentStatus.PENDING,
    AgentLabel.LIMIT: AgentStatus.PENDING,
    AgentLabel.BUDGET: AgentStatus.PENDING,
    AgentLabel.LOGIN: AgentStatus.PENDING,
    AgentLabel.HIBERNATING: AgentStatus.IDLE,
    AgentLabel.STOPPED: AgentStatus.STOPPED,
    AgentLabel.INTERRUPTED: AgentStatus.STOPPED,
    AgentLabel.CRASHED: AgentStatus.STOPPED,
    AgentLabel.FAILED: AgentStatus.STOPPED,
    AgentLabel.EXITED: AgentStatus.STOPPED,
    AgentLabel.UNKNOWN: AgentStatus.UNKNOWN,
}


def label(world: World, *, contact: bool = True, why: str | None = None) -> Label:
    """The label of the world's agent. `contact` is false while it is not followed; `why` says what is in the way."""
    name, *reasons = _decide(world, None if contact else why or "the holder does not answer")
    decided = AgentLabel(name)
    return Label(decided, _STATUS[decided], tuple(reasons))


def _decide(world: World, out_of_reach: str | None) -> tuple[str, ...]:
    if waiting := _needs_person(world):
        return waiting
    if stopped := world.agent_facts.get(AgentFact.STOPPED):
        return (AgentLabel.STOPPED, f"{stopped['by']} stopped it: {stopped['reason'] or 'no reason given'}")
    if parked := world.parked:
        return (AgentLabel.BUDGET, parked["reason"])
    if world.waits_for is not None and world.bead.status is BeadStatus.SLUNG:
        return (AgentLabel.QUEUED, world.waits_for.reason)
    state = world.process.get("state")
    if state is None:
        return _before_first_start(world)
    if state == "lost":
        return _not_running(world, "its holder is gone and left no exit status")
    if state == "exited":
        return _not_running(world, _exit_words(world))
    if out_of_reach is not None:
        return (AgentLabel.UNKNOWN, f"its process is held, but out of reach: {out_of_reach}")
    return _running(world)


def _needs_person(world: World) -> tuple[str, ...] | None:
    if world.asks and world.running:
        ask = world.asks[0]
        name = AgentLabel.WAITS_ANSWER if ask.kind == "question" else AgentLabel.WAITS_APPROVAL
        return (name, f"asked at {ask.asked_at:%H:%M:%S} UTC: {ask.what[:200]}")
    if login := world.login:
        return (AgentLabel.LOGIN, login["message"])
    if limit := world.agent_facts.get(AgentFact.LIMIT):
        until = limit.get("reset_at") or f"not told; tried again at {limit['try_at']}"
        return (AgentLabel.LIMIT, limit["message"], f"reset: {until}")
    return None


def _before_first_start(world: World) -> tuple[str, ...]:
    if world.bead.status is BeadStatus.SLUNG and world.open_messages:
        if command := set_up.under_way(world):
            how = "is being set up" if command.begun else "is to be set up"
            return (AgentLabel.STARTING, f"its folder {how}, {command.words}")
        if world.room.full:
            return (AgentLabel.STARTING, f"it waits for a place: {world.room.full}")
        return (AgentLabel.STARTING, "a prompt is queued and no process was started yet")
    return (AgentLabel.NEW, "it was never started")


def _exit_words(world: World) -> str:
    cause = world.process.get("cause")
    return f"{_exit_status(world)}: {cause}" if cause else _exit_status(world)


def _exit_status(world: World) -> str:
    if signal := world.process.get("exit_signal"):
        return f"its process ended by signal {signal}"
    code = world.process.get("exit_code")
    return "its process ended" if code is None else f"its process ended with exit code {code}"


def _not_running(world: World, how: str) -> tuple[str, ...]:
    if world.bead.status is BeadStatus.ESCALATED:
        return (AgentLabel.CRASHED, how, "it was given up after too many crashes")
    if world.bead.status is BeadStatus.SLUNG and (world.open_messages or world.turn.get("state") == "cut"):
        command = set_up.under_way(world)
        return (
            AgentLabel.STARTING,
            how,
            f"before it is started again, {command.words}" if command else "it is to be started again",
        )
    if hibernates(world):
        return (
            AgentLabel.HIBERNATING,
            "it had nothing to do; it goes on in its session with the next message",
        )
    if world.turn.get("state") == "cut" and not world.process.get("asked"):
        return (AgentLabel.CRASHED, how, "its turn was not complete")
    if world.turn.get("outcome") == "failed":
        return (AgentLabel.FAILED, world.turn.get("error") or "its turn failed", how)
    return (AgentLabel.EXITED, how)


def _running(world: World) -> tuple[str, ...]:
    if retrying := world.agent_facts.get(AgentFact.RETRYING):
        return (AgentLabel.RETRYING, retrying["message"])
    turn = world.turn.get("state")
    if turn == "working":
        return (AgentLabel.WORKING, "its turn started and did not end")
    if sent := [m for m in world.open_messages if m.sent_at]:
        return (AgentLabel.WORKING, f"a message was {sent[0].receipt.value} and is not answered")
    if world.open_messages:
        return (AgentLabel.STARTING, "a message is queued for it")
    if turn is None:
        return (AgentLabel.IDLE, "its process runs and it was asked nothing")
    outcome = world.turn.get("outcome")
    if outcome == "interrupted":
        return (AgentLabel.INTERRUPTED, "its turn was interrupted")
    if outcome == "failed" and (broken := trouble.waiting(world)):
        return (
            AgentLabel.RETRYING,
            broken["message"],
            f"its turn broke off; it goes on at {broken['try_at']}",
        )
    if outcome == "failed":
        return (AgentLabel.FAILED, world.turn.get("error") or "its turn failed")
    seen = (world.agent_facts.get(AgentFact.SEEN) or {}).get("turn")
    if seen != world.turn.get("number"):
        return (AgentLabel.DONE_UNSEEN, "its turn ended and nobody looked at it")
    return (AgentLabel.IDLE, "its turn ended")
