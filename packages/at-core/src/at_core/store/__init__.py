"""The embedded store: one SQLite file, one writer, records of `at_core.types` in and out.

`Store` opens it, `Tx` is what a transaction can do. Needs the extra `store` (SQLAlchemy, alembic).

database.py   opening a file: modes, lock, pragmas, format        writer.py   the one writer thread, group commit
schema.py     the tables                                          migrations/ how a file comes to that schema
statement.py  SQL compiled once from SQLAlchemy Core              mapping.py  records to rows and back
tx.py         everything a transaction can do, from one module per aggregate (beads.py, agents.py, …)
"""

from at_core.store.destructive import DestructiveAct
from at_core.store.kpi import local_day_start, next_local_day
from at_core.store.leases import Lease
from at_core.store.slots import Slot
from at_core.store.spending import Spent
from at_core.store.status import Counts
from at_core.store.store import Store
from at_core.store.tx import Tx
from at_core.store.usage import LandedTotals, UsageBy, UsageTotals

__all__ = [
    "Counts",
    "DestructiveAct",
    "LandedTotals",
    "Lease",
    "Slot",
    "Spent",
    "Store",
    "Tx",
    "UsageBy",
    "UsageTotals",
    "local_day_start",
    "next_local_day",
]
