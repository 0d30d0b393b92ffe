"""Whether one more agent may be started: no more than so many run, and the machine has memory for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from at_agents.decisions import IntentKind, Room
from at_core.store import Tx
from at_core.types import Agent, Bead, Intent, IntentState, SessionRecord
from at_daemon import memory

MB = 1_000_000
STALLED_PERCENT = 10.0
"""So much of the time spent waiting for memory is felt in everything that runs."""
YOUNG = timedelta(seconds=20)
"""An agent takes its memory in its first seconds; until then it counts with all that one of its CLI takes."""
LOOK_AGAIN = timedelta(seconds=5)
"""Nobody tells when memory is free again."""


@dataclass(frozen=True, eq=False)
class _Places:
    """Who holds a process, who is about to, and who of them may be ended, at one state of a transaction."""

    tx: Tx
    changes: int
    can_be_had_back: Callable[[Tx, SessionRecord], bool]

    def are_of(self, tx: Tx) -> bool:
        """Whether the transaction would tell the same now."""
        return self.tx is tx and self.changes == tx.changes

    @cached_property
    def held(self) -> list[SessionRecord]:
        """The sessions whose processes run."""
        return self.tx.sessions(live=True)

    @cached_property
    def coming(self) -> list[Intent]:
        """The starts that are on record and not done."""
        return [intent for intent in self.tx.open_intents() if intent.kind == IntentKind.SPAWN]

    @cached_property
    def stops(self) -> dict[str, Intent | None]:
        """The ends that were asked for, by session."""
        return {record.id: self.tx.intent(f"stop:{record.id}") for record in self.held}

    @cached_property
    def spare(self) -> str | None:
        """The oldest session that may be ended to make room."""
        kept = (each for each in self.held if self.stops[each.id] is None)
        return next((each.id for each in kept if self.can_be_had_back(self.tx, each)), None)


@dataclass(frozen=True, slots=True)
class Admission:
    """One agent at least may always run, however little memory there is."""

    most: Callable[[], int] = lambda: 20
    keep_free_mb: Callable[[], int] = lambda: 0
    """So many MB are to stay free; 0: memory is not looked at."""
    size_mb: Callable[[str], int] = lambda cli: 0
    """What an agent of the CLI takes."""
    look: Callable[[], memory.Memory] = memory.look
    _read: list[_Places] = field(default_factory=list, init=False, repr=False, compare=False)

    def room(
        self,
        tx: Tx,
        bead: Bead,
        agent: Agent,
        now: datetime,
        can_be_had_back: Callable[[Tx, SessionRecord], bool],
    ) -> Room:
        """What there is for a process of this agent on the bead. `can_be_had_back`: who may be ended to make room."""
        places = self._places(tx, can_be_had_back)
        held, coming = places.held, places.coming
        if len(held) + len(coming) >= (most := self.most()):
            why, look_again = f"as many agents run as general.max_agents allows, {most}", None
        elif not held and not coming:
            return Room()
        else:
            clis = [each.cli for each in _agents(tx, coming)]
            young = [record.cli for record in held if timedelta(0) <= now - record.started_at < YOUNG]
            why, look_again = self._short_of_memory(agent.cli, [*clis, *young]), now + LOOK_AGAIN
        if not why:
            return Room()
        # Who is ended for another bead that still waits makes room for that one only.
        served = {bead.id, *(record.bead_id for record in held), *(start.bead_id for start in coming)}
        if any(
            stop and stop.state is IntentState.OPEN and stop.bead_id in served
            for stop in places.stops.values()
        ):
            return Room(why, look_again=look_again)
        return Room(why, places.spare, look_again)

    def _places(self, tx: Tx, can_be_had_back: Callable[[Tx, SessionRecord], bool]) -> _Places:
        """Read once for all who wait, until something is written."""
        found = self._read[0] if self._read else None
        if found is None or not found.are_of(tx):
            found = _Places(tx, tx.changes, can_be_had_back)
            self._read[:] = [found]
        return found

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


def _agents(tx: Tx, intents: list[Intent]) -> Iterator[Agent]:
    found = (tx.agent(intent.agent_id) for intent in intents if intent.agent_id)
    return (agent for agent in found if agent is not None)
