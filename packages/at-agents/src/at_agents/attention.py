"""What a person must look at, and how a bead's wait ends: decided here for every face."""

from __future__ import annotations

from dataclasses import dataclass

from at_agents.decisions import World
from at_agents.landing import blocked_now, is_proved, may_land
from at_agents.lifecycle import ends_now, short
from at_core.types import BeadStatus
from at_core.vocabulary import AgentFact, BeadFact


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing for a person. `kind` is a word of the command contract."""

    kind: str
    agent: str | None
    bead: str
    reason: str
    reset_at: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether nothing more will happen to a bead by itself, and the exit code that says how it stands."""

    settled: bool
    exit_code: int


_KIND_OF_BLOCK = {
    "checkout": "checkout",
    "trust": "unknown",
    "settings": "unknown",
    "gate": "failed",
    "land": "failed",
    "target": "failed",
}


def attention(world: World) -> list[Attention]:
    """All that this bead wants from a person now, most blocking first."""
    bead, agent = str(world.bead.id), world.agent.name if world.agent else None
    found = [
        Attention(
            "question" if ask.kind == "question" else "approval",
            agent,
            bead,
            ask.what,
            None,
            f"at answer {str(ask.id)[:8]} TEXT"
            if ask.kind == "question"
            else f"at approve {str(ask.id)[:8]}",
        )
        for ask in world.asks
    ]
    if login := world.login:
        found.append(Attention("login", agent, bead, login["message"], None, login["how"]))
    if (limit := world.agent_facts.get(AgentFact.LIMIT)) and world.bead.status is BeadStatus.SLUNG:
        found.append(
            Attention(
                "limit",
                agent,
                bead,
                limit["message"],
                limit.get("reset_at"),
                f"at resume {agent}, to try at once",
            )
        )
    if parked := world.parked:
        found.append(Attention("budget", agent, bead, parked["reason"], parked["passes_at"], parked["hint"]))
    if halted := _halted(world):
        found.append(Attention("unknown", agent, bead, *halted))
    if world.bead.status is BeadStatus.REVIEW and (blocked := world.facts.get(BeadFact.BLOCKED)):
        kind = _KIND_OF_BLOCK.get(blocked["kind"], "unknown")
        found.append(Attention(kind, agent, bead, blocked["reason"], None, blocked.get("hint", "")))
    # A refused login is told above, with what to do about it.
    if world.bead.status in (BeadStatus.FAILED, BeadStatus.ESCALATED) and not login:
        outcome = world.facts.get(BeadFact.OUTCOME) or {}
        found.append(
            Attention("failed", agent, bead, outcome.get("reason", ""), None, outcome.get("hint", ""))
        )
    return found


def _halted(world: World) -> tuple[str, None, str] | None:
    """Why a bead at work does not go on although nothing is wrong: reason, no reset, hint."""
    if world.bead.status is not BeadStatus.SLUNG or world.agent is None:
        return None
    if world.waits_for is not None:
        return (world.waits_for.reason, None, world.waits_for.hint) if world.waits_for.hint else None
    name = world.agent.name
    if stopped := world.agent_facts.get(AgentFact.STOPPED):
        return (
            f"{stopped['by']} stopped {name}: {stopped['reason'] or 'no reason given'}",
            None,
            f"at resume {name}",
        )
    if world.turn.get("outcome") == "interrupted" and not world.open_messages and not ends_now(world):
        return ("its turn was interrupted", None, f"at nudge {name} -m TEXT")
    return None


def settled(world: World) -> Settled:
    """How `run --wait` ends; it waits through approvals, questions, limits and budgets of the day."""
    match world.bead.status:
        case BeadStatus.DONE:
            return Settled(True, 0)
        case BeadStatus.FAILED:
            return Settled(True, 3 if world.login else 1)
        case BeadStatus.ESCALATED:
            return Settled(True, 3)
        case BeadStatus.REVIEW if blocked_now(world) or _waits_for_checkout(world):
            return Settled(True, 3)
        case BeadStatus.SLUNG if _halted(world) or (world.parked and not world.parked["passes_at"]):
            return Settled(True, 3)
        case BeadStatus.REVIEW if is_proved(world) and may_land(world) is None:
            looked_at = world.review_waits is None or bool(world.review_waits.beads)
            return Settled(looked_at, 0)
        case _:
            return Settled(False, 0)


def _waits_for_checkout(world: World) -> bool:
    """Also while it is looked at again and again whether the checkout is free by now."""
    return (world.facts.get(BeadFact.BLOCKED) or {}).get("kind") == "checkout"


def reasons(world: World) -> list[str]:
    """Why the bead stands where it stands, in plain sentences."""
    facts, status = world.facts, world.bead.status
    if status in (BeadStatus.FAILED, BeadStatus.ESCALATED):
        return [str((facts.get(BeadFact.OUTCOME) or {}).get("reason", ""))]
    said = [world.waits_for.reason] if world.waits_for else []
    if status is BeadStatus.SLUNG and (outcome := facts.get(BeadFact.OUTCOME)):
        said.append(f"sent back: {outcome['reason']}")
    if parked := world.parked:
        said.append(parked["reason"])
    if (halted := _halted(world)) and halted[0] not in said:
        said.append(halted[0])
    if world.review_waits is not None and world.review_waits.beads:
        said.append(world.review_waits.reason)
    if status is BeadStatus.REVIEW:
        said.extend(_review_reasons(world))
    if merged := facts.get(BeadFact.MERGED):
        said.append(f"merged as {merged['merge'][:12]}")
    if override := facts.get(BeadFact.OVERRIDE):
        said.append(f"{override['by']} overrode the proof")
    return said


def _review_reasons(world: World) -> list[str]:
    if blocked := world.facts.get(BeadFact.BLOCKED):
        return [blocked["reason"]]
    if not is_proved(world):
        return ["its evidence is being gathered"]
    gates = (world.facts.get(BeadFact.RULES) or {}).get("gates", ())
    words = f"{len(gates)} gate(s) passed on its exact tree" if gates else "the repository has no gates"
    said = [f"proved: it has commits, {words}, and the merge is clean"]
    if may_land(world) is None:
        said.append(f"it waits for: at land {short(world)}")
    return said
