"""Leases with fences in the store.

Time is awake time in seconds (CLOCK_MONOTONIC) of one boot: a night with the lid closed expires nothing, and the
leases of another boot are void. A lease's row stays when it is released, so its fences grow for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, update

from at_core.record import Record
from at_core.store import schema
from at_core.store.insertion import upsert
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Record):
    """A right that one owner has until `expires` (awake seconds of `boot_id`). Work done under it carries `fence`."""

    name: str
    owner: str
    boot_id: str
    fence: int
    expires: float


_c = schema.leases.c
_leases = Mapping(Lease, schema.leases)

_BY_NAME = Statement(_leases.select.where(_c.name == bindparam("name")))
_PUT = Statement(upsert(schema.leases, _leases.names, "name"))
_held = (
    (_c.name == bindparam("of"))
    & (_c.owner == bindparam("by"))
    & (_c.fence == bindparam("under"))
    & (_c.boot_id == bindparam("boot"))
    & (_c.expires > bindparam("now"))
)
_RENEW = Statement(update(schema.leases).where(_held).values(expires=bindparam("until")))
_RELEASE = Statement(
    update(schema.leases)
    .where((_c.name == bindparam("of")) & (_c.owner == bindparam("by")) & (_c.fence == bindparam("under")))
    .values(expires=bindparam("until"))
)
_NEVER = -1.0


class Leases(Rows):
    """What a transaction can do with leases."""

    __slots__ = ()

    def take_lease(self, name: str, owner: str, boot_id: str, now_awake: float, ttl: float) -> Lease | None:
        """The lease for `ttl` seconds with a new, higher fence; None while another owner holds it.

        Who holds it already gets it anew, and an older holder of the same name is out by its fence.
        """
        held = self.lease(name)
        if held is not None and held.owner != owner and held.boot_id == boot_id and held.expires > now_awake:
            return None
        fence = 1 if held is None else held.fence + 1
        lease = Lease(name=name, owner=owner, boot_id=boot_id, fence=fence, expires=now_awake + ttl)
        self._run(_PUT, *_leases.encode(lease))
        return lease

    def renew_lease(
        self, name: str, owner: str, fence: int, boot_id: str, now_awake: float, ttl: float
    ) -> bool:
        """Hold it for `ttl` seconds from now; False when it has expired, was released or taken, or is of another boot."""
        return self._run(_RENEW, now_awake + ttl, name, owner, fence, boot_id, now_awake) > 0

    def release_lease(self, name: str, owner: str, fence: int) -> bool:
        """Let it go; False when it is not held under this fence."""
        return self._run(_RELEASE, _NEVER, name, owner, fence) > 0

    def lease(self, name: str) -> Lease | None:
        """The newest lease of that name, live or not."""
        row = self._one(_BY_NAME, name)
        return None if row is None else _leases.decode(row)
