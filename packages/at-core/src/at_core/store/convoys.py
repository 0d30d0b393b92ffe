"""Convoys in the store."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam

from at_core.store import schema
from at_core.store.insertion import insert_new, upsert
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement
from at_core.types import Convoy, ConvoyStatus

_c = schema.convoys.c
_convoys = Mapping(Convoy, schema.convoys)

_BY_ID = Statement(_convoys.select.where(_c.id == bindparam("id")))
_ALL = Statement(_convoys.select.order_by(_c.number))
_BY_STATUS = Statement(_convoys.select.where(_c.status == bindparam("status")).order_by(_c.number))
_UPSERT = Statement(upsert(schema.convoys, _convoys.names, "id"))


class Convoys(Rows):
    """What a transaction can do with convoys."""

    __slots__ = ()

    def add_convoy(self, convoy: Convoy) -> None:
        """Add a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _convoys, convoy, convoy.name)

    def put_convoy(self, convoy: Convoy) -> None:
        """Add it or replace the one of that id."""
        self._run(_UPSERT, *_convoys.encode(convoy))

    def convoy(self, id: UUID) -> Convoy | None:
        """The convoy of that id."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _convoys.decode(row)

    def convoys(self, status: ConvoyStatus | None = None) -> list[Convoy]:
        """Convoys in that state or all, oldest first."""
        rows = self._all(_ALL) if status is None else self._all(_BY_STATUS, status.value)
        return [_convoys.decode(row) for row in rows]
