"""The landing queue of one target branch: which work merges next, and with what other work.

What is ready is merged one after the other, aside, into a train; the gates run once, on the tree that all of it gives.
If they pass, the target moves to the end of the train. If not, the train is halved until it is known which work fails:
that goes back to its agent, and what comes before it lands. A train is as it was when it was formed; what becomes
ready meanwhile goes with the next one.

For trains of at most `most`, n works of which b fail run their gates on no more than n/most + b * (1 + log2(most))
merged trees, both terms rounded up; a tree on which they passed already is not counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from at_agents.decisions import Do, IntentKind
from at_agents.landing import gate_key
from at_core.types import Bead, GateResult, Intent, IntentState

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ready:
    """Work that may merge as it stands: a clean merge of `head` onto the commit `target` gives `tree`.

    `by` says who lets it. `single` is what has to go by itself, since it changes the gates. `gates` are those of the
    target as it stands.
    """

    bead: Bead
    head: str
    target: str
    tree: str
    by: str
    look: int
    single: bool = False
    size: int = 0
    gates: tuple[Mapping[str, Any], ...] = ()

    @property
    def place(self) -> tuple[int, int, datetime, int]:
        """Sorts by lane and priority, both descending, then age, then size."""
        return (-self.bead.lane.rank, -self.bead.priority, self.bead.created_at, self.size)


@dataclass(frozen=True, slots=True)
class Member:
    """One work in a train; `tree` is what the target and everything up to it give."""

    bead: UUID
    head: str
    tree: str
    by: str
    look: int

    def to_json(self) -> Json:
        """As it is stored."""
        return dataclasses.asdict(self) | {"bead": str(self.bead)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Member:
        """From what `to_json` gave."""
        return cls(**{**value, "bead": UUID(value["bead"])})


@dataclass(frozen=True, slots=True)
class Train:
    """What is merged together onto the commit `target`; the first `landing` members are on their way to it."""

    number: int
    target: str
    members: tuple[Member, ...] = ()
    landing: int = 0
    gates: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """What is on record of one target's queue: how many trains there were, the present one, and who goes alone.

    `waits` is what keeps anything from landing at all, in words: no train is formed until that is forgotten.
    """

    number: int = 0
    train: Train | None = None
    alone: frozenset[UUID] = frozenset()
    waits: str = ""

    def to_json(self) -> Json:
        """As it is stored."""
        train = self.train
        return {
            "number": self.number,
            "alone": sorted(map(str, self.alone)),
            "waits": self.waits,
            "train": train
            and {
                "number": train.number,
                "target": train.target,
                "landing": train.landing,
                "gates": [dict(gate) for gate in train.gates],
                "members": [member.to_json() for member in train.members],
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Line:
        """From what `to_json` gave; None is a queue in which nothing ever was."""
        if value is None:
            return cls()
        train = value["train"] and Train(
            number=value["train"]["number"],
            target=value["train"]["target"],
            members=tuple(map(Member.from_json, value["train"]["members"])),
            landing=value["train"]["landing"],
            gates=tuple(value["train"]["gates"]),
        )
        return cls(value["number"], train, frozenset(map(UUID, value["alone"])), value["waits"])


@dataclass(frozen=True, slots=True)
class Queue:
    """All that may be looked at to decide about one target's queue.

    `coming`: more is about to be ready, so no train is formed yet.
    """

    rig: str
    target_name: str
    ready: tuple[Ready, ...]
    coming: bool = False
    line: Line = Line()
    most: int = 16
    results: Callable[[str], Mapping[tuple[str, str], GateResult]] = lambda tree: {}
    intent: Callable[[str], Intent | None] = lambda key: None


@dataclass(frozen=True, slots=True)
class Keep:
    """The queue's record as it is from now on."""

    line: Line


@dataclass(frozen=True, slots=True)
class DoFor:
    """Put an intent on record for a bead."""

    bead: UUID
    do: Do


@dataclass(frozen=True, slots=True)
class GateFailed:
    """Send a bead back: with all that lands before it, its work fails this gate."""

    bead: UUID
    result: GateResult


@dataclass(frozen=True, slots=True)
class Block:
    """A bead cannot land without a person."""

    bead: UUID
    head: str
    kind: str
    reason: str


Step = Keep | DoFor | GateFailed | Block


def reconcile_queue(queue: Queue) -> list[Step]:
    """What the queue needs now; may be asked at any moment, any number of times."""
    train = queue.line.train
    if train is not None and train.landing:
        return _landing(queue, train)
    if train is None or not _is_current(queue, train):
        return _form(queue)
    return _advance(queue, train)


def place_in_words(queue: Queue, bead: UUID) -> str:
    """Where a bead that is ready stands; empty if it is not in the queue."""
    if queue.line.waits:
        return f"the landing queue of {queue.target_name} waits: {queue.line.waits}"
    train, ready = queue.line.train, [each.bead.id for each in queue.ready]
    riders = [member.bead for member in train.members] if train else []
    if train and bead in riders[: train.landing]:
        return f"it is being merged onto {queue.target_name}"
    if bead in riders:
        others = len(riders) - 1
        with_others = f", together with {others} other(s) in the landing queue" if others else ""
        return f"its merge onto {queue.target_name} is being checked{with_others}"
    if bead in ready:
        return f"it is number {ready.index(bead) + 1} of {len(ready)} in the landing queue of {queue.target_name}"
    return ""


def _is_current(queue: Queue, train: Train) -> bool:
    """Whether all of it is still ready, just so, on the target as it is."""
    ready = {each.bead.id: (each.head, each.target, each.look) for each in queue.ready}
    return bool(train.members) and all(
        ready.get(member.bead) == (member.head, train.target, member.look) for member in train.members
    )


def _form(queue: Queue) -> list[Step]:
    number, line = queue.line.number + 1, queue.line
    if queue.coming or line.waits:
        return []
    if not queue.ready:
        return [Keep(Line(line.number))] if line.train or line.alone else []
    alone = line.alone & {each.bead.id for each in queue.ready}
    first = queue.ready[0]
    chosen = [first]
    if not _goes_alone(first, alone):
        onto = (first.target, first.gates)
        same = (each for each in queue.ready[1:] if (each.target, each.gates) == onto)
        chosen += [each for each in same if not _goes_alone(each, alone)][: queue.most - 1]
    if len(chosen) > 1:
        key = f"assemble:{queue.rig}:{queue.target_name}:{number}"
        assembling = queue.intent(key)
        if assembling is None or assembling.state is IntentState.OPEN:
            members = [_member(each).to_json() for each in chosen]
            payload = {
                "rig": queue.rig,
                "number": number,
                "target": first.target,
                "target_name": queue.target_name,
                "members": members,
                "gates": [dict(gate) for gate in first.gates],
            }
            return [DoFor(first.bead.id, Do(key, IntentKind.ASSEMBLE, payload))]
    train = Train(number, first.target, (_member(first),), gates=first.gates)
    return [Keep(Line(number, train, alone))]


def _goes_alone(ready: Ready, alone: Iterable[UUID]) -> bool:
    return ready.single or ready.bead.id in alone


def _member(ready: Ready) -> Member:
    return Member(ready.bead.id, ready.head, ready.tree, ready.by, ready.look)


def _landing(queue: Queue, train: Train) -> list[Step]:
    intent = queue.intent(_land_key(queue, train))
    if intent is None or intent.state is IntentState.OPEN:
        return []
    if intent.state is IntentState.DONE:
        return [Keep(Line(queue.line.number, None, queue.line.alone))]
    return _apart(
        queue, train, train.landing, "land", f"it could not be merged: {intent.error or 'it failed'}"
    )


def _apart(queue: Queue, train: Train, length: int, kind: str, reason: str) -> list[Step]:
    """What stopped these of a train may be about one of them: each goes alone. What went alone is a person's matter."""
    members = train.members[:length]
    riders = [member.bead for member in members]
    if len(riders) == 1:
        return [
            Block(riders[0], members[0].head, kind, reason),
            Keep(Line(queue.line.number, None, queue.line.alone)),
        ]
    return [Keep(Line(queue.line.number, None, queue.line.alone | set(riders)))]


def _advance(queue: Queue, train: Train) -> list[Step]:
    length = len(train.members)
    verdicts = {each: _verdict(queue, train, each) for each in range(1, length + 1)}
    if verdicts[length] is True:
        return _land(queue, train, length)
    failing = next((each for each, verdict in verdicts.items() if verdict is False), None)
    if failing is None:
        return _gates(queue, train, length)
    passing = max((each for each in range(1, failing) if verdicts[each] is True), default=0)
    if failing - passing > 1:
        return _gates(queue, train, (passing + failing) // 2)
    failed = next(iter(_failures(queue, train, failing)))
    back: list[Step] = [GateFailed(train.members[failing - 1].bead, failed)]
    if passing:
        return back + _land(queue, train, passing)
    return [*back, Keep(Line(queue.line.number, None, queue.line.alone))]


def _verdict(queue: Queue, train: Train, length: int) -> bool | None:
    """Whether the gates pass on the first `length` members merged; None while that is not known."""
    known = queue.results(train.members[length - 1].tree)
    found = [known.get((gate["name"], gate["run"])) for gate in train.gates]
    if all(result is not None and result.ok for result in found):
        return True
    return False if _failures(queue, train, length) else None


def _failures(queue: Queue, train: Train, length: int) -> list[GateResult]:
    """The gates that failed when they ran for this train; what failed before may pass now."""
    tree = train.members[length - 1].tree
    known = queue.results(tree)
    failed = []
    for gate in train.gates:
        result = known.get((gate["name"], gate["run"]))
        if result is not None and not result.ok and _ran_for(queue, train, gate, tree):
            failed.append(result)
    return failed


def _ran_for(queue: Queue, train: Train, gate: Mapping[str, Any], tree: str) -> bool:
    keys = _gate_keys(queue, train, gate, tree)
    newest = next((found for key in reversed(keys) if (found := queue.intent(key)) is not None), None)
    return (
        newest is not None
        and newest.state is IntentState.DONE
        and newest.payload.get("train") == _name(queue, train)
    )


def _gate_keys(queue: Queue, train: Train, gate: Mapping[str, Any], tree: str) -> tuple[str, str]:
    """Under which a gate runs on a tree: first, and once more for this train."""
    first = gate_key(queue.rig, gate["name"], gate["run"], tree)
    return first, f"{first}:train:{_name(queue, train)}"


def _gates(queue: Queue, train: Train, length: int) -> list[Step]:
    """Run what has not passed yet on the first `length` members merged."""
    members = train.members[:length]
    tree = members[-1].tree
    known = queue.results(tree)
    steps: list[Step] = []
    for gate in train.gates:
        result = known.get((gate["name"], gate["run"]))
        if result is not None and result.ok:
            continue
        first, again = _gate_keys(queue, train, gate, tree)
        key = again if _ran_otherwise(queue, train, first) else first
        intent = queue.intent(key)
        if intent is not None and intent.state is IntentState.FAILED:
            reason = f"the gate {gate['name']!r} could not run: {intent.error or 'it failed'}"
            return _apart(queue, train, length, "gate", reason)
        payload = {
            **gate,
            "tree": tree,
            "head": None,
            "rig": queue.rig,
            "train": _name(queue, train),
            "target": train.target,
            "merges": [{"head": member.head, "tree": member.tree} for member in members],
        }
        steps.append(DoFor(members[-1].bead, Do(key, IntentKind.GATE, payload)))
    return steps


def _ran_otherwise(queue: Queue, train: Train, key: str) -> bool:
    """Whether the gate ran, or could not run, for something else than this train."""
    intent = queue.intent(key)
    if intent is None or intent.state is IntentState.OPEN:
        return False
    return intent.payload.get("train") != _name(queue, train)


def _land(queue: Queue, train: Train, length: int) -> list[Step]:
    landing = dataclasses.replace(train, landing=length)
    payload = {
        "rig": queue.rig,
        "target": train.target,
        "target_name": queue.target_name,
        "members": [member.to_json() for member in train.members[:length]],
    }
    do = Do(_land_key(queue, landing), IntentKind.LAND, payload)
    return [DoFor(train.members[0].bead, do), Keep(Line(queue.line.number, landing, queue.line.alone))]


def _land_key(queue: Queue, train: Train) -> str:
    return f"land:{queue.rig}:{queue.target_name}:{train.number}:{train.landing}"


def _name(queue: Queue, train: Train) -> str:
    return f"{queue.target_name}:{train.number}"
