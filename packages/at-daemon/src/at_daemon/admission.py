"""Whether one more agent may be started: no more than so many run, and the machine has memory for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from at_agents.decisions import IntentKind, Room
from at_core.store import Tx
from at_core.types import Agent, BeadStatus, SessionRecord
from at_core.vocabulary import AgentFact
from at_daemon import memory

MB = 1_000_000
STALLED_PERCENT = 10.0
"""So much of the time spent waiting for memory is felt in everything that runs."""
YOUNG = timedelta(seconds=20)
"""An agent takes its memory in its first seconds; until then it counts with all that one of its CLI takes."""
LOOK_AGAIN = timedelta(seconds=5)
"""Nobody tells when memory is free again."""


@dataclass(frozen=True, slots=True)
class Admission:
    """One agent at least may always run, however little memory there is."""

    most: Callable[[], int] = lambda: 20
    keep_free_mb: Callable[[], int] = lambda: 0
    """So many MB are to stay free; 0: memory is not looked at."""
    size_mb: Callable[[str], int] = lambda cli: 0
    """What an agent of the CLI takes."""
    look: Callable[[], memory.Memory] = memory.look

    def room(self, tx: Tx, agent: Agent, now: datetime) -> Room:
        """What there is for a process of this agent."""
        held, coming = tx.sessions(live=True), list(_coming(tx))
        if len(held) + len(coming) >= (most := self.most()):
            why = f"as many agents run as general.max_agents allows, {most}"
            return Room(why, spare=_spare(tx, held))
        if not held and not coming:
            return Room()
        young = [record.cli for record in held if now - record.started_at < YOUNG]
        if why := self._short_of_memory(agent.cli, [*coming, *young]):
            return Room(why, spare=_spare(tx, held), look_again=now + LOOK_AGAIN)
        return Room()

    def _short_of_memory(self, cli: str, growing: list[str]) -> str:
        if not (keep := self.keep_free_mb()):
            return ""
        found = self.look()
        if found.stalled is not None and found.stalled >= STALLED_PERCENT:
            return f"the machine is short of memory: processes waited for it in {found.stalled:.0f} % of the last seconds"
        if found.free is None:
            return ""
        size = self.size_mb(cli)
        left = found.free // MB - size - sum(map(self.size_mb, growing))
        if left >= keep:
            return ""
        grow = f", agents that begin will take {sum(map(self.size_mb, growing))} MB of it" if growing else ""
        return f"{found.free // MB} MB of memory are free{grow}, it takes about {size} MB, and general.keep_free_mb is {keep}"


def is_short_of_memory(found: memory.Memory, keep_free_mb: int) -> bool:
    """Whether there is none for what can wait; never where memory is not looked at (0)."""
    waits = found.stalled is not None and found.stalled >= STALLED_PERCENT
    return bool(keep_free_mb) and (waits or (found.free is not None and found.free // MB < keep_free_mb))


def _coming(tx: Tx) -> Iterator[str]:
    """The CLIs of agents whose start is on record and not done."""
    for intent in tx.open_intents():
        if intent.kind == IntentKind.SPAWN:
            agent = tx.agent(intent.agent_id) if intent.agent_id else None
            yield agent.cli if agent else ""


def _spare(tx: Tx, held: list[SessionRecord]) -> str | None:
    return next((record.id for record in held if _only_waits(tx, record)), None)


def _only_waits(tx: Tx, record: SessionRecord) -> bool:
    bead = tx.bead(record.bead_id) if record.bead_id else None
    if bead is None or bead.status is not BeadStatus.REVIEW or tx.intent(f"stop:{record.id}") is not None:
        return False
    turn = tx.fact(record.agent_id, AgentFact.TURN.value)
    return turn is not None and turn.value.get("state") == "ended"
