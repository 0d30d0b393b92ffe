"""What each route of the API does: one function per route, in the room of the thing that it is about.

adopt          sessions that a person began, taken over
after          what has to land first
agents         workers
asks           decisions
attic          what was kept of removed work
beads          work items
begun          how a bead is begun, for the others
changes        looking at work
comments       what was said about lines
life           the daemon itself
look           reading
money          costs, budgets
named          what a person's word for a thing stands for
orders         how a bead is to be worked on
pull_requests  pushed, and seen
recovery       what was taken away, had back
review         deciding about work
rigs           repositories
rules          standing answers
story          all that happened to one bead
tidy           what is left over
"""

from __future__ import annotations

import functools

from at_daemon.edge import Handler
from at_daemon.handlers import (
    adopt,
    after,
    agents,
    asks,
    attic,
    beads,
    changes,
    comments,
    life,
    look,
    money,
    pull_requests,
    recovery,
    review,
    rigs,
    rules,
    story,
    tidy,
)
from at_daemon.parts import Parts

_ROOMS = (
    rigs.HANDLERS,
    beads.HANDLERS,
    adopt.HANDLERS,
    changes.HANDLERS,
    after.HANDLERS,
    comments.HANDLERS,
    review.HANDLERS,
    story.HANDLERS,
    pull_requests.HANDLERS,
    agents.HANDLERS,
    asks.HANDLERS,
    look.HANDLERS,
    rules.HANDLERS,
    money.HANDLERS,
    recovery.HANDLERS,
    attic.HANDLERS,
    tidy.HANDLERS,
    life.HANDLERS,
)


def handlers(parts: Parts) -> dict[str, Handler]:
    """Handlers by route name."""
    return {name: functools.partial(handle, parts) for room in _ROOMS for name, handle in room.items()}
