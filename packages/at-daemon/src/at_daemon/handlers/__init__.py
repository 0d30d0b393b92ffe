"""What each route of the API does: one function per route, in the room of the thing that it is about.

rigs.py  repositories     beads.py  work items     agents.py  workers
asks.py  decisions        look.py   reading        life.py    the daemon itself
money.py costs and budgets
named.py what a person's word for a thing stands for
"""

from __future__ import annotations

import functools

from at_daemon.edge import Handler
from at_daemon.handlers import agents, asks, beads, life, look, money, review, rigs
from at_daemon.parts import Parts

_ROOMS = (
    rigs.HANDLERS,
    beads.HANDLERS,
    review.HANDLERS,
    agents.HANDLERS,
    asks.HANDLERS,
    look.HANDLERS,
    money.HANDLERS,
    life.HANDLERS,
)


def handlers(parts: Parts) -> dict[str, Handler]:
    """Handlers by route name."""
    return {name: functools.partial(handle, parts) for room in _ROOMS for name, handle in room.items()}
