"""Money: what was spent, and what a bead may spend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from at_core.api import BudgetRequest
from at_core.vocabulary import BeadFact, EventType
from at_daemon.budgets import checked
from at_daemon.costs import costs_document, since_when
from at_daemon.edge import Call
from at_daemon.handlers.beads import shown
from at_daemon.handlers.named import bead_called
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]


async def costs(parts: Parts, call: Call) -> Json:
    """Sums, dollars per landed bead, what is left of each budget, and what no CLI tells."""
    now = parts.now()
    since = since_when(call.query["since"], now)
    budgets = parts.ledger.worlds.budgets
    return await parts.ledger.read(
        lambda tx: costs_document(tx, budgets, call.query["by"] or "bead", since, now)
    )


async def budget(parts: Parts, call: Call) -> Json:
    """What a bead may use from now on; one that waits for it goes on at once."""
    request: BudgetRequest = call.body
    amounts = checked(request.budget)

    def put(change: Change) -> UUID:
        bead = bead_called(change.tx, call.path["bead"])
        change.put(bead.id, BeadFact.BUDGET, amounts, "person")
        change.tell(EventType.BUDGET_SET, bead, actor="person", said=amounts)
        change.touch(bead.id)
        return bead.id

    return await shown(parts, await parts.ledger.change(put))


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"costs": costs, "budget": budget}
