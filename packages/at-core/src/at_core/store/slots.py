"""Slots: small numbers that tell apart what runs at the same time, so that ports and databases can be told apart too."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import count

from sqlalchemy import bindparam, delete

from at_core.record import Record
from at_core.store import schema
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot(Record):
    """A number from 1 that `owner`, a bead's id or the name of a gate's session, has for itself."""

    owner: str
    slot: int


_c = schema.slots.c
_slots = Mapping(Slot, schema.slots)

_ALL = Statement(_slots.select.order_by(_c.slot))
_ONE = Statement(_slots.select.where(_c.owner == bindparam("owner")))
_FREE = Statement(delete(schema.slots).where(_c.owner == bindparam("of")))


class Slots(Rows):
    """What a transaction can do with slots."""

    __slots__ = ()

    def slots(self) -> list[Slot]:
        """Those that are taken, lowest first."""
        return [_slots.decode(row) for row in self._all(_ALL)]

    def slot(self, owner: str) -> int | None:
        """The owner's slot, None while it has none."""
        row = self._one(_ONE, owner)
        return None if row is None else _slots.decode(row).slot

    def take_slot(self, owner: str, avoid: Container[int] = ()) -> int:
        """The owner's slot: the one that it has, else the lowest from 1 that nobody has and that is not to be avoided."""
        if (held := self.slot(owner)) is not None:
            return held
        taken = {each.slot for each in self.slots()}
        slot = next(number for number in count(1) if number not in taken and number not in avoid)
        self._run(_slots.insert, *_slots.encode(Slot(owner=owner, slot=slot)))
        return slot

    def free_slot(self, owner: str) -> bool:
        """Give the owner's slot back; False where it had none."""
        return self._run(_FREE, owner) > 0
