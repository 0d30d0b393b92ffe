"""Which works of a repository would conflict with each other as far as they have got: one set of pairs.

It is one fact of the repository and not of its works, for what each of two told of the other could differ. It is complete
for the works that are in it, at the commits that are in it; one that is not has yet to be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

from at_core.store import Tx
from at_core.vocabulary import RigFact

MOST_PATHS = 200
"""Kept of each pair."""

Paths = Sequence[str]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a work had got when it was compared: its commit, that of its target, and the paths in which these conflict.

    No `target`: with that it could not be compared; `open_pairs`: with another work it could not be. Of those is known what
    was known before.
    """

    head: str
    target: str | None = None
    paths: Paths = ()
    open_pairs: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it was compared with all that there was."""
        return self.target is not None and not self.open_pairs


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The works that were compared, by id, and the paths of those pairs that conflict: by the lower id, then by the other.

    Ids are text as they are kept: it is read for each decision about a review.
    """

    works: Mapping[str, Compared] = field(default_factory=dict)
    pairs: Mapping[str, Mapping[str, Paths]] = field(default_factory=dict)

    def of(self, bead: UUID) -> Compared | None:
        """How far the work had got."""
        return self.works.get(str(bead))

    def met(self, bead: UUID) -> dict[UUID, Paths]:
        """The works that it would conflict with, and in which paths."""
        name = str(bead)
        found = {UUID(other): paths for other, paths in self.pairs.get(name, {}).items()}
        return found | {UUID(other): row[name] for other, row in self.pairs.items() if name in row}

    @property
    def conflicts(self) -> set[tuple[UUID, UUID]]:
        """The pairs that conflict."""
        return {(UUID(one), UUID(two)) for one, row in self.pairs.items() for two in row}

    def compared(self, seen: Mapping[UUID, Compared]) -> Overlaps:
        """With how far these works have got; their pairs stay as they were."""
        cut = {str(bead): replace(each, paths=each.paths[:MOST_PATHS]) for bead, each in seen.items()}
        return replace(self, works={**self.works, **cut})

    def paired(self, bead: UUID, others: Mapping[UUID, Paths]) -> Overlaps:
        """With the paths in which one work conflicts with each of these others; none is no conflict."""
        pairs = {one: {**row} for one, row in self.pairs.items()}
        for other, paths in others.items():
            one, two = sorted((str(bead), str(other)))
            if paths:
                pairs.setdefault(one, {})[two] = paths[:MOST_PATHS]
            elif two in pairs.get(one, ()):
                del pairs[one][two]
        return replace(self, pairs={one: row for one, row in pairs.items() if row})

    def only(self, beads: Collection[UUID]) -> Overlaps:
        """Without what is about other works than these."""
        there = {*map(str, beads)}
        pairs = {
            one: {two: paths for two, paths in row.items() if two in there}
            for one, row in self.pairs.items()
            if one in there
        }
        works = {bead: seen for bead, seen in self.works.items() if bead in there}
        return Overlaps(works, {one: row for one, row in pairs.items() if row})

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"works": {bead: asdict(seen) for bead, seen in self.works.items()}, "pairs": self.pairs}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Overlaps:
        """What was kept."""
        return cls({bead: Compared(**seen) for bead, seen in value["works"].items()}, value["pairs"])


def overlaps_of(tx: Tx, rig: str | None) -> Overlaps:
    """What is known of one repository."""
    fact = tx.fact(UUID(rig), RigFact.OVERLAPS.value) if rig is not None else None
    return Overlaps.from_json(fact.value) if fact is not None else Overlaps()
