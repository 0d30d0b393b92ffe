"""Whether the next turn of a bead may begin: decided before its prompt is sent, never in the middle of a turn."""

from __future__ import annotations

from typing import Any

from at_agents.decisions import Action, Budget, Put, Scope, Tell, Unit, WakeAt, World
from at_core.vocabulary import BeadFact, EventType

TOLERANCE = 1e-9
"""Sums of prices are binary fractions: ten times $0.10 is to fit into $1.00."""


def fits(budget: Budget) -> bool:
    """Whether something is left, and the turn that comes is expected to stay within it."""
    used = budget.spent + budget.under_way
    return used < budget.limit - TOLERANCE and used + budget.expected <= budget.limit + TOLERANCE


def reached(world: World) -> Budget | None:
    """The budget that keeps the next turn from beginning; one that only a person can raise comes first.

    If none is full, it may be one of which it is not known yet what is left.
    """
    full = [budget for budget in world.budgets if not fits(budget)]
    if full:
        return min(full, key=lambda budget: budget.passes_at is not None)
    return next((budget for budget in world.budgets if budget.pricing), None)


def park(world: World, budget: Budget) -> list[Action]:
    """Begin no turn for now: say why, and look again when the budget begins anew.

    A look-up of a price takes a second and its end is news, so there is nothing to say of it.
    """
    if fits(budget):
        return []
    known = world.facts.get(BeadFact.PARKED)
    fact = _fact(world, budget)
    actions: list[Action] = []
    if known is None or (known["scope"], known["unit"]) != (fact["scope"], fact["unit"]):
        actions.append(Tell(EventType.BUDGET_REACHED, fact))
    if known != fact:
        actions.append(Put(BeadFact.PARKED, fact))
    if budget.passes_at is not None:
        actions.append(WakeAt(budget.passes_at))
    return actions


def unpark(world: World) -> list[Action]:
    """Forget that it was parked, if it was."""
    return [Put(BeadFact.PARKED, None)] if world.facts.get(BeadFact.PARKED) is not None else []


def amount(value: float, unit: Unit) -> str:
    """`$2.50`, `$0.0042` or `200,000 tokens`."""
    if unit is Unit.TOKENS:
        return f"{value:,.0f} tokens"
    return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def _fact(world: World, budget: Budget) -> dict[str, Any]:
    whose, key = _words(budget)
    parts = [f"{amount(budget.spent, budget.unit)} spent"]
    if budget.under_way:
        parts.append(f"{amount(budget.under_way, budget.unit)} expected of turns under way")
    if budget.expected:
        parts.append(f"{amount(budget.expected, budget.unit)} expected of the next turn")
    return {
        "scope": budget.scope.value,
        "unit": budget.unit.value,
        "limit": budget.limit,
        "spent": budget.spent,
        "reason": f"{whose} of {amount(budget.limit, budget.unit)} is reached: {', '.join(parts)}",
        "hint": f"at config {key} AMOUNT" if key else f"at budget {str(world.bead.id)[:8]} AMOUNT",
        "passes_at": budget.passes_at.isoformat() if budget.passes_at else None,
    }


def _words(budget: Budget) -> tuple[str, str]:
    """Whose budget it is, and the setting that it comes from (none for a bead, which may have one of its own)."""
    match budget.scope:
        case Scope.BEAD:
            return "its budget", ""
        case Scope.DAY:
            return "the budget of the day", f"budget.day_{budget.unit.value}"
        case Scope.CLI:
            return f"the day's budget of {budget.cli}", f"agents.{budget.cli}.budget_day_{budget.unit.value}"
