"""`Tx`: everything that can be done inside one transaction, put together from the aggregates."""

from __future__ import annotations

from at_core.store.agents import Agents
from at_core.store.asks import Asks
from at_core.store.beads import Beads
from at_core.store.convoys import Convoys
from at_core.store.destructive import DestructiveActs
from at_core.store.events import Events
from at_core.store.facts import Facts
from at_core.store.gates import Gates
from at_core.store.intents import Intents
from at_core.store.interruptions import Interruptions
from at_core.store.kpi import Kpi
from at_core.store.leases import Leases
from at_core.store.messages import Messages
from at_core.store.prices import Prices
from at_core.store.rigs import Rigs
from at_core.store.sessions import Sessions
from at_core.store.slots import Slots
from at_core.store.spending import Spending
from at_core.store.status import Status
from at_core.store.usage import Usage


class Tx(
    Beads,
    Agents,
    Rigs,
    Facts,
    Events,
    Intents,
    Leases,
    Messages,
    Asks,
    Sessions,
    Usage,
    Spending,
    Prices,
    Gates,
    Slots,
    Interruptions,
    DestructiveActs,
    Convoys,
    Kpi,
    Status,
):
    """One transaction. It is handed to the function of `Store.write` or `Store.read` and is void after it."""

    __slots__ = ()
