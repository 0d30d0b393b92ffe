"""Rigs in the store."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, or_, update

from at_core.errors import NotFound
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement
from at_core.types import Rig

_c = schema.rigs.c
_rigs = Mapping(Rig, schema.rigs)

_BY_PATH = Statement(_rigs.select.where(_c.path == bindparam("path")))
_BY_ID_OR_NAME = Statement(
    _rigs.select.where(or_(_c.id == bindparam("id"), _c.name == bindparam("name"))).order_by(
        _c.id == bindparam("first")
    )
)
_ALL = Statement(_rigs.select.order_by(_c.name))
_TRUST = Statement(update(schema.rigs).where(_c.id == bindparam("old_id")).values(trusted=bindparam("hash")))


class Rigs(Rows):
    """What a transaction can do with rigs."""

    __slots__ = ()

    def add_rig(self, rig: Rig) -> None:
        """Add a new one. Raises `Duplicate` if its id, name or path is taken."""
        insert_new(self, _rigs, rig, rig.name)

    def rig_by_path(self, path: str) -> Rig | None:
        """The rig whose top folder is exactly that path."""
        row = self._one(_BY_PATH, path)
        return None if row is None else _rigs.decode(row)

    def rig(self, id_or_name: UUID | str) -> Rig | None:
        """The rig of that id or, should no id fit, of that name."""
        text = str(id_or_name)
        rows = self._all(_BY_ID_OR_NAME, text, text, text)
        return _rigs.decode(rows[-1]) if rows else None

    def rigs(self) -> list[Rig]:
        """All of them by name."""
        return [_rigs.decode(row) for row in self._all(_ALL)]

    def trust_rig(self, id: UUID, hash: str | None) -> None:
        """Record the accepted settings file by its hash; None takes the trust back. Raises `NotFound`."""
        if not self._run(_TRUST, hash, str(id)):
            raise NotFound("rig", str(id))
